# SPDX-License-Identifier: GPL-3.0-or-later
"""What disturbs a fleet under load: a change in the world, and the play with which its operator answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.offers import IMAGE_LABEL, offer_engine, push_runner

from load.fleet import MODES, Call, Fleet
from load.packages import package_settings

MANAGER, WORKER, ANY = "pi-01", "pi-03", "pi-02"
_WITHOUT_A_MANAGER = 20
"""Seconds until the lost manager is replaced."""
_SITE, _UPGRADE = Call(), Call("pifleet.ci.upgrade")
IMAGE_MODES = ("container", "service")
_RUNS = "docker ps -q --filter name=gitlab-runner | grep -q . || systemctl is-active --quiet gitlab-runner"


@dataclass(frozen=True)
class Disturbance:
    """`change` and `missing` get the number by which this change is recognised."""

    what: str
    change: Callable[[Fleet, int], None]
    answer: Call
    missing: Callable[[Fleet, int], list[str]]
    """What the answer has not brought about, and where: nothing was measured there."""
    back: Call | None = None
    """A play that makes the fleet whole again."""
    spared: Sequence[str] = ()
    """Pis that get no jobs, because their machine goes away: nothing could save a job there."""
    modes: Sequence[str] = MODES


def _has_engine(number: int) -> str:
    """A shell command that fails unless the version that was offered is installed and its engine answers."""
    return f"dpkg-query -W -f '${{Version}}' docker.io | grep -q '+lab{number}$' && docker version >/dev/null"


def _without(what: str, pis: Sequence[str]) -> list[str]:
    return [f"{what} on {pi}" for pi in pis]


def _reload(fleet: Fleet, number: int) -> None:
    options = {**fleet.settings.get("docker_daemon_options", {}), "labels": [f"load={number}"]}
    mirrors = [f"http://mirror-{number}.lab:5000"]
    fleet.set({"docker_daemon_options": options, "docker_registry_mirrors": mirrors})


def _not_reloaded(fleet: Fleet, number: int) -> list[str]:
    shown = f"docker info | grep -q load={number} && docker info | grep -q mirror-{number}"
    return _without("the mirror and the label", fleet.failing(shown))


def _restart(fleet: Fleet, number: int) -> None:
    options = {**fleet.settings.get("docker_daemon_options", {}), "default-shm-size": f"{number}k"}
    fleet.set({"docker_daemon_options": options})


def _not_restarted(fleet: Fleet, number: int) -> list[str]:
    image = fleet.lab.variables["lab_job_image"]
    shown = "docker inspect -f '{{.HostConfig.ShmSize}}'"
    new = f"id=$(docker create {image} true) && {shown} $id | grep -qx {number * 1024} && docker rm $id"
    return _without("the size of /dev/shm", fleet.failing(new))


def _other_image(fleet: Fleet, number: int) -> None:
    fleet.set({"gitlab_runner_image": push_runner(fleet.lab, f"gitlab-runner:load-{number}", str(number))})


def _without_image(fleet: Fleet, number: int) -> list[str]:
    return _without("the other image", fleet.failing(f"docker ps -q --filter label={IMAGE_LABEL}={number} | grep -q ."))


def _other_package(fleet: Fleet, number: int) -> None:
    fleet.set(package_settings(fleet.lab.folder, number))


def _without_package(fleet: Fleet, number: int) -> list[str]:
    installed = f"dpkg-query -W -f '${{Version}}' gitlab-runner | grep -qF .{number}-1"
    return _without("the other package", fleet.failing(f"{installed} && systemctl is-active --quiet gitlab-runner"))


def _newer_engine(fleet: Fleet, number: int) -> None:
    offer_engine(fleet.lab, ANY, number)


def _without_newer_engine(fleet: Fleet, number: int) -> list[str]:
    return _without("the newer package", fleet.failing(_has_engine(number), [ANY]))


def _newer_all(fleet: Fleet, number: int) -> None:
    """Newer engines, and another image under the tag that the Pis have, or another version of the package."""
    for pi in fleet.pis:
        offer_engine(fleet.lab, pi, number)
    if fleet.mode == "package":
        _other_package(fleet, number)
        return
    _, _, name = fleet.settings.get("gitlab_runner_image", fleet.lab.variables["gitlab_runner_image"]).partition("/")
    push_runner(fleet.lab, name, str(number))


def _not_upgraded(fleet: Fleet, number: int) -> list[str]:
    without_runner = _without_package if fleet.mode == "package" else _without_image
    return [*_without("the newer package", fleet.failing(_has_engine(number))), *without_runner(fleet, number)]


def _without_runner(fleet: Fleet, number: int) -> list[str]:
    return _without("a runner", fleet.failing(_RUNS))


def _not_removed(fleet: Fleet, number: int) -> list[str]:
    return _without("the removal", fleet.failing(f"! {{ {_RUNS}; }}", [WORKER]))


def _reflash(fleet: Fleet, pi: str, seconds: float = 0) -> None:
    fleet.take_away(pi)
    time.sleep(seconds)
    fleet.boot_bare()


def not_one_swarm(fleet: Fleet, number: int) -> list[str]:
    """Unless all are the ready nodes of one swarm and know no others."""
    nodes = "timeout 60 docker node ls --format '{{.ID}} {{.Status}} {{.ManagerStatus}}' 2>&1 | sort"
    shown = {pi: fleet.lab.ssh(pi, nodes) for pi in fleet.pis}
    first = next(iter(shown.values())).splitlines()
    one = len(set(shown.values())) == 1 and len(first) == len(fleet.pis) and all(" Ready " in node for node in first)
    return [] if one else [f"one swarm of all Pis (they say: {' / '.join(sorted(set(shown.values())))})"]


DISTURBANCES: dict[str, Disturbance] = {
    "daemon-reload": Disturbance(
        "another registry mirror and label in daemon.json, which the engine can reload", _reload, _SITE, _not_reloaded
    ),
    "daemon-restart": Disturbance(
        "another size of /dev/shm in daemon.json, which needs a restart of the engine", _restart, _SITE, _not_restarted
    ),
    "runner-image": Disturbance(
        "another image of GitLab Runner", _other_image, _SITE, _without_image, modes=IMAGE_MODES
    ),
    "runner-package": Disturbance(
        "another version of GitLab Runner's package", _other_package, _SITE, _without_package, modes=["package"]
    ),
    "engine-package": Disturbance(
        "a newer package of the engine, for one Pi",
        _newer_engine,
        Call("pifleet.ci.upgrade", ("--limit", ANY)),
        _without_newer_engine,
    ),
    "upgrade": Disturbance(
        "newer packages of the engine on all Pis, and another image under the tag of GitLab Runner or another package",
        _newer_all,
        _UPGRADE,
        _not_upgraded,
    ),
    "remove": Disturbance(
        "a Pi leaves the fleet; later it comes back",
        lambda fleet, number: None,
        Call("pifleet.ci.remove", ("-e", f"pifleet_hosts={WORKER}")),
        _not_removed,
        back=_SITE,
    ),
    "reflash": Disturbance(
        "a Pi starts from a new card",
        lambda fleet, number: _reflash(fleet, WORKER),
        _SITE,
        _without_runner,
        spared=[WORKER],
        modes=["container", "package"],
    ),
    "manager-replaced": Disturbance(
        "the first manager of the swarm is lost, and replaced by a Pi with a new card",
        lambda fleet, number: _reflash(fleet, MANAGER, _WITHOUT_A_MANAGER),
        _SITE,
        not_one_swarm,
        spared=[MANAGER],
        modes=["service"],
    ),
    "manager-replaced-alone": Disturbance(
        "the same, with a play that is limited to the new one",
        lambda fleet, number: _reflash(fleet, MANAGER, _WITHOUT_A_MANAGER),
        Call(arguments=("--limit", MANAGER)),
        not_one_swarm,
        spared=[MANAGER],
        modes=["service"],
    ),
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""What disturbs a fleet under load: a change in the world, and the play with which its operator answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from load.fleet import IMAGE_LABEL, MODES, Call, Fleet
from load.packages import has_engine, offer_engine

MANAGER, WORKER, ANY = "pi-01", "pi-03", "pi-02"
_WITHOUT_A_MANAGER = 20
"""Seconds until the lost manager is replaced."""
_SITE, _UPGRADE = Call(), Call("pifleet.ci.upgrade")
_RUNNER = "docker ps -q --filter name=gitlab-runner | grep -q ."


@dataclass(frozen=True)
class Disturbance:
    """`change` and `missing` get the number by which this change is recognised."""

    what: str
    change: Callable[[Fleet, int], None]
    answer: Call
    missing: Callable[[Fleet, int], list[str]]
    """The Pis on which the answer has not brought about what it was for: nothing was measured there."""
    back: Call | None = None
    """A play that makes the fleet whole again."""
    spared: Sequence[str] = ()
    """Pis that get no jobs, because their machine goes away: nothing could save a job there."""
    modes: Sequence[str] = MODES


def _reload(fleet: Fleet, number: int) -> None:
    options = {**fleet.settings.get("docker_daemon_options", {}), "labels": [f"load={number}"]}
    mirrors = [f"http://mirror-{number}.lab:5000"]
    fleet.set({"docker_daemon_options": options, "docker_registry_mirrors": mirrors})


def _not_reloaded(fleet: Fleet, number: int) -> list[str]:
    return fleet.failing(f"docker info | grep -q load={number} && docker info | grep -q mirror-{number}")


def _restart(fleet: Fleet, number: int) -> None:
    options = {**fleet.settings.get("docker_daemon_options", {}), "log-opts": {"max-size": f"{number}k"}}
    fleet.set({"docker_daemon_options": options})


def _not_restarted(fleet: Fleet, number: int) -> list[str]:
    image = fleet.lab.variables["lab_job_image"]
    shown = "docker inspect -f '{{.HostConfig.LogConfig.Config}}'"
    return fleet.failing(
        f"id=$(docker create {image} true) && {shown} $id | grep -q :{number}k && docker rm $id >/dev/null"
    )


def _other_image(fleet: Fleet, number: int) -> None:
    fleet.set({"gitlab_runner_image": fleet.push_runner_image(f"gitlab-runner:load-{number}", number)})


def _without_image(fleet: Fleet, number: int) -> list[str]:
    return fleet.failing(f"docker ps -q --filter label={IMAGE_LABEL}={number} | grep -q .")


def _newer_engine(fleet: Fleet, number: int) -> None:
    offer_engine(fleet.lab, ANY, number)


def _newer_all(fleet: Fleet, number: int) -> None:
    """Newer engines, and another image under the tag that the Pis have."""
    for pi in fleet.pis:
        offer_engine(fleet.lab, pi, number)
    _, _, name = fleet.settings.get("gitlab_runner_image", fleet.lab.variables["gitlab_runner_image"]).partition("/")
    fleet.push_runner_image(name, number)


def _not_upgraded(fleet: Fleet, number: int) -> list[str]:
    return sorted({*fleet.failing(has_engine(number)), *_without_image(fleet, number)})


def _reflash(fleet: Fleet, pi: str, seconds: float = 0) -> None:
    fleet.take_away(pi)
    time.sleep(seconds)
    fleet.boot_bare()


def _not_one_swarm(fleet: Fleet, number: int) -> list[str]:
    """All, unless they are the ready nodes of one swarm and know no others."""
    shown = {
        pi: fleet.lab.ssh(pi, "timeout 60 docker node ls --format '{{.ID}} {{.Status}} {{.ManagerStatus}}' | sort")
        for pi in fleet.pis
    }
    nodes = next(iter(shown.values())).splitlines()
    one = len(set(shown.values())) == 1 and len(nodes) == len(fleet.pis) and all(" Ready " in node for node in nodes)
    return [] if one else fleet.pis


DISTURBANCES: dict[str, Disturbance] = {
    "daemon-reload": Disturbance(
        "another registry mirror and label in daemon.json, which the engine can reload", _reload, _SITE, _not_reloaded
    ),
    "daemon-restart": Disturbance(
        "other log options in daemon.json, which need a restart of the engine", _restart, _SITE, _not_restarted
    ),
    "runner-image": Disturbance("another image of GitLab Runner", _other_image, _SITE, _without_image),
    "engine-package": Disturbance(
        "a newer package of the engine, for one Pi",
        _newer_engine,
        Call("pifleet.ci.upgrade", ("--limit", ANY)),
        lambda fleet, number: fleet.failing(has_engine(number), [ANY]),
    ),
    "upgrade": Disturbance(
        "newer packages of the engine on all Pis, and another image under the tag of GitLab Runner",
        _newer_all,
        _UPGRADE,
        _not_upgraded,
    ),
    "remove": Disturbance(
        "a Pi leaves the fleet; later it comes back",
        lambda fleet, number: None,
        Call("pifleet.ci.remove", ("-e", f"pifleet_hosts={WORKER}")),
        lambda fleet, number: [pi for pi in [WORKER] if pi not in fleet.failing(_RUNNER)],
        back=_SITE,
    ),
    "reflash": Disturbance(
        "a Pi starts from a new card",
        lambda fleet, number: _reflash(fleet, WORKER),
        _SITE,
        lambda fleet, number: fleet.failing(_RUNNER),
        spared=[WORKER],
        modes=["container"],
    ),
    "manager-replaced": Disturbance(
        "the first manager of the swarm is lost, and replaced by a Pi with a new card",
        lambda fleet, number: _reflash(fleet, MANAGER, _WITHOUT_A_MANAGER),
        _SITE,
        _not_one_swarm,
        spared=[MANAGER],
        modes=["service"],
    ),
    "manager-replaced-alone": Disturbance(
        "the same, with a play that is limited to the new one",
        lambda fleet, number: _reflash(fleet, MANAGER, _WITHOUT_A_MANAGER),
        Call(arguments=("--limit", MANAGER)),
        _not_one_swarm,
        spared=[MANAGER],
        modes=["service"],
    ),
}

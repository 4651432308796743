# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a run does or dies of: check mode foretells it, and no token can be read where it need not be.

One playbook for a fleet in which every Pi is found in another state. The tokens are in files, as they are in a vault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_gitlab import Fault, Reply, Runner
from fake_gitlab.namespaces import Project
from plays.cores import on_every_core
from plays.watched_play import WatchedPlay
from registration_world import PROJECT, World

pytestmark = pytest.mark.slow

REGISTER = "pifleet.ci.gitlab_runner_register"
PREFLIGHT = "pifleet.ci.gitlab_runner_preflight"
WAIT = "pifleet.ci.gitlab_runner_wait"
REGISTERED = ("done", "each", "ansible_failed_result")


class Fleet:
    """The Pis, their GitLab, and every token that was ever valid, by a name."""

    def __init__(self, play: WatchedPlay, world: World) -> None:
        self.play, self.world = play, world
        self.tokens: dict[str, str] = {}
        self.cases: dict[str, Any] = {}
        self.vault = play.directory / "vault"
        self.vault.mkdir()
        self.api_token = self.keep("api_token", world.token)
        world.gitlab.after_commit = lambda _request: self.note_tokens()

    def note_tokens(self) -> None:
        for runner in self.world.gitlab.runners.values():
            self.tokens[f"{runner.description} {runner.token}"] = runner.token

    def keep(self, name: str, secret: str) -> str:
        """Put a secret where the play looks for it; returns the path."""
        self.tokens[name] = secret
        path = self.vault / name
        path.touch(mode=0o600)
        path.write_text(secret)
        return str(path)

    def config(self, pi: str) -> Path:
        return self.play.directory / "hosts" / pi / "config.toml"

    def runner(self, pi: str, *, note: str | None = None, project: Project | None = None) -> Runner:
        attributes = {
            "description": f"{pi} docker",
            "tag_list": ["arm64", "rpi"],
            "maintenance_note": f"pifleet.ci: default/{pi}/docker" if note is None else note,
        }
        owner = project or self.world.project
        runner = self.world.gitlab.create_runner("project_type", owner=owner, **attributes)
        self.note_tokens()
        return runner

    def enter(self, pi: str, runner: Runner) -> Runner:
        """The Pi's entry for the runner, with the token that it has now."""
        entry = {"name": "docker", "url": self.world.url, "id": runner.id, "token": runner.token}
        lines = [f"  {key} = {json.dumps(value)}\n" for key, value in entry.items()]
        self.config(pi).parent.mkdir(parents=True)
        self.config(pi).touch(mode=0o600)
        self.config(pi).write_text("".join(["[[runners]]\n", *lines]))
        (self.config(pi).parent / ".runner_system_id").write_text("s_0123456789ab")
        return runner

    def run(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """Run the playbook, as talkative as it gets; returns what came of each Pi's registration."""
        options = ["--diff", "--forks", "10", "-e", json.dumps({"cases": self.cases}), *arguments]
        self.play.run_plays(plays(self), *options, hosts=CASES, verbosity="-vvvv")
        return {pi: results[0] for pi, results in self.play.results(REGISTER).items()}

    def find(self) -> None:
        """Bring every Pi into its state."""
        for pi, case in CASES.items():
            case.found(self, pi)
            self.cases[pi] = {"secrets": case.secrets(self), "state": case.state}


@dataclass(frozen=True)
class Case:
    """How a Pi is found, what the run does or says of it, and which options are read from which files."""

    found: Callable[[Fleet, str], Any]
    end: list[str] | str
    secrets: Callable[[Fleet], dict[str, str]] = lambda fleet: {"api_token": fleet.api_token}
    state: str = "present"


def bare(_fleet: Fleet, _pi: str) -> None:
    pass


def in_order(fleet: Fleet, pi: str) -> Runner:
    return fleet.enter(pi, fleet.runner(pi))


def gone(fleet: Fleet, pi: str) -> None:
    fleet.world.gitlab.delete_runner(in_order(fleet, pi).id)


def reset(fleet: Fleet, pi: str) -> None:
    fleet.world.gitlab.reset_runner_token(in_order(fleet, pi).id)


def twice(fleet: Fleet, pi: str) -> None:
    fleet.world.gitlab.duplicate_runner(fleet.runner(pi).id)


def odd_tags(fleet: Fleet, pi: str) -> None:
    fleet.world.gitlab.edit_runner(in_order(fleet, pi).id, tag_list=["odd"])


def by_hand(fleet: Fleet, pi: str) -> None:
    fleet.enter(pi, fleet.runner(pi, note=""))


def broken(fleet: Fleet, pi: str) -> None:
    in_order(fleet, pi)
    with fleet.config(pi).open("a") as file:
        file.write("[[runners\n")


def answered(status: int, body: Any, **headers: str) -> Callable[[Fleet, str], None]:
    """GitLab, or what stands before it, answers with the tokens themselves: API and RUNNER stand for them."""

    def found(fleet: Fleet, pi: str) -> None:
        runner = fleet.enter(pi, fleet.runner(pi, project=fleet.world.gitlab.add_project(f"elsewhere/{pi}")))
        text = json.dumps([body, headers]).replace("API", fleet.world.token).replace("RUNNER", runner.token)
        said, told = json.loads(text)
        fleet.world.gitlab.faults.add(Fault(path=f"/runners/{runner.id}", reply=Reply(status, said, told), times=None))

    return found


def registration_token(fleet: Fleet) -> dict[str, str]:
    fleet.world.gitlab.settings.allow_registration_tokens = True
    return {"registration_token": fleet.keep("registration_token", fleet.world.project.registration_token)}


def ready_made(fleet: Fleet) -> dict[str, str]:
    return {"token": fleet.keep("ready_made", fleet.runner("ready-made", note="").token)}


def void(fleet: Fleet) -> dict[str, str]:
    runner = fleet.runner("void")
    fleet.world.gitlab.delete_runner(runner.id)
    return {"token": fleet.keep("void", runner.token)}


def token_as_project(fleet: Fleet) -> dict[str, str]:
    return {"api_token": fleet.api_token, "project_id": fleet.api_token}


def token_in_the_address(fleet: Fleet) -> dict[str, str]:
    address = fleet.world.url.replace("://", f"://oauth2:{fleet.world.token}@")
    return {"api_token": fleet.api_token, "url": fleet.keep("address", address)}


CASES = {
    "gone": Case(gone, ["created", "entry_written"]),
    "reset": Case(reset, ["token_reset", "entry_written"]),
    "twice": Case(twice, ["removed_duplicate", "adopted", "token_reset", "entry_written"]),
    "odd-tags": Case(odd_tags, ["updated"]),
    "by-hand": Case(by_hand, ["adopted", "updated"]),
    "in-order": Case(in_order, []),
    "removed": Case(in_order, ["deleted", "entry_removed"], state="absent"),
    "registered": Case(bare, ["created", "entry_written"], registration_token),
    "ready-made": Case(bare, ["entry_written"], ready_made),
    "void": Case(bare, "GitLab refuses the token that was given", void),
    "broken": Case(broken, "config.toml is not valid TOML"),
    "refused": Case(
        answered(403, {"message": "403 Forbidden - API, RUNNER"}), 'it ("403 Forbidden - (token), (token)")'
    ),
    "down": Case(answered(503, {"message": "API, RUNNER"}, **{"Retry-After": "100"}), "it is not working (503)"),
    "redirected": Case(
        answered(302, "", Location="https://RUNNER:API@gitlab.example.com/API"),
        "it redirects to https://gitlab.example.com;",
    ),
    "project": Case(bare, "argument 'project_id' is of type str", token_as_project),
    "address": Case(bare, "url holds more than GitLab's address", token_in_the_address),
}


def plays(fleet: Fleet) -> list[dict[str, Any]]:
    """A registration on every Pi; on some of them also what else has to do with tokens."""
    secrets = "cases[inventory_hostname].secrets"

    def read(option: str, otherwise: str = "omit") -> str:
        path = f"{secrets}.{option}"
        return f"{{{{ lookup('ansible.builtin.file', {path}) if {path} is defined else {otherwise} }}}}"

    by_api_token = f"(%r if {secrets}.api_token is defined else omit)"
    options = {
        "config_path": f"{fleet.play.directory}/hosts/{{{{ inventory_hostname }}}}/config.toml",
        "name": "docker",
        "url": read("url", repr(fleet.world.url)),
        **{option: read(option) for option in ("api_token", "registration_token", "token")},
        "runner_type": read("runner_type", by_api_token % "project_type"),
        "project_id": read("project_id", by_api_token % PROJECT),
        "tag_list": ["arm64", "rpi"],
        "state": "{{ cases[inventory_hostname].state }}",
    }
    failed = "done is failed or inventory_hostname == 'gone'"
    register = {REGISTER: options, "register": "done", "failed_when": failed}
    items = {REGISTER: {**options, "name": "{{ item }}"}, "loop": ["docker", "shell", "a/b"], "ignore_errors": True}
    keep = {name: f"{{{{ hostvars | dict2items | map(attribute='value.{name}', default='') }}}}" for name in REGISTERED}
    wait = {
        "url": fleet.world.url,
        "api_token": read("api_token"),
        "runners": ["{{ done.runner }}"],
        "system_id": "{{ done.system_id }}",
        "timeout": 0.1,
    }
    return [
        {"hosts": "all", "tasks": [{"block": [register], "rescue": [{"ansible.builtin.meta": "noop"}]}]},
        {
            "hosts": "twice",
            "tasks": [
                {**items, "register": "each"},
                {"ansible.builtin.set_fact": {"kept": keep, "cacheable": True}},
                {WAIT: wait, "ignore_errors": True},
            ],
        },
        {"hosts": "address:project", "tasks": [{PREFLIGHT: {"registrations": [options]}}]},
    ]


@on_every_core
def fleet(request: pytest.FixtureRequest, tmp_path: Path, world: World) -> Fleet:
    return Fleet(WatchedPlay(request.param, tmp_path), world)


def test_check_mode_foretells_what_is_done(fleet: Fleet) -> None:
    fleet.find()
    fleet.world.gitlab.journal.clear()
    foretold = fleet.run("--check")
    assert fleet.world.gitlab.journal.writes() == []
    done = fleet.run()
    for pi, case in CASES.items():
        if isinstance(case.end, str):
            assert case.end in done[pi]["msg"] == foretold[pi]["msg"]
        else:
            assert done[pi]["actions"] == foretold[pi]["actions"] == case.end
            assert done[pi]["changed"] == foretold[pi]["changed"] == bool(case.end)
            assert done[pi]["diff"] == foretold[pi]["diff"]
    assert "may hold no slash" in str(fleet.play.results(REGISTER)["twice"])
    assert "was not in contact" in str(fleet.play.results(WAIT)["twice"])
    for pi in ("address", "project"):
        assert CASES[pi].end in fleet.play.results(PREFLIGHT)[pi][0]["msg"]

    assert len(fleet.tokens) > 20
    assert fleet.play.leaks(fleet.tokens) == set()
    sent = {name for name, token in fleet.tokens.items() if fleet.play.sent_to_hosts(token)}
    assert sent
    assert not sent & {"api_token", "registration_token", "address"}
    assert fleet.play.holders(["is not valid TOML"]) >= {"log", "results", "facts/s1_twice"}
    left = fleet.play.holders(fleet.tokens.values())
    assert {path for path in left if not re.fullmatch(r"vault/\w+|hosts/[\w-]+/config\.toml", path)} == set()


def test_without_pipelining(fleet: Fleet) -> None:
    """Ansible then transfers each module with its arguments in a file, in a directory that it keeps to itself."""
    task = {REGISTER: fleet.world.options(config_path=str(fleet.config("pi-01")))}
    transfer = ["-e", "ansible_pipelining=false", "-e", "ansible_ssh_transfer_method=piped"]
    (fleet.play.directory / "play.yml").touch(mode=0o600)
    done = fleet.play.run([task], *transfer, verbosity="-vvvv")
    assert done.returncode == 0, done.stdout + done.stderr
    token = fleet.world.gitlab.runners[1].token
    assert [sight for sight in fleet.play.files.seen if sight.path.startswith("tmp/") and token in str(sight.content)]
    assert fleet.play.leaks(fleet.tokens) == set()
    assert not fleet.play.sent_to_hosts(fleet.world.token)
    assert fleet.play.holders([token]) == {"hosts/pi-01/config.toml"}

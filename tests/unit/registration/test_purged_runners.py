# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes in GitLab of the runners whose entries are purged, entry by entry."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import (
    GitLabError,
    RequestRejected,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import NO_SYSTEM_ID, Manager, Runner
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    Entry,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.purge import (
    Owner,
    PurgedRunners,
    runners_of_purged_entries,
)

URL = "https://gitlab.example.com"
OWNER = Owner(URL, "default/pi-01/", {"docker"}, "s_000000000001")


class GitLab:
    """Runners by id, with the key in their note; notes which were asked for."""

    def __init__(self, **keys: str | None) -> None:
        self.keys = {int(name.removeprefix("r")): key for name, key in keys.items()}
        self.managing: tuple[Manager, ...] | None = ()
        self.asked: list[int] = []

    def runner(self, runner_id: int) -> Runner | None:
        self.asked.append(runner_id)
        if runner_id not in self.keys:
            return None
        key = self.keys[runner_id]
        return Runner(runner_id, "project_type", frozenset({1}), "", f"pifleet.ci: {key}" if key else "", {})

    def managers(self, runner_id: int) -> tuple[Manager, ...] | None:
        return self.managing


def entry(index: int, name: str, runner_id: int, url: str = URL, token: str = "glrt-x") -> Entry:
    return Entry(index, name, url, runner_id, token)


def decide(gitlab: Any, *purged: Entry, kept: tuple[Entry, ...] = (), owner: Owner = OWNER) -> PurgedRunners:
    return runners_of_purged_entries(purged, kept, owner, lambda: gitlab)


def test_a_runner_of_this_host_goes_with_its_entry() -> None:
    found = decide(GitLab(r7="default/pi-01/shell"), entry(0, "shell", 7))
    assert (list(found.leaving), found.staying) == ([7], [])


def test_one_that_is_gone_already_is_nothing_to_tell() -> None:
    assert decide(GitLab(), entry(0, "shell", 7)) == PurgedRunners()


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "it was not registered by this collection"),
        ("default/pi-02/shell", "it is that of default/pi-02/shell"),
        ("other/pi-01/shell", "it is that of other/pi-01/shell"),
        ("default/pi-01/docker", "it is that of default/pi-01/docker"),
        ("default/pi-011/shell", "it is that of default/pi-011/shell"),
    ],
)
def test_anybody_elses_runner_stays(key: str | None, reason: str) -> None:
    found = decide(GitLab(r7=key), entry(0, "shell", 7))
    assert found.leaving == {}
    assert found.staying == [f'Runner 7 of the purged entry "shell" stays in GitLab at {URL}: {reason}.']


@pytest.mark.parametrize(
    ("manager", "stays"),
    [
        (Manager("s_0000000000ff", True, "192.0.2.9", "2026-01-01T00:00:00Z"), True),
        (Manager("s_0000000000ff", False, "192.0.2.9", "2026-01-01T00:00:00Z"), False),
        (Manager("s_000000000001", True, "192.0.2.7", "2026-01-01T00:00:00Z"), False),
        (Manager(NO_SYSTEM_ID, True, "", "2026-01-01T00:00:00Z"), False),
    ],
)
def test_a_runner_that_another_machine_runs_stays(manager: Manager, stays: bool) -> None:
    gitlab = GitLab(r7="default/pi-01/shell")
    gitlab.managing = (manager,)
    found = decide(gitlab, entry(0, "shell", 7))
    assert (found.leaving == {}) is stays
    assert [reason.partition(": ")[2].partition(",")[0] for reason in found.staying] == (
        ["another machine runs it"] if stays else []
    )


def test_a_runner_with_another_entry_is_not_looked_at() -> None:
    gitlab = GitLab(r7="default/pi-01/shell")
    assert decide(gitlab, entry(0, "shell", 7), kept=(entry(1, "docker", 7),)) == PurgedRunners()
    assert gitlab.asked == []
    elsewhere = entry(1, "docker", 7, url="https://other.example.com")
    assert list(decide(gitlab, entry(0, "shell", 7), kept=(elsewhere,)).leaving) == [7]


def test_each_runner_is_asked_for_once() -> None:
    gitlab = GitLab(r7="default/pi-01/shell")
    assert list(decide(gitlab, entry(0, "shell", 7), entry(1, "shell", 7)).leaving) == [7]
    assert gitlab.asked == [7]


@pytest.mark.parametrize(
    ("purged", "owner", "which", "reason"),
    [
        (entry(0, "shell", 7), Owner("", OWNER.keys, (), ""), "Runner 7", "without api_token it cannot be deleted"),
        (
            entry(0, "shell", 7, url="https://other.example.com"),
            OWNER,
            "Runner 7",
            f"the api_token is for {URL}",
        ),
        (entry(0, "shell", 0), OWNER, "The runner", "the entry has no id by which it could be found"),
    ],
)
def test_what_cannot_be_asked_about_is_told(purged: Entry, owner: Owner, which: str, reason: str) -> None:
    found = runners_of_purged_entries([purged], [], owner, pytest.fail)
    assert found.leaving == {}
    assert found.staying == [f'{which} of the purged entry "shell" stays in GitLab at {purged.url}: {reason}.']


def test_no_secret_of_the_file_is_told() -> None:
    purged = entry(0, "glrt-hushhushhush", 7, url="https://me:hush@gitlab.example.com")
    (sentence,) = decide(GitLab(), purged).staying
    assert "hush" not in sentence


def test_an_entry_without_a_runner_is_nothing_to_tell() -> None:
    assert runners_of_purged_entries([entry(0, "shell", 0, token="")], [], OWNER, pytest.fail) == PurgedRunners()


def test_no_access_is_no_failure_and_no_answer_is_one() -> None:
    class Deaf(GitLab):
        error: GitLabError = RequestRejected("Could not read runner 7.", 403, "403 Forbidden - No access granted")

        def runner(self, runner_id: int) -> Runner | None:
            raise self.error

    gitlab = Deaf()
    assert "the api_token may not see it" in decide(gitlab, entry(0, "shell", 7)).staying[0]
    for error in (GitLabError("It did not answer."), RequestRejected("Wrong token.", 401, "401 Unauthorized")):
        gitlab.error = error
        with pytest.raises(GitLabError):
            decide(gitlab, entry(0, "shell", 7))

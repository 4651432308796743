# SPDX-License-Identifier: GPL-3.0-or-later
"""Runners whose owner is gone: what each release says of them when they show their token or are changed."""

from __future__ import annotations

from fake_gitlab import refusals
from fake_gitlab.runners import Runner, sentence
from fake_gitlab.state import FakeGitLab


def refuse_orphan(gitlab: FakeGitLab, runner: Runner) -> None:
    """At any request with the runner's token."""
    looks = gitlab.has("orphans_are_forbidden") and not gitlab.has("orphans_are_not_looked_for")
    if looks and gitlab.is_orphaned(runner):
        raise refusals.forbidden("Runner is orphaned")


def refuse_manager_of_orphan(gitlab: FakeGitLab, runner: Runner) -> None:
    """Where a request would make or touch a manager: the table of managers wants to know the owner."""
    looks = gitlab.has("orphans_are_unprocessable") and not gitlab.has("orphans_are_forbidden")
    if looks and gitlab.is_orphaned(runner):
        raise refusals.orphaned()


def owner_problems(gitlab: FakeGitLab, runner: Runner) -> dict[str, list[str]]:
    """What the model finds wrong with an orphan, whatever is to be changed."""
    if not gitlab.is_orphaned(runner):
        return {}
    wanted = "exactly one group" if runner.runner_type == "group_type" else "at least one project"
    return {"runner": [f"needs to be assigned to {wanted}"]}


def require_owner(gitlab: FakeGitLab, runner: Runner) -> None:
    """Before a token is reset, which saves the runner."""
    found = owner_problems(gitlab, runner)
    if found and not gitlab.has("orphans_keep_their_token"):
        raise refusals.server_error()
    if found:
        raise refusals.plain(422, f"Validation failed: {sentence(found)}")

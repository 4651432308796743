# SPDX-License-Identifier: GPL-3.0-or-later
"""Runners whose owner is gone: what each release says of them when they show their token or are changed."""

from __future__ import annotations

from fake_gitlab import errors
from fake_gitlab.runners import Runner, full_messages
from fake_gitlab.state import FakeGitLab


def forbid_orphaned_runner(gitlab: FakeGitLab, runner: Runner) -> None:
    """At any request with the runner's token."""
    looks = gitlab.has("orphans_are_forbidden") and not gitlab.has("orphans_are_not_looked_for")
    if looks and gitlab.is_orphaned(runner):
        raise errors.forbidden("Runner is orphaned")


def reject_manager_of_orphaned_runner(gitlab: FakeGitLab, runner: Runner) -> None:
    """Where a request would make or touch a manager: the table of managers wants to know the owner."""
    looks = gitlab.has("orphans_are_unprocessable") and not gitlab.has("orphans_are_forbidden")
    if looks and gitlab.is_orphaned(runner):
        raise errors.runner_orphaned()


def owner_errors(gitlab: FakeGitLab, runner: Runner) -> dict[str, list[str]]:
    """What the model finds wrong with an orphan, whatever is to be changed."""
    if not gitlab.is_orphaned(runner):
        return {}
    wanted = "exactly one group" if runner.runner_type == "group_type" else "at least one project"
    return {"runner": [f"needs to be assigned to {wanted}"]}


def require_valid_owner(gitlab: FakeGitLab, runner: Runner) -> None:
    """Before a token is reset, which saves the runner."""
    model_errors = owner_errors(gitlab, runner)
    if model_errors and not gitlab.has("orphans_keep_their_token"):
        raise errors.internal_server_error()
    if model_errors:
        raise errors.grape_error(422, f"Validation failed: {full_messages(model_errors)}")

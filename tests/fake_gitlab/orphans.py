# SPDX-License-Identifier: GPL-3.0-or-later
"""Orphaned runners, whose owner group or projects were deleted: which requests each release rejects, and how."""

from __future__ import annotations

from fake_gitlab import errors
from fake_gitlab.runners import Runner, full_messages
from fake_gitlab.state import FakeGitLab


def forbid_orphaned_runner(gitlab: FakeGitLab, runner: Runner) -> None:
    """403 on any request with the runner's token, in the releases that check. Raises APIError."""
    checks = gitlab.has("orphans_are_forbidden") and not gitlab.has("orphans_are_not_looked_for")
    if checks and gitlab.is_orphaned(runner):
        raise errors.forbidden("Runner is orphaned")


def reject_manager_of_orphaned_runner(gitlab: FakeGitLab, runner: Runner) -> None:
    """422 where a manager would be created or updated: its table has a reference to the owner. Raises APIError."""
    checks = gitlab.has("orphans_are_unprocessable") and not gitlab.has("orphans_are_forbidden")
    if checks and gitlab.is_orphaned(runner):
        raise errors.runner_orphaned()


def owner_errors(gitlab: FakeGitLab, runner: Runner) -> dict[str, list[str]]:
    """The validation errors of the model, which fail every update of an orphaned runner; empty for others."""
    if not gitlab.is_orphaned(runner):
        return {}
    owner = "exactly one group" if runner.runner_type == "group_type" else "at least one project"
    return {"runner": [f"needs to be assigned to {owner}"]}


def require_valid_owner(gitlab: FakeGitLab, runner: Runner) -> None:
    """Fail the reset of an orphaned runner's token, which saves the invalid model: 422, or 500 before 19.0."""
    model_errors = owner_errors(gitlab, runner)
    if model_errors and not gitlab.has("orphans_keep_their_token"):
        raise errors.internal_server_error()
    if model_errors:
        raise errors.grape_error(422, f"Validation failed: {full_messages(model_errors)}")

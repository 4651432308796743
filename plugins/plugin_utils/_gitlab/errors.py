# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with GitLab, each as one sentence for a person, without a token in it."""

from __future__ import annotations


class GitLabError(Exception):
    """GitLab gave no clear answer, or said no. Nothing may be concluded from it about runners or tokens."""


class OutcomeUnknown(GitLabError):
    """The request may have been carried out nevertheless."""


class NotGitLab(GitLabError):
    """Something else than GitLab's API answered, or GitLab in a form that this collection does not know."""


class UnsupportedVersion(GitLabError):
    """The server is older than what this collection can work with."""


class RateLimited(GitLabError):
    """GitLab had too many requests (429) or held a lock (409), and the wait that it asked for is over.

    Look before asking again.
    """


class RequestRejected(GitLabError):
    """GitLab itself answered, with a status that means no: `status` and its own message.

    missing_route: this version of GitLab has no such address.
    """

    def __init__(self, sentence: str, status: int, message: str, *, missing_route: bool = False) -> None:
        super().__init__(sentence)
        self.status = status
        self.message = message
        self.missing_route = missing_route


class RunnerNotFound(RequestRejected):
    """GitLab says that there is no such runner (any more)."""


SCOPES = {
    "create": "create_runner",
    "change": "manage_runner",
    "list": "read_api",
}
"""What a least-privilege token needs for what."""


def explain(need: str, status: int, message: str) -> str:
    """A sentence for a rejection by GitLab. `need` is a key of SCOPES, or "runner" where a runner's token was used."""
    if status == 401:
        return "GitLab does not accept the API token: it is wrong, expired or revoked."
    if "insufficient_scope" in message:
        return (
            f"The API token lacks the scope {SCOPES.get(need, 'api')} (api includes it). A token for this collection "
            "needs create_runner and manage_runner, and read_api to find a runner whose token is lost."
        )
    if status == 410:
        return (
            "GitLab has registration tokens switched off (410): an administrator or the group's owner can allow them "
            "again, but they are being removed from GitLab; use api_token or an existing runner token instead."
        )
    if status == 403 and need == "registration":
        return "GitLab does not know the registration token (it was reset, or belongs to another GitLab)."
    if status == 403:
        return (
            f'GitLab forbids it ("{message}"): the API token\'s user may not do this here. Instance runners need an '
            "administrator, group runners an owner of the group, project runners a maintainer or owner of the project."
        )
    if status == 404:
        return f'GitLab does not find it ("{message}"): is the group_id or project_id right, and may the user see it?'
    if status == 422:
        return f'GitLab cannot do it ("{message}"): the group or project that owned the runner is gone.'
    return f'GitLab refuses it ({status}, "{message}").'

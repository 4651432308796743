# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab's runner API: every answer is either clear or a GitLabError.

Clear is only JSON of the expected shape with GitLab's own words. A proxy's 403, a maintenance page's 404, a captive
portal's 200 are read as outages, never as "this runner is gone" or "this token is refused".

What may be repeated is repeated a few times. Creating and resetting may not: after a reply that did not come they
raise OutcomeUnknown, after a 429 RateLimited, and the caller looks before it asks again.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab import graphql, responses
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import (
    GitLabError,
    NotGitLab,
    OutcomeUnknown,
    RateLimited,
    RequestRejected,
    RunnerNotFound,
    UnsupportedVersion,
    explain,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import (
    Credential,
    ListedRunner,
    Manager,
    Runner,
    RunnerScope,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import (
    GRAPHQL,
    Answer,
    Transport,
    Unreached,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._tokens import mask_tokens

ATTEMPTS = 3
PATIENCE = 90.0
"""Seconds that one request may spend waiting because GitLab asked for it (its own limits say Retry-After: 60)."""

OLDEST_VERSION = (16, 11)
"""The oldest GitLab that the tests run against. Before 16.10 its REST API shows no maintenance notes."""

PER_PAGE = 100

T = TypeVar("T")


@dataclass(frozen=True)
class _Failure:
    """No clear answer. perhaps_done: the request may have been carried out. final: asking again would not help.

    busy: GitLab has too many requests or holds a lock. foreign: something else than GitLab answered. pause: how many
    seconds GitLab asks to wait.
    """

    what: str
    perhaps_done: bool
    final: bool = False
    busy: bool = False
    foreign: bool = False
    pause: float = 0.0


class GitLab:
    """The runner API of one GitLab. Every method raises GitLabError for whatever is not a clear answer.

    sleep, monotonic and jitter are those of time and random; tests give their own.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._sleep = sleep
        self._monotonic = monotonic
        self._jitter = jitter
        self._date: datetime | None = None
        self._date_read_at = 0.0

    def clock(self) -> datetime:
        """The server's time, reckoned from its last answer.

        GET /version without a token if there was none yet, for the clocks of two control nodes may differ: whatever
        GitLab says to that, it says when. This machine's time if GitLab does not tell. Raises GitLabError.
        """
        if self._date is None:
            with suppress(RequestRejected):
                self._ask("get", "/version", "ask for the time", need="runner")
        if self._date is None:
            return datetime.now(UTC)
        return self._date + timedelta(seconds=self._monotonic() - self._date_read_at)

    def runner(self, runner_id: int) -> Runner | None:
        """GET /runners/:id. The runner, None if there is none. Raises UnsupportedVersion, GitLabError."""
        doing = f"read runner {runner_id}"
        try:
            answer = self._ask("get", f"/runners/{runner_id}", doing, need="change")
        except RunnerNotFound:
            return None
        return self._shape(doing, responses.runner, answer.body)

    def runner_if_readable(self, runner_id: int) -> Runner | None:
        """As runner(), but None also for one that the API token's user may not read: that one is not ours."""
        try:
            return self.runner(runner_id)
        except RequestRejected as rejection:
            if rejection.status == 403 and "No access granted" in rejection.message:
                return None
            raise

    def verify(self, token: str, system_id: str) -> Credential | None:
        """POST /runners/verify. Whose token it is, None if GitLab refuses it. Raises GitLabError.

        A heartbeat of the machine `system_id`, which it makes a manager of the runner.
        """
        # No `info`: that would enter this program's version as the machine's. The Pi's own process sends its own.
        doing = "verify the runner's token"
        body = {"token": token, "system_id": system_id}
        try:
            answer = self._ask("post", "/runners/verify", doing, need="runner", body=body, success=(200,))
        except RequestRejected as rejection:
            if rejection.status == 403 and rejection.message.startswith("403 Forbidden"):
                return None
            raise
        return self._shape(doing, lambda reply: responses.credential(reply, token=token), answer.body)

    def list_runners(self, scope: RunnerScope) -> tuple[ListedRunner, ...]:
        """All runners of the scope with their notes, by ID.

        By GraphQL, a hundred in one request; where the token or the server does not allow that, by REST, whose lists
        show no notes: there each runner is read. Raises UnsupportedVersion and GitLabError.
        """
        listed = self._list_by_graphql(scope)
        if listed is None:
            self._require_supported(self._version())
            # https://docs.gitlab.com/api/runners/#list-all-runners
            found = [self.runner_if_readable(runner_id) for runner_id in self._ids(scope)]
            listed = [ListedRunner(runner.id, runner.description, runner.note, runner) for runner in found if runner]
        return tuple(sorted(listed, key=lambda runner: runner.id))

    def managers(self, runner_id: int) -> tuple[Manager, ...] | None:
        """GET /runners/:id/managers. The machines that run it, None if GitLab is too old to say (before 17.5).

        Raises RunnerNotFound, GitLabError.
        """
        doing = f"read the managers of runner {runner_id}"
        try:
            answer = self._ask("get", f"/runners/{runner_id}/managers", doing, need="change")
        except RequestRejected as rejection:
            if rejection.missing_route:
                return None
            raise
        return self._shape(doing, lambda body: tuple(responses.manager(item) for item in _items(body)), answer.body)

    def create(self, scope: RunnerScope, attributes: Mapping[str, Any]) -> Credential:
        """POST /user/runners. A new runner and its token.

        Raises OutcomeUnknown if GitLab may have created one nevertheless, RateLimited if it has not, GitLabError.
        """
        doing = f"create a runner for {scope}"
        owner = {} if scope.owner is None else {scope.runner_type.replace("_type", "_id"): scope.owner}
        body = {"runner_type": scope.runner_type, **owner, **attributes}
        answer = self._ask("post", "/user/runners", doing, need="create", body=body, once=True, success=(201,))
        return self._shape(doing, responses.credential, answer.body, once=True)

    def register(self, registration_token: str, attributes: Mapping[str, Any]) -> Credential:
        """POST /runners. A new runner by a registration token. Raises as create."""
        doing = "register a runner"
        body = {"token": registration_token, **attributes}
        answer = self._ask("post", "/runners", doing, need="registration", body=body, once=True, success=(201,))
        return self._shape(doing, responses.credential, answer.body, once=True)

    def reset_token(self, runner_id: int) -> Credential:
        """POST /runners/:id/reset_authentication_token. The new token; the old one ends at once.

        Raises OutcomeUnknown if the old one may have ended, RateLimited if not, RunnerNotFound, GitLabError.
        """
        doing = f"reset the token of runner {runner_id}"
        path = f"/runners/{runner_id}/reset_authentication_token"
        answer = self._ask("post", path, doing, need="change", body={}, once=True, success=(201,))
        return self._shape(
            doing, lambda reply: responses.credential(reply, runner_id=runner_id), answer.body, once=True
        )

    def update(self, runner_id: int, changes: Mapping[str, Any]) -> Runner:
        """PUT /runners/:id. The runner after the changes, in GitLab's names. Raises RunnerNotFound, GitLabError."""
        doing = f"update runner {runner_id}"
        answer = self._ask("put", f"/runners/{runner_id}", doing, need="change", body=changes)
        return self._shape(doing, responses.runner, answer.body)

    def delete(self, runner_id: int) -> None:
        """DELETE /runners/:id. One that is gone already is fine. Raises GitLabError."""
        with suppress(RunnerNotFound):
            self._ask("delete", f"/runners/{runner_id}", f"delete runner {runner_id}", need="change", success=(204,))

    def delete_by_token(self, token: str) -> None:
        """DELETE /runners. The runner that a token stands for; an unknown token is fine. Raises GitLabError."""
        self._remove("/runners", "delete the runner by its token", {"token": token}, gone=(403, "403 Forbidden"))

    def delete_manager(self, token: str, system_id: str) -> None:
        """DELETE /runners/managers. One machine's share in the runner that a token stands for.

        A machine that is gone already is fine. Raises GitLabError.
        """
        body = {"token": token, "system_id": system_id}
        self._remove("/runners/managers", "remove this machine from the runner", body, gone=(404, "404 "))

    def _remove(self, path: str, doing: str, body: Mapping[str, Any], *, gone: tuple[int, str]) -> None:
        status, words = gone
        try:
            self._ask("delete", path, doing, need="runner", body=body, success=(204,))
        except RequestRejected as rejection:
            if rejection.status != status or not rejection.message.startswith(words):
                raise

    def _list_by_graphql(self, scope: RunnerScope) -> list[ListedRunner] | None:
        """The scope's runners with their notes; None where the token or the server does not allow GraphQL."""
        try:
            return list(self._graphql_pages(scope, self._full_path(scope)))
        except (RequestRejected, NotGitLab):
            return None  # REST is asked the same, and says what is wrong if something is

    def _full_path(self, scope: RunnerScope) -> str | None:
        if scope.owner is None:
            return None
        kind = scope.runner_type.removesuffix("_type")
        query = {"with_projects": "false"} if kind == "group" else {"simple": "true"}
        doing = f"list the runners of {scope}"
        answer = self._ask("get", f"/{kind}s/{scope.owner}", doing, need="list", query=query)
        return self._shape(doing, responses.full_path, answer.body)

    def _graphql_pages(self, scope: RunnerScope, path: str | None) -> Iterator[ListedRunner]:
        doing = f"list the runners of {scope}"
        after: str | None = None
        while True:
            body = graphql.request(scope, path, after)
            answer = self._ask("post", GRAPHQL, doing, need="list", body=body)
            page = self._shape(doing, lambda reply: graphql.page(scope, reply), answer.body)
            self._require_supported(page.version)
            yield from page.runners
            if page.following is None:
                return
            after = page.following

    def _version(self) -> str:
        """The server's version, "" where the token may not ask for it."""
        doing = "read GitLab's version"
        try:
            answer = self._ask("get", "/version", doing, need="list")
        except RequestRejected:
            return ""
        return self._shape(doing, responses.version, answer.body)

    def _require_supported(self, version: str) -> None:
        """Raises UnsupportedVersion for one that is too old; one that is not known passes."""
        found = re.match(r"(\d+)\.(\d+)", version)
        if found and (int(found[1]), int(found[2])) < OLDEST_VERSION:
            raise self._unsupported(version)

    def _unsupported(self, version: str) -> UnsupportedVersion:
        oldest = ".".join(map(str, OLDEST_VERSION))
        found = f"is version {version}" if version else "is too old: it shows no maintenance notes"
        return UnsupportedVersion(
            f"GitLab at {self._transport.url} {found}. With an API token this collection needs GitLab {oldest} or "
            "newer: update GitLab, or use registration_token."
        )

    def _ids(self, scope: RunnerScope) -> list[int]:
        """The ids of all runners of the scope. Pages shift while somebody deletes runners: then all is read again."""
        for _attempt in range(ATTEMPTS):
            pages = list(self._pages(scope))
            if len({total for total, _ids in pages}) == 1:
                return [runner_id for _total, ids in pages for runner_id in ids]
        raise GitLabError(f"Could not list the runners of {scope} at {self._transport.url}: the list keeps changing.")

    def _pages(self, scope: RunnerScope) -> Iterator[tuple[str, list[int]]]:
        path = {
            "instance_type": "/runners/all",
            "group_type": f"/groups/{scope.owner}/runners",
            "project_type": f"/projects/{scope.owner}/runners",
        }[scope.runner_type]
        doing = f"list the runners of {scope}"
        page = 1
        while page:
            query = {"type": scope.runner_type, "per_page": PER_PAGE, "page": page}
            answer = self._ask("get", path, doing, need="list", query=query)
            ids = self._shape(doing, lambda body: [responses.whole_id(item) for item in _items(body)], answer.body)
            yield answer.headers.get("X-Total", ""), ids
            following = answer.headers.get("X-Next-Page", str(page + 1) if len(ids) == PER_PAGE else "")
            page = int(following) if following.isdigit() and int(following) > page else 0

    def _ask(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        need: str,
        once: bool = False,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        success: tuple[int, ...] = (200,),
    ) -> Answer:
        """Ask until the answer is clear, a few times at most; `once`: no second time if GitLab had the first.

        need: see explain(). Raises RequestRejected for GitLab's no, with `once` OutcomeUnknown or RateLimited, and
        GitLabError.
        """
        attempt, waited = 0, 0.0
        while True:
            result = self._try(
                method, path, success, as_runner=need in ("runner", "registration"), body=body, query=query
            )
            if isinstance(result, Answer):
                self._remember_date(result)
                if result.status in success:
                    return result
                message = self._scrub(responses.error_message(result.body), body)
                sentence = self._sentence(doing, explain(need, result.status, message))
                if result.status == 404 and responses.is_missing_record(result.body):
                    raise RunnerNotFound(sentence, result.status, message)
                missing_route = responses.is_missing_route(result.body)
                raise RequestRejected(sentence, result.status, message, missing_route=missing_route)
            if once and result.perhaps_done:
                why = f"{result.what}. It may have been done nevertheless: run again, the next run looks first."
                raise OutcomeUnknown(self._sentence(doing, why))
            # spread, for the forks of a play are refused together and would come back together
            pause = max(float(2**attempt), result.pause) * (1 + self._jitter() / 4)
            attempt, waited = attempt + 1, waited + pause
            if waited > PATIENCE:
                why = f"{result.what}; it asks to wait {result.pause:.0f} s, which is more than this run waits."
                raise GitLabError(self._sentence(doing, why))
            if result.final or attempt == ATTEMPTS:
                kind = NotGitLab if result.foreign else GitLabError
                raise kind(self._sentence(doing, f"{result.what}. Run again when that is put right."))
            self._sleep(pause)
            if once and result.busy:
                raise RateLimited(self._sentence(doing, f"{result.what}. Run again in a while."))

    def _try(self, method: str, path: str, success: tuple[int, ...], **request: Any) -> Answer | _Failure:
        """One request: an answer that is clearly GitLab's own, be it yes or no, or what was wrong."""
        try:
            answer = self._transport.request(method, path, **request)
        except Unreached as problem:
            return _Failure(str(problem), problem.perhaps_done, problem.permanent)
        if answer.status in success and (answer.is_json or answer.status == 204):
            return answer
        if answer.status == 429:
            pause = _retry_after(answer)
            return _Failure("it has too many requests (429)", perhaps_done=False, busy=True, pause=pause)
        if answer.status == 409 and responses.is_locked(answer.body):
            return _Failure("somebody else is changing the same there (409)", perhaps_done=False, busy=True)
        if answer.status >= 500:
            pause = _retry_after(answer)
            return _Failure(f"it is not working ({answer.status})", perhaps_done=True, pause=pause)
        if answer.status >= 400 and responses.error_message(answer.body):
            return answer
        what = "JSON that is not GitLab's" if answer.is_json else "something that is not JSON"
        return _Failure(
            f"the answer is {answer.status} with {what}: a proxy, a login page or another server answers instead",
            perhaps_done=answer.status < 300,
            final=True,
            foreign=True,
        )

    def _remember_date(self, answer: Answer) -> None:
        date = _date(answer)
        if date:
            self._date, self._date_read_at = date, self._monotonic()

    def _shape(self, doing: str, read: Callable[[Any], T], body: Any, *, once: bool = False) -> T:
        try:
            return read(body)
        except responses.UnexpectedResponse:
            kind = OutcomeUnknown if once else NotGitLab
            raise kind(self._sentence(doing, "the answer is JSON, but not GitLab's.")) from None
        except responses.NoMaintenanceNote:
            raise self._unsupported(self._version()) from None

    def _sentence(self, doing: str, why: str) -> str:
        return f"Could not {doing} at {self._transport.url}: {why}"

    def _scrub(self, text: str, body: Mapping[str, Any] | None) -> str:
        """Without the tokens that were sent and any other: what refuses may quote all it knows."""
        for secret in (self._transport.api_token, (body or {}).get("token")):
            text = text.replace(secret, "(token)") if secret else text
        return mask_tokens(text)


def _items(body: Any) -> list[Any]:
    if not isinstance(body, list):
        raise responses.UnexpectedResponse
    return body


def _retry_after(answer: Answer) -> float:
    """Seconds to wait, 0 if the answer does not say. The header holds seconds or a date (RFC 9110, 10.2.3)."""
    value = answer.headers.get("Retry-After", "")
    if re.fullmatch("[0-9]+", value):
        return float(value)
    until = _http_date(value)
    return max(0.0, (until - (_date(answer) or datetime.now(UTC))).total_seconds()) if until else 0.0


def _date(answer: Answer) -> datetime | None:
    return _http_date(answer.headers.get("Date", ""))


def _http_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for a year of many digits
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

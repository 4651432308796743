# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab's runner API: every answer is either clear or a GitLabError.

Clear is only JSON of the expected shape with GitLab's own words. A proxy's 403, a maintenance page's 404, a captive
portal's 200 are read as outages, never as "this runner is gone" or "this token is refused".

What may be repeated is repeated a few times. Creating and resetting may not: after a reply that did not come they
raise OutcomeUnknown, after a 429 Postponed, and the caller looks before it asks again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from ansible_collections.pifleet.ci.plugins.plugin_utils import _gitlab_answers as answers
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab_errors import (
    GitLabError,
    OutcomeUnknown,
    Postponed,
    Refused,
    Vanished,
    explain,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab_transport import Answer, Transport, Unreached
from ansible_collections.pifleet.ci.plugins.plugin_utils._redaction import TOKEN
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration_model import Credential, Manager, Place, Runner

ATTEMPTS = 3
PATIENCE = 75.0
"""Seconds that one request may spend waiting because GitLab asked for it (its own limits say Retry-After: 60)."""

PER_PAGE = 100

T = TypeVar("T")


@dataclass(frozen=True)
class _Trouble:
    """No clear answer. perhaps_done: the request may have been carried out. final: asking again would not help.

    busy: GitLab has too many requests, and asks to wait for `pause` seconds.
    """

    what: str
    perhaps_done: bool
    final: bool = False
    busy: bool = False
    pause: float = 0.0


class GitLab:
    """The GitLabPort of a real server. `sleep` is time.sleep; tests give their own."""

    def __init__(self, transport: Transport, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._transport = transport
        self._sleep = sleep
        self._clock: datetime | None = None

    def clock(self) -> datetime:
        return self._clock or datetime.now(UTC)

    def runner(self, runner_id: int) -> Runner | None:
        doing = f"read runner {runner_id}"
        try:
            answer = self._ask("get", f"/runners/{runner_id}", doing, need="change")
        except Vanished:
            return None
        return self._shape(doing, answers.runner, answer.body)

    def verify(self, token: str, system_id: str) -> Credential | None:
        # No `info`: that would enter this program's version as the machine's. The Pi's own process sends its own.
        doing = "verify the runner's token"
        body = {"token": token, "system_id": system_id}
        try:
            answer = self._ask("post", "/runners/verify", doing, need="runner", body=body, success=(200,))
        except Refused as refusal:
            if refusal.status == 403 and refusal.words.startswith("403 Forbidden"):
                return None
            raise
        return self._shape(doing, lambda reply: answers.credential(reply, token=token), answer.body)

    def runners_with_key(self, place: Place, key: str) -> tuple[Runner, ...]:
        # lists show no notes: https://docs.gitlab.com/api/runners/#list-all-runners
        candidates = [self._candidate(runner_id) for runner_id in sorted(self._ids(place))]
        return tuple(candidate for candidate in candidates if candidate and candidate.key == key)

    def managers(self, runner_id: int) -> tuple[Manager, ...]:
        doing = f"read the managers of runner {runner_id}"
        answer = self._ask("get", f"/runners/{runner_id}/managers", doing, need="change")
        return self._shape(doing, lambda body: tuple(answers.manager(item) for item in _items(body)), answer.body)

    def create(self, place: Place, attributes: Mapping[str, Any]) -> Credential:
        doing = f"create a runner for {place}"
        owner = {} if place.owner is None else {place.runner_type.replace("_type", "_id"): place.owner}
        body = {"runner_type": place.runner_type, **owner, **attributes}
        answer = self._ask("post", "/user/runners", doing, need="create", body=body, once=True, success=(201,))
        return self._shape(doing, answers.credential, answer.body, once=True)

    def register(self, registration_token: str, attributes: Mapping[str, Any]) -> Credential:
        doing = "register a runner"
        body = {"token": registration_token, **attributes}
        answer = self._ask("post", "/runners", doing, need="registration", body=body, once=True, success=(201,))
        return self._shape(doing, answers.credential, answer.body, once=True)

    def reset_token(self, runner_id: int) -> Credential:
        doing = f"reset the token of runner {runner_id}"
        path = f"/runners/{runner_id}/reset_authentication_token"
        answer = self._ask("post", path, doing, need="change", body={}, once=True, success=(201,))
        return self._shape(doing, lambda reply: answers.credential(reply, runner_id=runner_id), answer.body, once=True)

    def update(self, runner_id: int, changes: Mapping[str, Any]) -> Runner:
        doing = f"update runner {runner_id}"
        answer = self._ask("put", f"/runners/{runner_id}", doing, need="change", body=changes)
        return self._shape(doing, answers.runner, answer.body)

    def delete(self, runner_id: int) -> None:
        with suppress(Vanished):
            self._ask("delete", f"/runners/{runner_id}", f"delete runner {runner_id}", need="change", success=(204,))

    def delete_by_token(self, token: str) -> None:
        self._remove("/runners", "delete the runner by its token", {"token": token}, gone=(403, "403 Forbidden"))

    def delete_manager(self, token: str, system_id: str) -> None:
        body = {"token": token, "system_id": system_id}
        self._remove("/runners/managers", "remove this machine from the runner", body, gone=(404, "404 "))

    def _remove(self, path: str, doing: str, body: Mapping[str, Any], *, gone: tuple[int, str]) -> None:
        status, words = gone
        try:
            self._ask("delete", path, doing, need="runner", body=body, success=(204,))
        except Refused as refusal:
            if refusal.status != status or not refusal.words.startswith(words):
                raise

    def _candidate(self, runner_id: int) -> Runner | None:
        """A runner of a list in detail; None if it is gone, or if we may not read it: then it is not ours."""
        try:
            return self.runner(runner_id)
        except Refused as refusal:
            if refusal.status == 403 and "No access granted" in refusal.words:
                return None
            raise

    def _ids(self, place: Place) -> list[int]:
        """The ids of all runners of the place. Pages shift while somebody deletes runners: then all is read again."""
        for _attempt in range(ATTEMPTS):
            pages = list(self._pages(place))
            if len({total for total, _ids in pages}) == 1:
                return [runner_id for _total, ids in pages for runner_id in ids]
        raise GitLabError(f"Could not list the runners of {place} at {self._transport.url}: the list keeps changing.")

    def _pages(self, place: Place) -> Iterator[tuple[str, list[int]]]:
        path = {
            "instance_type": "/runners/all",
            "group_type": f"/groups/{place.owner}/runners",
            "project_type": f"/projects/{place.owner}/runners",
        }[place.runner_type]
        doing = f"list the runners of {place}"
        page = 1
        while page:
            query = {"type": place.runner_type, "per_page": PER_PAGE, "page": page}
            answer = self._ask("get", path, doing, need="list", query=query)
            ids = self._shape(doing, lambda body: [answers.whole_id(item) for item in _items(body)], answer.body)
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

        need: see explain(). Raises Refused for GitLab's no, with `once` OutcomeUnknown or Postponed, and GitLabError.
        """
        attempt, waited = 0, 0.0
        while True:
            got = self._try(method, path, success, as_runner=need in ("runner", "registration"), body=body, query=query)
            if isinstance(got, Answer):
                self._clock = _date(got) or self._clock
                if got.status in success:
                    return got
                said = self._scrub(answers.words_of(got.body), body)
                kind = Vanished if (got.status, said) == (404, "404 Runner Not Found") else Refused
                raise kind(self._sentence(doing, explain(need, got.status, said)), got.status, said)
            if once and got.perhaps_done:
                why = f"{got.what}. It may have been done nevertheless: run again, the next run looks first."
                raise OutcomeUnknown(self._sentence(doing, why))
            pause = max(float(2**attempt), got.pause)
            attempt, waited = attempt + 1, waited + pause
            if waited > PATIENCE:
                why = f"{got.what}; it asks to wait {pause:.0f} s, which is more than this run waits."
                raise GitLabError(self._sentence(doing, why))
            if got.final or attempt == ATTEMPTS:
                raise GitLabError(self._sentence(doing, f"{got.what}. Run again when that is put right."))
            self._sleep(pause)
            if once and got.busy:
                raise Postponed(self._sentence(doing, f"{got.what}. Run again in a while."))

    def _try(self, method: str, path: str, success: tuple[int, ...], **request: Any) -> Answer | _Trouble:
        """One request: an answer that is clearly GitLab's own, be it yes or no, or what was wrong."""
        try:
            answer = self._transport.request(method, path, **request)
        except Unreached as problem:
            return _Trouble(str(problem), problem.perhaps_done, problem.permanent)
        if answer.status in success and (answer.is_json or answer.status == 204):
            return answer
        if answer.status == 429:
            pause = _retry_after(answer)
            return _Trouble("it has too many requests (429)", perhaps_done=False, busy=True, pause=pause)
        if answer.status >= 500:
            return _Trouble(f"it is not working ({answer.status})", perhaps_done=True)
        if answer.status >= 400 and answers.words_of(answer.body):
            return answer
        what = "JSON that is not GitLab's" if answer.is_json else "something that is not JSON"
        return _Trouble(
            f"the answer is {answer.status} with {what}: a proxy, a login page or another server answers instead",
            perhaps_done=answer.status < 300,
            final=True,
        )

    def _shape(self, doing: str, read: Callable[[Any], T], body: Any, *, once: bool = False) -> T:
        try:
            return read(body)
        except answers.Misshapen:
            kind = OutcomeUnknown if once else GitLabError
            raise kind(self._sentence(doing, "the answer is JSON, but not GitLab's.")) from None

    def _sentence(self, doing: str, why: str) -> str:
        return f"Could not {doing} at {self._transport.url}: {why}"

    def _scrub(self, text: str, body: Mapping[str, Any] | None) -> str:
        """Without the tokens that were sent and any other: what refuses may quote all it knows."""
        for secret in (self._transport.api_token, (body or {}).get("token")):
            text = text.replace(secret, "(token)") if secret else text
        return TOKEN.sub("(token)", text)


def _items(body: Any) -> list[Any]:
    if not isinstance(body, list):
        raise answers.Misshapen
    return body


def _retry_after(answer: Answer) -> float:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def _date(answer: Answer) -> datetime | None:
    try:
        date = parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

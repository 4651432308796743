# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP exchange with GitLab: an Answer, or Unreached. Nothing is repeated, no redirect followed, no status judged.

Why requests and not python-gitlab: docs/adr/0018-requests-for-http.md.
"""

from __future__ import annotations

import json
import ssl
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

try:
    import requests
    import urllib3
    from urllib3.exceptions import LocationValueError, NameResolutionError  # the latter since urllib3 2.0
except ImportError:
    IMPORT_ERROR: str | None = traceback.format_exc()
else:
    IMPORT_ERROR = None

CONNECT_SECONDS = 10.0

GRAPHQL = "/api/graphql"


@dataclass(frozen=True)
class Answer:
    """What came back. `body` is the parsed JSON, and `is_json` False when it was none (HTML, nothing, or broken)."""

    status: int
    headers: Mapping[str, str]
    body: Any
    is_json: bool


class Unreached(Exception):
    """No answer came. `sentence` says why without quoting requests' own text, which may hold what was sent."""

    def __init__(self, sentence: str, *, perhaps_done: bool, permanent: bool = False) -> None:
        super().__init__(sentence)
        self.perhaps_done = perhaps_done
        self.permanent = permanent


class Transport:
    """A session with one GitLab.

    url: http or https, without /api/v4 and a slash at its end. api_token: None for the runner API alone. verify: True,
    False, or the path of a CA file. timeout: seconds for each wait on the server.
    """

    def __init__(self, url: str, api_token: str | None, *, verify: bool | str, timeout: float) -> None:
        self.url = url
        self.api_token = api_token
        self._verify = verify
        self._timeout = (min(CONNECT_SECONDS, timeout), timeout)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "pifleet.ci"
        # without any authentication of ours requests would look into ~/.netrc
        self._session.auth = _no_authentication
        if verify is False:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def request(
        self,
        method: str,
        path: str,
        *,
        as_runner: bool,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send one request below /api/v4, or to GRAPHQL. `as_runner`: without the API token. Raises Unreached."""
        try:
            response = self._session.request(
                method,
                f"{self.url}{path}" if path == GRAPHQL else f"{self.url}/api/v4{path}",
                headers={"PRIVATE-TOKEN": self.api_token} if self.api_token and not as_runner else {},
                params=query,
                json=None if body is None else dict(body),
                timeout=self._timeout,
                # REQUESTS_CA_BUNDLE would go before the session's: https://github.com/psf/requests/issues/3829
                verify=self._verify,
                # requests would carry PRIVATE-TOKEN to whatever host a redirect names. Even when told not to follow it
                # parses the address, and raises ValueError where it is none; the hook comes before that.
                allow_redirects=False,
                hooks={"response": _refuse_redirect},
            )
        except (OSError, urllib3.exceptions.HTTPError) as error:  # what requests raises is an OSError
            raise _unreached(error) from None
        return _answer(response)


def _no_authentication(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _refuse_redirect(response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
    if not response.is_redirect:
        return
    try:
        target = urlsplit(response.headers["Location"])
    except ValueError:
        target = urlsplit("")
    host = target.netloc.rpartition("@")[2]  # before it there may be a password
    where = f"{target.scheme}://{host}" if target.scheme and host else "another address"
    raise Unreached(
        f"it redirects to {where}; give the address that GitLab itself uses as url (a login page in between would "
        "redirect too)",
        perhaps_done=False,
        permanent=True,
    )


def _answer(response: requests.Response) -> Answer:
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    try:
        body, is_json = json.loads(response.content), kind == "application/json"
    except ValueError:
        body, is_json = None, False
    return Answer(response.status_code, response.headers, body if is_json else None, is_json)


def _unreached(error: Exception) -> Unreached:
    """Whether the request can have arrived, and a sentence. requests wraps urllib3, which wraps the socket's error."""
    causes = list(_causes(error))
    text = " ".join(str(cause) for cause in causes)
    if any(map(_is_failed_handshake, causes)):
        return Unreached(_tls_sentence(text), perhaps_done=False, permanent=True)
    if isinstance(error, requests.exceptions.ProxyError):
        return Unreached("the proxy of this control node does not let the request through", perhaps_done=False)
    if any(isinstance(cause, NameResolutionError) for cause in causes):
        return Unreached("its name cannot be resolved on the control node", perhaps_done=False)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Unreached("the connection timed out", perhaps_done=False)
    if any(isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in causes):
        return Unreached("the connection was refused or the network is down", perhaps_done=False)
    if isinstance(error, requests.exceptions.Timeout):
        return Unreached("it did not answer in time", perhaps_done=True)
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, LocationValueError)):
        return Unreached(
            "the url, or that of a proxy in the environment, is none that can be asked",
            perhaps_done=False,
            permanent=True,
        )
    return Unreached("the connection was cut before the answer was complete", perhaps_done=True)


def _is_failed_handshake(error: BaseException) -> bool:
    """Whether TLS was not agreed on, so that nothing was sent. Later TLS errors have no class of their own."""
    if isinstance(error, (ssl.SSLCertVerificationError, urllib3.util.ssl_match_hostname.CertificateError)):
        return True
    frames = traceback.walk_tb(error.__traceback__) if isinstance(error, ssl.SSLError) else ()
    return any(frame.f_code.co_name == "do_handshake" for frame, _line in frames)


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseException) and each not in found:
            found.append(each)
            waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
    return found


def _tls_sentence(text: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" not in text:
        return "TLS cannot be agreed on (is this an https address, and is a proxy in between?)"
    if "Hostname mismatch" in text or "doesn't match" in text or "IP address mismatch" in text:
        return "its certificate is for another name"
    if "expired" in text:
        return "its certificate has expired (or a clock is wrong)"
    return (
        "its certificate is not signed by an authority the control node knows; ca_path names the file with the "
        "certificate of your own authority"
    )

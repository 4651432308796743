# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP exchange with GitLab through python-gitlab: an Answer, or Unreached. No retries, redirects, or meaning."""

from __future__ import annotations

import json
import ssl
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

try:
    import gitlab
    import requests
    import urllib3
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

    url: without /api/v4. api_token: None for the runner API alone. verify: True, False, or the path of a CA file.
    timeout: seconds for each wait on the server.
    """

    def __init__(self, url: str, api_token: str | None, *, verify: bool | str, timeout: float) -> None:
        session = requests.Session()
        # requests would carry the PRIVATE-TOKEN header to whatever host a redirect names
        session.max_redirects = 0
        # without any authentication of ours requests would look into ~/.netrc
        session.auth = _no_authentication
        session.hooks["response"].append(self._remember)
        if verify is False:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        options: dict[str, Any] = {
            "ssl_verify": verify,
            "timeout": (min(CONNECT_SECONDS, timeout), timeout),
            "session": session,
        }
        self.url = url
        self.api_token = api_token
        self._as_user = gitlab.Gitlab(url, private_token=api_token, **options)
        self._as_runner = gitlab.Gitlab(url, **options)
        self._response: requests.Response | None = None

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
        client = self._as_runner if as_runner else self._as_user
        if path == GRAPHQL:
            path = f"{self.url}{path}"
        self._response = None
        try:
            client.http_request(
                method,
                path,
                query_data=dict(query or {}),
                post_data=dict(body) if body is not None else None,
                obey_rate_limit=False,
                retry_transient_errors=False,
                max_retries=0,
            )
        except gitlab.exceptions.GitlabError:
            pass  # a status that is no success: judged by its answer like any other
        except requests.exceptions.TooManyRedirects as error:
            raise _redirected(error.response) from None
        except (requests.exceptions.RequestException, OSError) as error:
            raise _unreached(error) from None
        if self._response is None:
            raise Unreached("no answer was received", perhaps_done=True)
        return _answer(self._response)

    def _remember(self, response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
        self._response = response


def _no_authentication(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _answer(response: requests.Response) -> Answer:
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    try:
        body, is_json = json.loads(response.content), kind == "application/json"
    except ValueError:
        body, is_json = None, False
    return Answer(response.status_code, response.headers, body if is_json else None, is_json)


def _redirected(response: requests.Response | None) -> Unreached:
    target = urlsplit(response.headers.get("Location", "") if response is not None else "")
    host = target.netloc.rpartition("@")[2]  # before it there may be a password
    where = f"{target.scheme}://{host}" if host else "another address"
    return Unreached(
        f"it redirects to {where}; give the address that GitLab itself uses as url (a login page in between would "
        "redirect too)",
        perhaps_done=False,
        permanent=True,
    )


def _unreached(error: Exception) -> Unreached:
    """Whether the request can have arrived, and a sentence. requests wraps urllib3, which wraps the socket's error."""
    causes = list(_causes(error))
    text = " ".join(str(cause) for cause in causes)
    if any(map(_is_failed_handshake, causes)):
        return Unreached(_tls_sentence(text), perhaps_done=False, permanent=True)
    if isinstance(error, requests.exceptions.ProxyError):
        return Unreached("the proxy of this control node does not let the request through", perhaps_done=False)
    if any(isinstance(cause, urllib3.exceptions.NameResolutionError) for cause in causes):
        return Unreached("its name cannot be resolved on the control node", perhaps_done=False)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Unreached("the connection timed out", perhaps_done=False)
    if any(isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in causes):
        return Unreached("the connection was refused or the network is down", perhaps_done=False)
    if isinstance(error, requests.exceptions.Timeout):
        return Unreached("it did not answer in time", perhaps_done=True)
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return Unreached("the url is not one", perhaps_done=False, permanent=True)
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

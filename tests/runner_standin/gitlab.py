# SPDX-License-Identifier: GPL-3.0-or-later
"""A client for the endpoints that GitLab Runner uses: https://docs.gitlab.com/api/runners/"""

from __future__ import annotations

import dataclasses
import http.client
import json
import logging
import platform
import ssl
import urllib.parse
from collections.abc import Mapping
from typing import Any

from runner_standin import REVISION, VERSION
from runner_standin.config import Runner

_TIMEOUT = 60.0
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}
_FEATURES = dict.fromkeys(
    [
        "cancel_gracefully",
        "cancelable",
        "image",
        "masking",
        "raw_variables",
        "refspecs",
        "return_exit_code",
        "services",
        "shared",
        "trace_checksum",
        "trace_reset",
        "trace_size",
        "two_phase_job_commit",
        "variables",
    ],
    True,
)
_LOG = logging.getLogger(__name__)


class RequestFailed(Exception):
    """No usable response: the network, TLS, HTTP or the JSON of the body failed."""


@dataclasses.dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise RequestFailed(f"the server answered {self.status} without JSON in the body") from error


def architecture() -> str:
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


class Client:
    """Requests for one `[[runners]]` entry. The methods raise RequestFailed."""

    def __init__(self, runner: Runner, system_id: str) -> None:
        self._runner = runner
        self._system_id = system_id
        self._url = urllib.parse.urlsplit(runner.url)

    def info(self) -> dict[str, Any]:
        return {
            "name": "gitlab-runner",
            "version": VERSION,
            "revision": REVISION,
            "platform": "linux",
            "architecture": architecture(),
            "executor": self._runner.executor,
            "shell": self._runner.settings.get("shell", "bash"),
            "features": _FEATURES,
            "labels": self._runner.settings.get("labels", {}),
        }

    def verify(self) -> Reply:
        return self._post("runners/verify", {"info": self.info()})

    def reset_token(self) -> Reply:
        """The only request without the system id, as in GitLab Runner."""
        return self._json("POST", "runners/reset_authentication_token", {"token": self._runner.token}, {})

    def request_job(self, last_update: str) -> Reply:
        return self._post("jobs/request", {"info": self.info(), "last_update": last_update})

    def update_job(self, job: int, token: str, update: Mapping[str, Any]) -> Reply:
        body = {"info": self.info(), "token": token, **update}
        return self._json("PUT", f"jobs/{job}", body, {"JOB-TOKEN": token})

    def patch_trace(self, job: int, token: str, start: int, content: bytes) -> Reply:
        """Append `content` at offset `start` of the trace; the end of `Content-Range` is inclusive."""
        headers = {
            "JOB-TOKEN": token,
            "Content-Type": "text/plain",
            "Content-Range": f"{start}-{start + len(content) - 1}",
        }
        return self._send("PATCH", f"jobs/{job}/trace?debug_trace=false", content, headers)

    def _post(self, path: str, body: Mapping[str, Any]) -> Reply:
        token = self._runner.token
        return self._json("POST", path, {"token": token, "system_id": self._system_id, **body}, {"RUNNER-TOKEN": token})

    def _json(self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Reply:
        headers = {"Content-Type": "application/json", "Accept": "application/json", **headers}
        return self._send(method, path, json.dumps(body).encode(), headers)

    def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        connection = None
        try:
            connection = self._connection()
            agent = {"User-Agent": f"gitlab-runner {VERSION} (standin; python; linux/{architecture()})"}
            connection.request(method, f"{self._url.path.rstrip('/')}/api/v4/{path}", body, {**agent, **headers})
            response = connection.getresponse()
            reply = Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise RequestFailed(f"{method} {self._url.scheme}://{self._url.netloc}: {error}") from error
        finally:
            if connection is not None:
                connection.close()
        _LOG.debug("%s %s status=%d runner=%s", method, path, reply.status, self._runner.short_token)
        return reply

    def _connection(self) -> http.client.HTTPConnection:
        host = self._url.hostname
        if host is None or self._url.scheme not in ("http", "https"):
            raise ValueError("the url has no host or is not http or https")
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, self._url.port, timeout=_TIMEOUT)
        return http.client.HTTPSConnection(host, self._url.port, timeout=_TIMEOUT, context=self._tls(host))

    def _tls(self, host: str) -> ssl.SSLContext:
        """The system's CAs plus the entry's: `tls-ca-file`, else `certs/<host>.crt` beside config.toml."""
        context = ssl.create_default_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # stricter than Go's verification
        certificates = self._runner.directory / "certs"
        ca_file = self._runner.settings.get("tls-ca-file") or certificates / f"{host}.crt"
        if "tls-ca-file" in self._runner.settings or (certificates / f"{host}.crt").exists():
            context.load_verify_locations(ca_file)
        client = self._runner.settings.get("tls-cert-file") or certificates / f"{host}.auth.crt"
        key = self._runner.settings.get("tls-key-file") or certificates / f"{host}.auth.key"
        if "tls-cert-file" in self._runner.settings or (certificates / f"{host}.auth.crt").exists():
            context.load_cert_chain(client, key)
        return context

# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server that a context of a kubeconfig speaks of, by Kubernetes' own client. No request is repeated.

Which library, and what it is kept from: docs/adr/0029-a-secret-is-the-second-home-of-a-runner.md.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.redaction import scrubbed
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFileError

try:
    import urllib3
    from kubernetes import client, config
    from kubernetes.config import kube_config
except ImportError:
    IMPORT_ERROR: str | None = traceback.format_exc()
else:
    IMPORT_ERROR = None

QUOTED = re.compile(r'"\{.*\}"|[A-Za-z0-9+/]{32,}=*', re.DOTALL)
"""What a message may show of a Secret: the object whose fields it does not like, or a value in base64."""

FIELD_MANAGER = "pifleet.ci"
"""Who is said to have written our keys (metadata.managedFields)."""

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_MANY_REQUESTS = 401, 403, 404, 409, 429


@dataclass(frozen=True)
class Status:
    """A refusal by the API server: its code, and of its Status object the reason, the causes and the message."""

    code: int
    reason: str = ""
    causes: tuple[str, ...] = ()
    message: str = ""


class Refused(Exception):
    """The API server said no. What that means depends on what it was asked."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"{status.code} {status.reason}")
        self.status = status


class Cluster:
    """A session with one API server. timeout: seconds for each wait on it. warnings: what is dangerous about it."""

    def __init__(self, api: Any, context: str, timeout: float) -> None:
        self._api, self._context, self._timeout = api, context, timeout
        self.warnings = list(self._dangers(api.api_client.configuration))

    def __str__(self) -> str:
        return f"the cluster of context {self._context}"

    def read_secret(self, namespace: str, name: str) -> Any:
        return self.request(self._api.read_namespaced_secret, name, namespace)

    def create_secret(self, namespace: str, body: Mapping[str, Any]) -> Any:
        return self.request(self._api.create_namespaced_secret, namespace, body, field_manager=FIELD_MANAGER)

    def patch_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> Any:
        return self.request(self._api.patch_namespaced_secret, name, namespace, body, field_manager=FIELD_MANAGER)

    def delete_secret(self, namespace: str, name: str, options: Mapping[str, Any]) -> Any:
        return self.request(self._api.delete_namespaced_secret, name, namespace, body=options)

    def read_namespace(self, name: str) -> Any:
        return self.request(self._api.read_namespace, name)

    def request(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """The object that one request returns. Raises Refused, and HostFileError where no clear answer came."""
        try:
            # the client's own models differ from release to release, and say what they hold when they do not like it
            response = operation(*arguments, **options, _preload_content=False, _request_timeout=self._timeout)
        except client.ApiException as error:
            raise self._refusal(error) from None
        except (OSError, urllib3.exceptions.HTTPError) as error:
            raise HostFileError(f"The API server of {self} {_unreached(error)}.") from None
        found = _object(response.data)
        if found is None:
            raise HostFileError(f"What answers at {self} is no API server: its answer is not a JSON object.")
        return found

    def _dangers(self, settings: Any) -> Iterator[str]:
        """As of the connection with GitLab."""
        if settings.host.startswith("http://"):
            yield f"The connection with {self} is not encrypted: whoever is in between reads the tokens. Use https."
        elif not settings.verify_ssl:
            yield (
                f"The certificate of {self} is not checked (insecure-skip-tls-verify): whoever is in between can read "
                "the tokens. Give certificate-authority in the kubeconfig."
            )

    def _refusal(self, error: Any) -> Exception:
        if not error.status:  # the client's way to say that TLS was not agreed on
            return HostFileError(
                f"The API server of {self} cannot be trusted: TLS cannot be agreed on. The cluster of the kubeconfig "
                "needs the certificate of the authority that signed the API server's."
            )
        answer = _object(error.body)
        if error.status == TOO_MANY_REQUESTS:  # said in plain text
            return HostFileError(f"The API server of {self} has too many requests at the moment (429); run it again.")
        if error.status >= 500 and answer is None:
            return HostFileError(f"The API server of {self}, or a proxy before it, is not working ({error.status}).")
        if answer is None or answer.get("kind") != "Status":
            return HostFileError(f"What answers at {self} is no API server: it says {error.status} in its own words.")
        if error.status == UNAUTHORIZED:
            return HostFileError(
                f"The API server of {self} does not accept the credentials of the kubeconfig (401), or a program that "
                "it names for them gave none. Does kubectl work with it?"
            )
        causes = (answer.get("details") or {}).get("causes") or ()
        reasons = tuple(str(cause.get("reason")) for cause in causes)
        message = QUOTED.sub("(left out)", scrubbed(str(answer.get("message") or "")))
        return Refused(Status(error.status, str(answer.get("reason") or ""), reasons, message))


@contextmanager
def connected(kubeconfig: str, context: str, timeout: float) -> Iterator[Cluster]:
    """The cluster of a context that a kubeconfig has. Nothing is sent yet. Raises HostFileError."""
    settings = client.Configuration()
    settings.retries = False  # a write whose answer was lost is looked at first
    with tempfile.TemporaryDirectory(prefix="pifleet-") as directory:
        try:
            if not os.path.isfile(kubeconfig):
                raise HostFileError(f"kubeconfig {kubeconfig} is not a file on the control node.")
            try:
                config.load_kube_config(
                    config_file=kubeconfig,
                    context=context,
                    client_configuration=settings,
                    temp_file_path=directory,
                )
            except Exception as error:  # it raises what its parsers and the programs for credentials raise
                raise HostFileError(_unusable(kubeconfig, context, error)) from None
            if not settings.verify_ssl:
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the warning is ours
            with client.ApiClient(settings) as session:
                yield Cluster(client.CoreV1Api(session), context, timeout)
        finally:
            # Keys of the kubeconfig are in files while they are needed. The client removes them at the end of the
            # process, which Ansible's workers leave without it, and would go on using the files of a former task.
            kube_config._cleanup_temp_files()


def _unusable(kubeconfig: str, context: str, error: Exception) -> str:
    if isinstance(error, config.ConfigException) and f"name {context} in" in str(error):
        return f'kubeconfig {kubeconfig} has no context "{context}", or not the cluster or the user that it names.'
    return (
        f'kubeconfig {kubeconfig} cannot be used with context "{context}" ({type(error).__name__}): it is no '
        "kubeconfig, or the program that it names for the credentials fails. Does kubectl work with it?"
    )


def _object(text: bytes | str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _unreached(error: Exception) -> str:
    """What became of a request without an answer, without quoting it."""
    errors = urllib3.exceptions
    if isinstance(error, errors.NameResolutionError):
        return "has a name that cannot be resolved on the control node"
    if isinstance(error, errors.ReadTimeoutError):
        return "did not answer in time"
    if isinstance(error, (errors.ConnectTimeoutError, errors.NewConnectionError)):
        return "cannot be reached: the connection was refused or timed out"
    if isinstance(error, (errors.SSLError, errors.ProxyError)):
        return "cannot be reached: TLS cannot be agreed on, or a proxy does not let the request through"
    return "cut the connection before its answer was complete"

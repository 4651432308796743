# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which every action that talks to GitLab is told where it is, and the client made from them."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.client import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import Transport

GITLAB_OPTIONS: dict[str, Any] = {
    "url": {"type": "str"},
    "api_token": {"type": "str", "no_log": True},
    "ca_path": {"type": "str"},
    "validate_certs": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 30.0},
}


class Connections:
    """The GitLab of any options that a task has; those with the same connection share it."""

    def __init__(self, absolute_path: Callable[[str], str]) -> None:
        self._absolute_path = absolute_path
        self._clients: dict[tuple[Any, ...], GitLab] = {}

    def get(self, options: Mapping[str, Any]) -> GitLab:
        """Return the client for the options, whose `ca_path` may be relative. Nothing is sent. Raises GitLabError."""
        own = {name: options[name] for name in GITLAB_OPTIONS}
        own["ca_path"] = own["ca_path"] and self._absolute_path(own["ca_path"])
        key = tuple(own.values())
        if key not in self._clients:
            self._clients[key] = connect(own)
        return self._clients[key]


def connect(options: Mapping[str, Any]) -> GitLab:
    """The GitLab that the options speak of; nothing is sent yet. `ca_path` is absolute here. Raises GitLabError."""
    url, api_token, ca_path = options["url"], options["api_token"], options["ca_path"]
    problems = [
        *url_problems(url),
        *token_problems("api_token", api_token),
        *timeout_problems(options["timeout"]),
    ]
    if problems:
        raise GitLabError(" ".join(problems))
    if ca_path:
        _check_authority(ca_path)
    verify = (ca_path or True) if options["validate_certs"] else False
    return GitLab(Transport(url.rstrip("/"), api_token, verify=verify, timeout=options["timeout"]))


def url_problems(url: str | None) -> Iterator[str]:
    """What is wrong with the option url, without quoting it: it may hold a password."""
    try:
        parts = urlsplit(url or "")
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        # what urlsplit strips and requests passes over would get into config.toml, which GitLab Runner then rejects
        is_address = is_address and not re.search(r"\s", url or "")
        extra = bool(parts.username or parts.password) or any(mark in (url or "") for mark in "?#")
    except ValueError:
        is_address = False
    if not is_address:
        yield "url is missing or not an http(s) address; give the address of GitLab, such as https://gitlab.example.com."
    elif extra or parts.path.rstrip("/").endswith("/api/v4"):
        yield "url holds more than GitLab's address: no user, no query, and without /api/v4."


def token_problems(option: str, token: str | None) -> Iterator[str]:
    """What is wrong with the token in the option, without quoting it. HTTP could not carry such a one in a header."""
    if token and not re.fullmatch(r"[\x21-\x7e]+", token):
        yield f"{option} holds blanks or other characters that no token has; is there a line end in the vault?"


def timeout_problems(seconds: float) -> Iterator[str]:
    """What is wrong with the option timeout."""
    if not seconds > 0:  # nan is not either
        yield f"timeout is {seconds} s; give more than 0."


def connection_warnings(options: Mapping[str, Any]) -> list[str]:
    """What is dangerous about the connection that the options speak of."""
    url = str(options["url"] or "")
    if url.startswith("http://"):
        return [f"{url} is not encrypted: whoever is in between reads the tokens. Use https."]
    if not options["validate_certs"]:
        return [
            f"The certificate of {url} is not checked (validate_certs: false): whoever is in between can read the "
            "tokens. Give ca_path for a private authority."
        ]
    return []


def _check_authority(ca_path: str) -> None:
    """Raises GitLabError for what OpenSSL cannot take certificates from."""
    if not os.path.isfile(ca_path):
        raise GitLabError(f"ca_path {ca_path} is not a file on the control node.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=ca_path)
    except ssl.SSLError:
        raise GitLabError(
            f"ca_path {ca_path} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)."
        ) from None
    except OSError as error:
        raise GitLabError(f"ca_path {ca_path} cannot be read on the control node: {error.strerror}.") from None

# SPDX-License-Identifier: GPL-3.0-or-later
"""What daemon.json of Docker Engine becomes, and what the engine has to do to take it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.redaction import SECRET_NAME, scrubbed

Config = dict[str, Any]

# json-file, the engine's own default, grows without bounds and fills an SD card. `local` is bounded and compresses;
# `docker logs` reads it like the other.
DEFAULT_DRIVER = "local"
LIMITS = {"max-size": "10m", "max-file": "3"}
LIMITED_DRIVERS = ("local", "json-file")
ENGINES_DRIVER = "json-file"

DATA_ROOT = "/var/lib/docker"

RELOADED = {
    "debug",
    "default-runtime",
    "insecure-registries",
    "labels",
    "live-restore",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "registry-mirrors",
    "runtimes",
    "shutdown-timeout",
}
"""Keys that every engine from 20.10 to 29 takes on SIGHUP. Not `features`: the image store is chosen at the start.
https://github.com/moby/moby/blob/master/daemon/reload.go"""

RESET = {"max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts"}
"""Those of RELOADED that go back to their default when they are no longer in the file; the others keep their value."""


class DaemonJsonError(ValueError):
    """The file cannot be merged; the message says why."""


def parsed(text: str) -> Config:
    """Raises DaemonJsonError for what is not a JSON object."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DaemonJsonError(str(error) if text.strip() else "it is empty") from error
    if not isinstance(found, dict):
        raise DaemonJsonError("it is JSON of another kind")
    return found


def merged(found: Config | None, options: Config, additions: Mapping[str, list[str]]) -> Config:
    """``found`` with ``options`` over it and with each list of ``additions`` added to the list of that key.

    ``found`` is None where there is no file; only then the defaults of this collection apply. Mappings are merged by
    key, other values of ``options`` replace what is there, and None removes it. Raises DaemonJsonError.
    """
    driver = options.get("log-driver") or ENGINES_DRIVER
    if found is None:
        base = _log(options.get("log-driver", DEFAULT_DRIVER))
    elif "log-driver" in options and driver != found.get("log-driver", ENGINES_DRIVER):
        # The options belong to the driver: an engine does not start with those of another one.
        base = {**{key: value for key, value in found.items() if key != "log-opts"}, **_log(driver)}
    else:
        base = found
    config = _over(base, options)
    for key, values in additions.items():
        present = config.get(key, [])
        if not isinstance(present, list):
            raise DaemonJsonError(f"{key} is not a list")
        if values:
            config[key] = present + [value for value in dict.fromkeys(values) if value not in present]
    return config


def effect(running: Config, wanted: Config) -> str:
    """What makes an engine that runs with ``running`` take ``wanted``: ``none``, ``reload`` or ``restart``."""
    changed = {key for key in running.keys() | wanted.keys() if running.get(key) != wanted.get(key)}
    if not changed:
        return "none"
    return "reload" if changed <= RELOADED and changed - wanted.keys() <= RESET else "restart"


def data_root(config: Config) -> Any:
    """The directory of images, containers and volumes of an engine that runs with ``config``."""
    return config.get("data-root", DATA_ROOT)


def has_credentials(config: Config) -> bool:
    """Whether a password or the like stands in it: in the address of a proxy, or under a name that says so."""
    proxies = config.get("proxies")
    in_proxies = isinstance(proxies, dict) and any("@" in str(address) for address in proxies.values())
    return in_proxies or _is_secret("", config)


def _is_secret(name: str, value: Any) -> bool:
    if isinstance(value, dict):
        return any(_is_secret(key, item) for key, item in value.items())
    if isinstance(value, list):
        return any(_is_secret("", item) for item in value)
    return isinstance(value, str) and value != "" and (bool(SECRET_NAME.search(name)) or scrubbed(value) != value)


def _log(driver: str | None) -> Config:
    limits = {"log-opts": LIMITS} if (driver or ENGINES_DRIVER) in LIMITED_DRIVERS else {}
    return {"log-driver": driver, **limits}


def _over(base: Config, options: Config) -> Config:
    config = dict(base)
    for key, value in options.items():
        if value is None:
            config.pop(key, None)
        elif isinstance(value, dict):
            present = config.get(key)
            config[key] = _over(present if isinstance(present, dict) else {}, value)
        else:
            config[key] = value
    return config

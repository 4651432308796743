# SPDX-License-Identifier: GPL-3.0-or-later
"""The system id, which identifies the runner manager: the file `.runner_system_id` beside config.toml."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import string
from pathlib import Path

FILE_NAME = ".runner_system_id"
MACHINE_ID_FILES = (Path("/var/lib/dbus/machine-id"), Path("/etc/machine-id"))

_PATTERN = re.compile(r"[sr]_[0-9a-zA-Z]{12}")
_LOG = logging.getLogger(__name__)


def load(directory: Path) -> str:
    """Return the system id; generate and save one when the file is missing or invalid."""
    path = directory / FILE_NAME
    if path.exists():
        text = path.read_text(encoding="utf-8", errors="replace").strip()
        if _PATTERN.fullmatch(text):
            return text
    system_id = _from_machine_id() or _random()
    _LOG.info("Created missing unique system ID system_id=%s", system_id)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(system_id, encoding="utf-8")
    except OSError as error:
        _LOG.warning("Could not save the system ID, the next start will generate another one: %s", error)
    return system_id


def _from_machine_id() -> str | None:
    for path in MACHINE_ID_FILES:
        if os.access(path, os.R_OK) and (machine_id := path.read_text(encoding="ascii").strip()):
            return "s_" + hmac.new(machine_id.encode(), b"gitlab-runner", hashlib.sha256).hexdigest()[:12]
    return None


def _random() -> str:
    return "r_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(12))

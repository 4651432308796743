# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of one runner process: the file `.runner_system_id` beside config.toml."""

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
    """Return the system id, written down first where the file is missing or holds something else."""
    path = directory / FILE_NAME
    if path.exists():
        text = path.read_text(encoding="utf-8", errors="replace").strip()
        if _PATTERN.fullmatch(text):
            return text
    made = _from_machine() or _random()
    _LOG.info("Created missing unique system ID system_id=%s", made)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(made, encoding="utf-8")
    except OSError as error:
        _LOG.warning("Could not save the system ID, it will be another one next time: %s", error)
    return made


def _from_machine() -> str | None:
    for path in MACHINE_ID_FILES:
        if os.access(path, os.R_OK) and (machine := path.read_text(encoding="ascii").strip()):
            return "s_" + hmac.new(machine.encode(), b"gitlab-runner", hashlib.sha256).hexdigest()[:12]
    return None


def _random() -> str:
    return "r_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(12))

# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of this machine among the managers of a GitLab runner (``.runner_system_id``).

GitLab Runner derives it from /etc/machine-id, which a reflashed card does not keep and cloned cards share. Seeded from
the serial number of the board instead, a Pi stays the same runner manager whatever card is in it. The form and the
derivation are the runner's own; only the key differs.
https://docs.gitlab.com/runner/fleet_scaling/#generation-of-system_id-identifiers
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import string

from ansible_collections.pifleet.ci.plugins.module_utils import _atomic_file as atomic_file

FORM = re.compile(r"[sr]_[0-9a-zA-Z]{12}")
SERIALS = ("/proc/device-tree/serial-number", "/sys/firmware/devicetree/base/serial-number")
MACHINE_ID = "/etc/machine-id"


def find_system_id(directory: str, former: str | None = None) -> tuple[str, bool]:
    """The system ID of this host and whether ``directory``/.runner_system_id holds it already.

    former: a directory where an earlier release may have written it, beside the target of a linked config.toml.
    Raises FileError where that file is there but cannot be read: GitLab Runner may know this host by what is in it.
    """
    for place in (directory, former or directory):
        held = _text(atomic_file.read(path_in(place)).content or b"")
        if FORM.fullmatch(held):
            return held, place == directory
    serials = [serial for serial in map(_read, SERIALS) if serial.strip("0")]  # virtual boards report zeros
    key = (serials + [_read(MACHINE_ID)])[0]
    if key:
        return "s_" + hmac.new(key.encode(), b"gitlab-runner", hashlib.sha256).hexdigest()[:12], False
    alphabet = string.ascii_letters + string.digits
    return "r_" + "".join(secrets.choice(alphabet) for _position in range(12)), False


def seed_system_id(
    directory: str, system_id: str, check: bool, config: atomic_file.FileSnapshot | None = None
) -> atomic_file.Replacement | None:
    """Write ``system_id`` unless a valid one is there (None); return what was or, to check, would be done.

    config: the config.toml that is there already. Whoever it belongs to reads this file too.
    """
    if not FORM.fullmatch(system_id):
        raise atomic_file.FileError(f"{system_id!r} is not a system ID of GitLab Runner.")
    if find_system_id(directory)[1]:
        return None
    mode, uid, gid = 0o600, None, None
    if config is not None and config.content is not None:
        mode, uid, gid = atomic_file.private(config.mode), config.uid, config.gid
    return atomic_file.replace(path_in(directory), system_id.encode(), mode=mode, uid=uid, gid=gid, check=check)


def path_in(directory: str) -> str:
    return os.path.join(directory, ".runner_system_id")


def _text(content: bytes) -> str:
    return content.decode("ascii", errors="replace").strip("\0 \t\r\n")


def _read(path: str) -> str:
    """What the board or the card says of itself; "" where it says nothing."""
    try:
        with open(path, "rb") as file:
            return _text(file.read())
    except OSError:
        return ""

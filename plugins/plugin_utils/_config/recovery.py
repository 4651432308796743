# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the newest valid backup of config.toml after a power cut.

This collection never leaves a half-written file, but GitLab Runner saves in place: it truncates, then writes. A power
cut at that moment leaves an empty file, one full of zero bytes, or the beginning of one. An empty file is therefore
never our own doing: what has no line left gets one (never_blank).
"""

from __future__ import annotations

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import (
    ConfigTomlError,
    is_blank,
    parse,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile

BACKUPS_KEPT = "backups are kept beside it; recover: true restores the newest valid one"


def is_corrupt(seen: HostFile) -> bool:
    """Whether the file is there but empty or not TOML."""
    return seen.exists and not _is_valid(seen.content)


def corrupt_file_error(seen: HostFile) -> ConfigTomlError:
    """What to say of a corrupt file that has backups, while nobody has allowed to restore one of them."""
    try:
        parse(seen.content)
        what = "config.toml is empty, as a power cut leaves it"
    except ConfigTomlError as error:
        what = str(error)
    return ConfigTomlError(f"{what} ({len(seen.backups)} {BACKUPS_KEPT})")


def newest_valid(backups: list[tuple[str, str]]) -> tuple[str, str]:
    """The first of (path, content) that can be used. Raises ConfigTomlError when there is none."""
    for path, content in backups:
        if _is_valid(content):
            return path, content
    raise ConfigTomlError(f"it is empty or corrupt, and none of its {len(backups)} backups is valid")


def _is_valid(content: str) -> bool:
    try:
        parse(content)
    except ConfigTomlError:
        return False
    return not is_blank(content)

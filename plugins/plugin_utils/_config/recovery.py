# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the last whole config.toml after a power cut.

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

KEPT = "former contents are kept beside it; recover: true takes the newest whole one"


def is_broken(seen: HostFile) -> bool:
    """Whether the file is there but empty or not TOML."""
    return seen.exists and not _is_whole(seen.content)


def left_broken(seen: HostFile) -> ConfigTomlError:
    """What to say of a broken file that has former contents, and that nobody allowed to replace by one of them."""
    try:
        parse(seen.content)
        what = "config.toml is empty, as a power cut leaves it"
    except ConfigTomlError as error:
        what = str(error)
    return ConfigTomlError(f"{what} ({len(seen.backups)} {KEPT})")


def newest_whole(backups: list[tuple[str, str]]) -> tuple[str, str]:
    """The first of (path, content) that can be used. Raises ConfigTomlError when there is none."""
    for path, content in backups:
        if _is_whole(content):
            return path, content
    raise ConfigTomlError(f"it is empty or broken, and none of its {len(backups)} former contents is whole")


def _is_whole(content: str) -> bool:
    try:
        parse(content)
    except ConfigTomlError:
        return False
    return not is_blank(content)

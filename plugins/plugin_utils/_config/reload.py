# SPDX-License-Identifier: GPL-3.0-or-later
"""When a running GitLab Runner takes up a changed config.toml.

It looks at the modification time every 3 s and reloads by itself if that is later than the one it has loaded, which
_atomic_file.py sees to. Some settings are read at its start only.
https://docs.gitlab.com/runner/configuration/advanced-configuration/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.schema import join, schema
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.values import equivalent

# an autoscaler is set up once; only its policies are read again
# https://docs.gitlab.com/runner/configuration/advanced-configuration/#the-runnersautoscaler-section
_READ_AT_START = "runners.autoscaler"
_READ_AGAIN = "runners.autoscaler.policy"


UNCHANGED, AUTOMATICALLY, AFTER_RESTART = "unchanged", "automatically", "after_restart"


def takes_effect(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """UNCHANGED, AUTOMATICALLY (within seconds) or AFTER_RESTART, from the data that merge.parse gives."""
    paths = set(changed_paths(before, after))
    if not paths:
        return UNCHANGED
    return AFTER_RESTART if any(map(_read_at_start, paths)) else AUTOMATICALLY


def restart_checksum(data: Mapping[str, Any]) -> str:
    """A checksum of the settings in ``data`` that are read at the start only; defaults count as not set.

    An autoscaler is left out: its settings can hold passwords, and the executor kubernetes has none.
    """
    places = {place for place in changed_paths({"runners": []}, data) if _read_at_start(place)}
    found = [
        [place, [_setting(table, place) for table in (data["runners"] if place.startswith("runners.") else [data])]]
        for place in sorted(places)
        if not place.startswith(_READ_AT_START)
    ]
    return hashlib.sha256(json.dumps(found, default=str).encode()).hexdigest()


def _setting(table: Mapping[str, Any], place: str) -> Any:
    value: Any = table
    for name in place.removeprefix("runners.").split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def changed_paths(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Schema paths of the keys that GitLab Runner would read differently."""
    yield from _differences("", _without_runners(before), _without_runners(after))
    old, new = _entries(before), _entries(after)
    for entry in old.keys() | new.keys():
        if (entry in old) != (entry in new):
            yield "runners"
        yield from _differences("runners", old.get(entry, {}), new.get(entry, {}))


def _differences(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in before.keys() | after.keys():
        place, old, new = join(path, name), before.get(name), after.get(name)
        if isinstance(old, Mapping) or isinstance(new, Mapping):
            yield from _differences(place, _table(old), _table(new))
        elif not (equivalent(place, old, new) if new is not None else equivalent(place, None, old)):
            yield place


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _without_runners(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "runners"}


def _entries(data: Mapping[str, Any]) -> dict[Any, Mapping[str, Any]]:
    """Entries by name and how many of that name came before."""
    entries: dict[Any, Mapping[str, Any]] = {}
    for entry in data["runners"]:
        same = sum(name == entry.get("name") for name, _count in entries)
        entries[entry.get("name"), same] = entry
    return entries


def _read_at_start(path: str) -> bool:
    if path == _READ_AT_START or path.startswith(f"{_READ_AT_START}."):
        return not (path == _READ_AGAIN or path.startswith(f"{_READ_AGAIN}."))
    while path:
        key = schema().find(path)
        if key is not None and key.restart:
            return True
        path = path.rpartition(".")[0]
    return False

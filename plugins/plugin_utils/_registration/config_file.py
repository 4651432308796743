# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's config.toml as registration reads and writes it, for all runners of one task."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.recovery import (
    corrupt_file_error,
    is_corrupt,
    newest_valid,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.readings import Readings
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import (
    HostFile,
    read_backups,
    read_host_file,
    remove_host_file,
    replace_host_file,
)

if TYPE_CHECKING:
    from ansible.plugins.action import ActionBase


class ConfigFile:
    """The FilePort of a real host. recovered_from: the backup that was restored, empty if none."""

    def __init__(self, action: ActionBase, task_vars: dict[str, Any], path: str, recover: bool) -> None:
        self._action, self._task_vars, self._path, self._recover = action, task_vars, path, recover
        self.recovered_from = ""
        self._made: dict[str, Any] = {}  # by this run, also before it read the file anew
        self._readings = Readings()

    def read(self) -> HostFile:
        shared = self._readings.take()
        if shared:
            return shared
        seen = replace(read_host_file(self._action, self._task_vars, self._path), **self._made)
        if not (is_corrupt(seen) and seen.backups):
            return self._readings.note(seen)
        if not self._recover:
            raise corrupt_file_error(seen)
        self.recovered_from, content = newest_valid(read_backups(self._action, self._task_vars, self._path))
        return self.replace(seen, content)

    def replace(self, seen: HostFile, content: str) -> HostFile:
        return self._written(replace_host_file(self._action, self._task_vars, seen, content))

    def remove(self, seen: HostFile) -> HostFile:
        return self._written(remove_host_file(self._action, self._task_vars, seen))

    @property
    def latest(self) -> HostFile | None:
        """What was read or written last."""
        return self._readings.latest

    def share(self) -> None:
        """Let the next reading be what was read or written last: one execution on the host serves several runners."""
        self._readings.share()

    def _written(self, written: HostFile) -> HostFile:
        self._made = {"made_directories": written.made_directories, "made_system_id": written.made_system_id}
        return self._readings.note(written)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge declared settings into a host's config.toml: read it, edit it here, replace it if it became another one."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.pifleet.ci.plugins.plugin_utils._arguments import checked_arguments
from ansible_collections.pifleet.ci.plugins.plugin_utils._config_check import Checked, SchemaError, check_settings
from ansible_collections.pifleet.ci.plugins.plugin_utils._config_document import (
    ConfigTomlError,
    MissingEntryError,
    merge,
    parse,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._config_needs import needs
from ansible_collections.pifleet.ci.plugins.plugin_utils._config_recovery import KEPT, is_broken, newest_whole
from ansible_collections.pifleet.ci.plugins.plugin_utils._host_file import (
    HostFile,
    HostFileConflict,
    HostFileError,
    read_backups,
    read_host_file,
    replace_host_file,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._redaction import redacted_diff

ARGUMENTS: dict[str, Any] = {
    "path": {"type": "str", "default": "/etc/gitlab-runner/config.toml"},
    "global": {"type": "dict", "default": {}},
    "runners": {"type": "list", "elements": "dict", "default": []},
    "purge": {"type": "bool", "default": False},
    "unknown_keys": {"type": "str", "choices": ["fail", "warn", "ignore"], "default": "fail"},
    "backup": {"type": "int", "default": 3},
    "recover": {"type": "bool", "default": False},
}
ATTEMPTS = 3  # gitlab-runner itself or a second play may write between our reading and our writing


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = checked_arguments(self, ARGUMENTS)
        try:
            wanted = check_settings(arguments["global"], arguments["runners"], unknown_keys=arguments["unknown_keys"])
            for warning in wanted.warnings:
                Display().warning(warning)
            return result | self._configure(arguments, wanted, task_vars or {})
        except SchemaError as error:
            raise AnsibleActionFail("Settings for config.toml are wrong:\n" + str(error)) from error
        except ConfigTomlError as error:
            raise AnsibleActionFail(f"{arguments['path']}: {error}") from error
        except HostFileError as error:  # names the path itself
            raise AnsibleActionFail(str(error)) from error

    def _configure(self, arguments: dict[str, Any], wanted: Checked, task_vars: dict[str, Any]) -> dict[str, Any]:
        for _attempt in range(ATTEMPTS - 1):
            try:
                return self._configure_once(arguments, wanted, task_vars)
            except HostFileConflict:
                continue
        return self._configure_once(arguments, wanted, task_vars)

    def _configure_once(self, arguments: dict[str, Any], wanted: Checked, task_vars: dict[str, Any]) -> dict[str, Any]:
        path = arguments["path"]
        seen = read_host_file(self, task_vars, path)
        result: dict[str, Any] = {"changed": False, "needs": "none"}
        before, backup = seen.content, arguments["backup"]
        if arguments["recover"] and is_broken(seen) and seen.backups:
            source, before = newest_whole(read_backups(self, task_vars, path))
            backup = 0  # what is broken must not push a whole one out
            result["recovered_from"] = source
            Display().warning(f"{path} was empty or broken; the content of {source} is used instead.")
        after = self._merged(arguments, wanted, seen, before)
        exposed = seen.exists and bool(seen.mode & 0o077)
        if after == seen.content and not exposed:
            return result
        written = replace_host_file(self, task_vars, seen, after, backup=backup)
        result["changed"] = True
        result["diff"] = [redacted_diff(seen.content, after, path)]
        if exposed:
            headers = {"before_header": path, "after_header": path}
            result["diff"].append(
                headers | {"before": f"mode {seen.mode:04o}\n", "after": f"mode {written.mode:04o}\n"}
            )
        data = {"runners": []} if is_broken(seen) else parse(seen.content)
        result["needs"] = needs(data, parse(after))
        return result

    def _merged(self, arguments: dict[str, Any], wanted: Checked, seen: HostFile, before: str) -> str:
        try:
            # in check mode an entry that is missing is one that registration would have made just before
            return merge(
                before,
                settings=wanted.settings,
                runners=wanted.runners,
                purge=arguments["purge"],
                append_missing=self._task.check_mode,
            )
        except ConfigTomlError as error:
            if seen.backups and (is_broken(seen) or isinstance(error, MissingEntryError)):
                raise type(error)(f"{error} ({len(seen.backups)} {KEPT})") from error
            raise

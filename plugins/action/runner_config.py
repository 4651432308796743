# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge declared settings into a host's config.toml: read it, edit it here, replace it if it became another one.

Before entries are purged, the runners go that they stand for in GitLab.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import PurePosixPath
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._action import checked_arguments, require_libraries
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import (
    ConfigTomlError,
    MissingEntryError,
    merge,
    parse,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.options import CONFIG_OPTIONS
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.recovery import BACKUPS_KEPT, is_corrupt, newest_valid
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.redaction import redacted_diff
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.reload import AFTER_RESTART, UNCHANGED, takes_effect
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.validate import (
    SchemaError,
    ValidatedSettings,
    validate_settings,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.client import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import GITLAB_OPTIONS, Connections
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import IMPORT_ERROR
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.purge import (
    delete_runners_of_purged_entries,
    deletion_shown,
    owner_of,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import (
    HostFile,
    HostFileConflict,
    HostFileError,
    read_backups,
    read_host_file,
    replace_host_file,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.render import IMPORT_ERROR as TOMLKIT_IMPORT_ERROR

ARGUMENT_SPEC: dict[str, Any] = {**CONFIG_OPTIONS, "fleet": {"type": "str", "default": "default"}, **GITLAB_OPTIONS}
ATTEMPTS = 3  # gitlab-runner itself or a second play may write between our reading and our writing
MARKER = ".restart-pending"


@dataclass
class Job:
    """What one task has to do, and what it has done in GitLab already while it lost races for the file."""

    arguments: dict[str, Any]
    settings: ValidatedSettings
    task_vars: dict[str, Any]
    deleted: list[int] = field(default_factory=list)

    @property
    def host(self) -> str:
        return str(self.task_vars.get("inventory_hostname", ""))

    @property
    def path(self) -> str:
        return str(self.arguments["path"])

    @property
    def marker(self) -> str:
        """Where it stands that a restart is needed, also for a later run."""
        return str(PurePosixPath(self.path).parent / MARKER)


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        require_libraries(tomlkit=TOMLKIT_IMPORT_ERROR)
        arguments = checked_arguments(self, ARGUMENT_SPEC)
        if arguments["api_token"] and not arguments["url"]:
            raise AnsibleActionFail("api_token is given without url; give the address of its GitLab as well.")
        try:
            settings = validate_settings(
                arguments["global"], arguments["runners"], unknown_keys=arguments["unknown_keys"]
            )
        except SchemaError as error:
            raise AnsibleActionFail("Settings for config.toml are wrong:\n" + str(error)) from None
        job = Job(arguments, settings, task_vars or {})
        try:
            done = self._configure(job)
        except ConfigTomlError as error:
            raise AnsibleActionFail(f"{job.path}: {error}") from None
        except GitLabError as error:
            raise AnsibleActionFail(f"{job.host}: {error} {job.path} was not written.") from None
        except HostFileError as error:  # names the path itself
            raise AnsibleActionFail(str(error)) from None
        if job.deleted:
            done |= {"changed": True, "deleted_runners": job.deleted}
        # in the result and with the host's name, for Ansible shows only once what several hosts say alike
        warnings = [f"{job.host}: {warning}" for warning in settings.warnings + done.pop("warnings")]
        return result | done | ({"warnings": warnings} if warnings else {})

    def _configure(self, job: Job) -> dict[str, Any]:
        for _attempt in range(ATTEMPTS - 1):
            try:
                return self._configure_once(job)
            except HostFileConflict:
                continue
        return self._configure_once(job)

    def _configure_once(self, job: Job) -> dict[str, Any]:
        seen = read_host_file(self, job.task_vars, job.path, pending=job.marker)
        result: dict[str, Any] = {
            "changed": False,
            "takes_effect": AFTER_RESTART if seen.pending else UNCHANGED,
            "warnings": [],
        }
        before, backup = seen.content, job.arguments["backup"]
        if job.arguments["recover"] and is_corrupt(seen) and seen.backups:
            source, before = newest_valid(read_backups(self, job.task_vars, job.path))
            backup = 0  # what is corrupt must not push a valid backup out
            result["recovered_from"] = source
            result["warnings"].append(f"{job.path} was empty or corrupt; the backup {source} is restored.")
        after = self._merged(job, seen, before)
        if after == seen.content and not seen.exposed:
            return result
        result["diff"] = [redacted_diff(seen.content, after, job.path)]
        present = {"runners": []} if is_corrupt(seen) else parse(seen.content)
        effect = takes_effect(present, parse(after))
        if job.arguments["purge"]:
            self._purge_gitlab(job, seen, before, result)
        marker = job.marker if effect == AFTER_RESTART else None
        written = replace_host_file(self, job.task_vars, seen, after, backup=backup, pending=marker)
        result["changed"] = True
        result["takes_effect"] = AFTER_RESTART if written.pending else effect
        if seen.exposed:
            result["diff"].append(_difference(job.path, f"mode {seen.mode:04o}\n", f"mode {written.mode:04o}\n"))
        return result

    def _merged(self, job: Job, seen: HostFile, before: str) -> str:
        try:
            # in check mode an entry that is missing is one that registration would have made just before
            return merge(
                before,
                settings=job.settings.settings,
                runners=job.settings.runners,
                purge=job.arguments["purge"],
                append_missing=self._task.check_mode,
            )
        except ConfigTomlError as error:
            if seen.backups and (is_corrupt(seen) or isinstance(error, MissingEntryError)):
                raise type(error)(f"{error} ({len(seen.backups)} {BACKUPS_KEPT})") from error
            raise

    def _purge_gitlab(self, job: Job, seen: HostFile, before: str, result: dict[str, Any]) -> None:
        runners = job.settings.runners
        owner = owner_of(job.arguments, job.host, runners, seen.system_id)
        gitlab = cache(partial(self._gitlab, job.arguments))
        found = delete_runners_of_purged_entries(before, runners, owner, gitlab, check_mode=self._task.check_mode)
        result["warnings"] += found.staying
        job.deleted += found.leaving
        result["diff"] += [deletion_shown(runner, owner.url) for runner in found.leaving.values()]

    def _gitlab(self, options: dict[str, Any]) -> GitLab:
        require_libraries(requests=IMPORT_ERROR)
        return Connections(self._loader.path_dwim).get(options)


def _difference(title: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": title, "after_header": title, "before": before, "after": after}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge declared settings into the config.toml of a Secret, as runner_config does with the file of a host."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._action import checked_arguments, require_libraries
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import ConfigTomlError, merge, parse
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.options import SETTINGS_OPTIONS
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.redaction import redacted_diff
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.reload import UNCHANGED, restart_checksum, takes_effect
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.validate import (
    SchemaError,
    ValidatedSettings,
    validate_settings,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.client import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import GITLAB_OPTIONS, Connections
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import IMPORT_ERROR
from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.cluster import (
    IMPORT_ERROR as KUBERNETES_IMPORT_ERROR,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.cluster import connected
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.intents import without_intents
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import (
    SECRET_OPTIONS,
    OptionsError,
    require_place_of_secret,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.purge import (
    delete_runners_of_purged_entries,
    deletion_shown,
    owner_of,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.secret_file import Secret, SecretFile
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFileConflict, HostFileError
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.render import IMPORT_ERROR as TOMLKIT_IMPORT_ERROR

ARGUMENT_SPEC: dict[str, Any] = {
    **SECRET_OPTIONS,
    **SETTINGS_OPTIONS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "fleet": {"type": "str", "default": "default"},
    **GITLAB_OPTIONS,
}
ATTEMPTS = 3  # a second play may write between our reading and our writing


@dataclass
class Job:
    """What one task has to do, and what it has done in GitLab already while it lost races for the Secret."""

    options: dict[str, Any]
    settings: ValidatedSettings
    inventory_name: str
    deleted: list[int] = field(default_factory=list)

    @property
    def host(self) -> str:
        """What the keys of the runners have as their host."""
        return f"{self.options['namespace']}.{self.inventory_name}"


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        reply: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        require_libraries(tomlkit=TOMLKIT_IMPORT_ERROR, kubernetes=KUBERNETES_IMPORT_ERROR)
        options = checked_arguments(self, ARGUMENT_SPEC)
        inventory_name = str((task_vars or {}).get("inventory_hostname", ""))
        if options["api_token"] and not options["url"]:
            raise AnsibleActionFail("api_token is given without url; give the address of its GitLab as well.")
        try:
            require_place_of_secret(options, inventory_name)
            settings = validate_settings(options["global"], options["runners"], unknown_keys=options["unknown_keys"])
        except OptionsError as error:
            raise AnsibleActionFail(str(error)) from None
        except SchemaError as error:
            raise AnsibleActionFail("Settings for config.toml are wrong:\n" + str(error)) from None
        job = Job(options, settings, inventory_name)
        kubeconfig = self._loader.path_dwim(options["kubeconfig"])
        try:
            with connected(kubeconfig, options["context"], options["timeout"]) as cluster:
                secret = Secret(cluster, options["namespace"], options["secret_name"])
                done = self._configure(job, secret)
        except ConfigTomlError as error:
            raise AnsibleActionFail(f"{inventory_name}: {secret}: {error}") from None
        except GitLabError as error:
            raise AnsibleActionFail(f"{inventory_name}: {error} {secret} was not written.") from None
        except HostFileError as error:
            raise AnsibleActionFail(f"{inventory_name}: {error}") from None
        if job.deleted:
            done |= {"changed": True, "deleted_runners": job.deleted}
        told = [f"{inventory_name}: {warning}" for warning in settings.warnings + done.pop("warnings")]
        warnings = [*cluster.warnings, *told]
        return reply | done | ({"warnings": warnings} if warnings else {})

    def _configure(self, job: Job, secret: Secret) -> dict[str, Any]:
        for _attempt in range(ATTEMPTS - 1):
            try:
                return self._configure_once(job, secret)
            except HostFileConflict:
                continue
        return self._configure_once(job, secret)

    def _configure_once(self, job: Job, secret: Secret) -> dict[str, Any]:
        seen = secret.read()
        if job.options["state"] == "absent":
            return self._remove(secret, seen)
        # in check mode an entry that is missing is one that registration would have made just before
        after = merge(
            seen.content,
            settings=job.settings.settings,
            runners=job.settings.runners,
            purge=job.options["purge"],
            append_missing=self._task.check_mode,
        )
        wanted = parse(after)
        result: dict[str, Any] = {
            "changed": after != seen.content,
            "takes_effect": takes_effect(parse(seen.content), wanted),
            "restart_checksum": restart_checksum(wanted),
            "checksum": hashlib.sha256(after.encode()).hexdigest() if _is_registered(wanted) else "",
            "warnings": [],
        }
        if after == seen.content:
            return result
        result["diff"] = [redacted_diff(seen.content, after, f"{secret}: config.toml")]
        if job.options["purge"]:
            self._purge_gitlab(job, seen, result)
        if not self._task.check_mode:
            secret.replace(seen, after)
        return result

    def _remove(self, secret: Secret, seen: SecretFile) -> dict[str, Any]:
        """Remove config.toml, which is of no use to anybody without an entry or an intent to create one."""
        is_intended = without_intents(seen.content, lambda _intent: True) != seen.content
        stays = not seen.exists or is_intended or bool(parse(seen.content)["runners"])
        result: dict[str, Any] = {"changed": not stays, "takes_effect": UNCHANGED, "warnings": []}
        if stays:
            return result
        result["diff"] = [redacted_diff(seen.content, "", f"{secret}: config.toml")]
        if not self._task.check_mode:
            secret.replace(seen, "")
        return result

    def _purge_gitlab(self, job: Job, seen: SecretFile, result: dict[str, Any]) -> None:
        runners = job.settings.runners
        owner = owner_of(job.options, job.host, runners, seen.system_id)
        gitlab = cache(partial(self._gitlab, job.options))
        found = delete_runners_of_purged_entries(seen.content, runners, owner, gitlab, check_mode=self._task.check_mode)
        result["warnings"] += found.staying
        job.deleted += found.leaving
        result["diff"] += [deletion_shown(runner, owner.url) for runner in found.leaving.values()]

    def _gitlab(self, options: dict[str, Any]) -> GitLab:
        require_libraries(requests=IMPORT_ERROR)
        return Connections(self._loader.path_dwim).get(options)


def _is_registered(config: Mapping[str, Any]) -> bool:
    """Whether each entry has its token, without which a checksum would tell who guesses it the other secrets."""
    return all(entry.get("token") for entry in config["runners"])

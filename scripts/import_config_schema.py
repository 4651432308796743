#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a description of GitLab Runner's config.toml into the table that the collection checks settings with.

    scripts/import_config_schema.py DESCRIPTION.json

DESCRIPTION.json lists every key with its type and properties, as read from the structure tags of one GitLab Runner
release. Only what the collection uses is kept, one key a line, so that the difference between two releases can be
read as a diff of plugins/plugin_utils/_config/schema.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "plugins" / "plugin_utils" / "_config" / "schema.json"

# name in the description -> name in the table; what is absent, null or false there is left out here
KEPT = {
    "toml_type": "type",
    "since": "since",
    "enum": "enum",
    "enum_items": "enum_items",
    "min": "min",
    "min_length": "min_length",
    "max_items": "max_items",
    "allowed_keys": "allowed_keys",
    "key_pattern": "key_pattern",
    "value_pattern": "value_pattern",
    "unit": "unit",
    "required": "required",
    "secret": "secret",
    "may_contain_secret": "free_form",
    "nullable": "nullable",
    "restart_required": "restart",
    "managed_by_runner": "managed",
    "deprecated": "deprecated",
    "no_effect": "no_effect",
}

# Seen with `gitlab-runner lint` 19.3.0 and in no tag: without these in the right form the whole file fails to load.
# clone_url loads in any form; without a scheme GitLab Runner passes it over.
FORMATS = {
    "runners.clone_url": "git_url",
    "runners.machine.autoscaling.Periods": "periods",
    "runners.machine.autoscaling.Timezone": "timezone",
    "runners.monitoring.job_queuing_durations.jobs_running_for_project": "regexp",
    "runners.monitoring.job_queuing_durations.periods": "periods",
    "runners.monitoring.job_queuing_durations.timezone": "timezone",
}

# People give programs their passwords as arguments, such as redis-server --requirepass.
ARGUMENTS = {
    "runners.docker.services.command",
    "runners.docker.services.entrypoint",
    "runners.kubernetes.services.command",
    "runners.kubernetes.services.entrypoint",
    "runners.kubernetes.container_lifecycle.post_start.exec.command",
    "runners.kubernetes.container_lifecycle.pre_stop.exec.command",
    "runners.custom.config_args",
    "runners.custom.prepare_args",
    "runners.custom.run_args",
    "runners.custom.cleanup_args",
}

# As compared by the AWS library and by logrus (ParseLevel).
ANY_CASE = {"runners.cache.s3.AuthenticationType", "runners.cache.s3.ServerSideEncryption", "log_level"}


def compact(entry: dict[str, Any]) -> dict[str, Any]:
    """One key of the description, reduced to what the collection uses."""
    kept = {ours: entry[theirs] for theirs, ours in KEPT.items() if entry.get(theirs) not in (None, False)}
    if "managed" in kept:
        kept["managed"] = True
    note = entry.get("note", "")
    if "compared without case" in note or entry["path"] in ANY_CASE:
        kept["any_case"] = True
    if "must contain %s" in note:
        kept["contains"] = "%s"
    if entry["path"] in ARGUMENTS:
        kept["free_form"] = True
    if entry["path"] in FORMATS:
        kept["format"] = FORMATS[entry["path"]]
    if entry.get("default_known") and entry.get("default") is not None:
        kept["default"] = entry["default"]
    return kept


def table(description: dict[str, Any]) -> str:
    """The table as JSON text, one key a line."""
    meta = description["meta"]
    keys = {entry["path"]: compact(entry) for entry in description["keys"]}
    removed = {
        entry["path"]: {"last": entry["last_release_with_key"], "replacement": entry["replacement"]}
        | ({"secret": True} if entry["secret"] else {})
        for entry in description["removed_keys"]
    }
    flags = sorted(flag["name"] for flag in description["feature_flags"]["flags"])
    lines = [
        "{",
        f'"release": {json.dumps(meta["last_release"].lstrip("v").rsplit(".", 1)[0])},',
        f'"commit": {json.dumps(meta["runner_commit"])},',
        '"keys": {',
        ",\n".join(f"{json.dumps(path)}: {json.dumps(entry)}" for path, entry in keys.items()),
        "},",
        '"removed": {',
        ",\n".join(f"{json.dumps(path)}: {json.dumps(entry)}" for path, entry in removed.items()),
        "},",
        '"feature_flags": [',
        ",\n".join(json.dumps(flag) for flag in flags),
        "]",
        "}",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    TARGET.write_text(table(json.loads(Path(arguments[0]).read_text(encoding="utf-8"))), encoding="utf-8")
    print(f"wrote {TARGET.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

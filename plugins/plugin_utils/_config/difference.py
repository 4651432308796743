# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether runner_config has anything to do, from a reading of the file that somebody else needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import ConfigTomlError, merge
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.options import CONFIG_OPTIONS
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.recovery import is_corrupt
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.validate import SchemaError, validate_settings
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile

COMPARED_OPTIONS: dict[str, Any] = {
    name: CONFIG_OPTIONS[name] for name in ("global", "runners", "purge", "unknown_keys")
}
"""The options of runner_config that say what the file becomes."""


def config_differs(seen: HostFile | None, options: Mapping[str, Any]) -> bool:
    """Whether runner_config with these COMPARED_OPTIONS would change the file, or has to say something about it."""
    if seen is None or is_corrupt(seen) or seen.exposed:
        return True
    try:
        settings = validate_settings(options["global"], options["runners"], unknown_keys=options["unknown_keys"])
        after = merge(seen.content, settings=settings.settings, runners=settings.runners, purge=options["purge"])
    except (SchemaError, ConfigTomlError):
        return True
    return bool(settings.warnings) or after != seen.content

# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of runner_config and runner_config_secret that concern config.toml alone."""

from __future__ import annotations

from typing import Any

SETTINGS_OPTIONS: dict[str, Any] = {
    "global": {"type": "dict", "default": {}},
    "runners": {"type": "list", "elements": "dict", "default": []},
    "purge": {"type": "bool", "default": False},
    "unknown_keys": {"type": "str", "choices": ["fail", "warn", "ignore"], "default": "fail"},
}
"""What config.toml has to say, wherever it is kept."""

CONFIG_OPTIONS: dict[str, Any] = {
    "path": {"type": "str", "default": "/etc/gitlab-runner/config.toml"},
    **SETTINGS_OPTIONS,
    "backup": {"type": "int", "default": 3},
    "recover": {"type": "bool", "default": False},
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of runner_config that concern the file alone."""

from __future__ import annotations

from typing import Any

CONFIG_OPTIONS: dict[str, Any] = {
    "path": {"type": "str", "default": "/etc/gitlab-runner/config.toml"},
    "global": {"type": "dict", "default": {}},
    "runners": {"type": "list", "elements": "dict", "default": []},
    "purge": {"type": "bool", "default": False},
    "unknown_keys": {"type": "str", "choices": ["fail", "warn", "ignore"], "default": "fail"},
    "backup": {"type": "int", "default": 3},
    "recover": {"type": "bool", "default": False},
}

# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._daemon_json import (
    DaemonJsonError,
    data_root,
    effect,
    has_credentials,
    merged,
    parsed,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._plain import to_plain

DOCUMENTATION = r"""
name: daemon_json
short_description: Merge options into daemon.json of Docker Engine
version_added: 1.0.0
description:
  - Returns what C(daemon.json) becomes with the options, and whether the engine has to be reloaded or restarted for it.
  - What is in the file stays unless an option has another value for the same key. Without a file the size of container
    logs is limited by default; a file is not given these defaults.
positional: _input
options:
  _input:
    description:
      - The file as M(pifleet.ci.host_info) returns it, that is a dictionary with its C(content), or V(none) where there
        is no file.
    type: raw
    required: true
  options:
    description:
      - Merged over the content of the file by key. Any other value replaces the one in the file; V(none) removes it.
      - Where this changes the log driver the file's C(log-opts), which are of the other driver, are dropped.
    type: dict
    default: {}
  additions:
    description: Lists by key, whose elements are added to the list of that key.
    type: dict
    default: {}
  running:
    description:
      - The former file, likewise, if the engine has not taken the present one yet; an empty one stands for none.
    type: raw
"""

EXAMPLES = r"""
- name: Show what a mirror would need
  ansible.builtin.debug:
    msg: >-
      {{ host.files['/etc/docker/daemon.json']
         | pifleet.ci.daemon_json(additions={'registry-mirrors': ['https://mirror.example.com']}) }}
"""

RETURN = r"""
_value:
  description:
    - A dictionary. C(problem) says why the file cannot be merged, and is empty if it can. C(config) is the merged
      content and C(content) its text; the file's own if nothing is to be changed. C(differs) says whether the file has
      to be written. C(effect) is C(none), C(reload) or C(restart). C(data_root_differs) says whether the engine would
      use another directory for its images, containers and volumes. C(secret) says whether the file has credentials, now
      or then, and thus may not be shown.
  type: dict
"""


def daemon_json(
    found: dict[str, str] | None,
    options: dict[str, Any] | None = None,
    additions: dict[str, list[str]] | None = None,
    running: dict[str, str] | None = None,
) -> dict[str, Any]:
    """See RETURN."""
    text = found["content"] if found else None
    additions = {key: values for key, values in to_plain(additions or {}).items() if values}
    try:
        present = None if text is None else parsed(text)
        config = merged(present, to_plain(options or {}), additions)
    except DaemonJsonError as error:
        return {
            "problem": str(error),
            "config": {},
            "content": text,
            "differs": False,
            "effect": "none",
            "data_root_differs": False,
            "secret": True,
        }
    differs = config != present
    return {
        "problem": "",
        "config": config,
        "content": json.dumps(config, indent=4, ensure_ascii=False) + "\n" if differs else text,
        "differs": differs,
        "effect": _effect(present, running, config),
        "data_root_differs": data_root(config) != data_root(present or {}),
        "secret": has_credentials(present or {}) or has_credentials(config),
    }


def _effect(present: dict[str, Any] | None, running: dict[str, str] | None, config: dict[str, Any]) -> str:
    try:
        taken = parsed(running["content"] or "{}") if running else present or {}
    except DaemonJsonError:
        return "restart"
    return effect(taken, config)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"daemon_json": daemon_json}

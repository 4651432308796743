# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts that are not to be told apart, because one was cloned from the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: shared_identities
short_description: Hosts with the identity of another host
version_added: 1.0.0
description:
  - Returns the hosts that share a machine ID, an SSH host key or a system ID of GitLab Runner with another host.
options:
  _input:
    description: The variables of the hosts. One that was not gathered, and has no RV(ignore:pifleet_host), is left out.
    type: list
    elements: dict
    required: true
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Show the clones among the hosts of the play
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts | map('extract', hostvars) | pifleet.ci.shared_identities }}"
"""

RETURN = r"""
_value:
  description:
    - By C(machine_id), C(ssh_host_key) and C(system_id) those hosts by name that share it, each with the sorted names
      of all that have it, its own among them.
  type: dict
"""

SYSTEM_ID = "/.runner_system_id"


def shared_identities(hosts: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[str]]]:
    """For example {"machine_id": {"pi-01": ["pi-01", "pi-02"], "pi-02": [...]}, "ssh_host_key": {}, ...}."""
    gathered = {str(host["inventory_hostname"]): host["pifleet_host"] for host in hosts if host.get("pifleet_host")}
    values = {
        "machine_id": {name: host.get("machine_id") for name, host in gathered.items()},
        "ssh_host_key": {name: host.get("ssh_host_key") for name, host in gathered.items()},
        "system_id": {name: _system_id(host.get("files") or {}) for name, host in gathered.items()},
    }
    return {kind: _sharing(by_host) for kind, by_host in values.items()}


def _system_id(files: Mapping[str, Any]) -> str:
    contents = [(file or {}).get("content") or "" for path, file in files.items() if path.endswith(SYSTEM_ID)]
    return "".join(contents).strip()


def _sharing(by_host: Mapping[str, Any]) -> dict[str, list[str]]:
    hosts_by_value: dict[Any, list[str]] = defaultdict(list)
    for host, value in by_host.items():
        if value:
            hosts_by_value[value].append(host)
    return {host: sorted(hosts) for hosts in hosts_by_value.values() if len(hosts) > 1 for host in hosts}


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"shared_identities": shared_identities}

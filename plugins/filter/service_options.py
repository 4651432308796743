# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of a container, as the module for services of a swarm calls them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: service_options
short_description: Name options of a container as community.docker.docker_swarm_service does
version_added: 1.0.0
description:
  - Returns the options of M(community.docker.docker_swarm_service) for some of those of
    M(community.docker.docker_container).
  - What is not given is not in the result.
options:
  _input:
    description:
      - RV(ignore:env), RV(ignore:dns_servers), RV(ignore:etc_hosts), RV(ignore:mounts), RV(ignore:published_ports),
        RV(ignore:memory), RV(ignore:cpus), RV(ignore:log_driver) and RV(ignore:log_options).
      - A published port is V(PORT:PORT), for a service can neither have an address nor choose a port of each node.
    type: dict
    required: true
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Show the options for a service
  ansible.builtin.debug:
    msg: "{{ {'memory': '256M', 'published_ports': ['9252:9252']} | pifleet.ci.service_options }}"
"""

RETURN = r"""
_value:
  description: Options of M(community.docker.docker_swarm_service).
  type: dict
"""

RENAMED = {"env": "env", "dns_servers": "dns", "etc_hosts": "hosts"}
LIMITS = {"memory": "memory", "cpus": "cpus"}
LOGGING = {"log_driver": "driver", "log_options": "options"}
MOUNT = {"type": "type", "source": "source", "target": "target", "read_only": "readonly"}
PORT = re.compile(r"(\d+):(\d+)(?:/(tcp|udp))?")


def service_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Raises AnsibleFilterError for an option that a service does not have."""
    groups = {
        **_renamed(options, RENAMED),
        "limits": _renamed(options, LIMITS),
        "logging": _renamed(options, LOGGING),
        "mounts": [{"type": "bind", **_renamed(mount, MOUNT)} for mount in options.get("mounts") or []],
        "publish": [_port(port) for port in options.get("published_ports") or []],
    }
    unknown = options.keys() - RENAMED.keys() - LIMITS.keys() - LOGGING.keys() - {"mounts", "published_ports"}
    if unknown:
        raise AnsibleFilterError(f"A service has no {', '.join(sorted(unknown))}: remove it.")
    return {name: value for name, value in groups.items() if value}


def _renamed(options: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {new: options[old] for old, new in names.items() if options.get(old) is not None}


def _port(port: str) -> dict[str, Any]:
    """On each node by itself: through the routing mesh a scraper would reach any of them."""
    found = PORT.fullmatch(str(port))
    if not found:
        raise AnsibleFilterError(f"{port!r} is no published port of a service: give PORT:PORT, such as 9252:9252.")
    published, target, protocol = found.groups()
    return {
        "published_port": int(published),
        "target_port": int(target),
        "protocol": protocol or "tcp",
        "mode": "host",
    }


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"service_options": service_options}

# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: rollout
short_description: Split hosts into batches
version_added: 1.0.0
description:
  - Splits a list of hosts into batches, as the keyword C(serial) of a play does, for use within a play. A task file that
    is included with a loop over batches is run for one batch after the other with the strategy C(linear).
positional: _input, size
options:
  _input:
    description: Names of hosts.
    type: list
    elements: str
    required: true
  size:
    description:
      - Number of hosts in a batch, a percentage of all hosts, or a list of these, whose last one is repeated. A batch has at
        least one host.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Restart a few hosts at a time
  ansible.builtin.include_tasks: restart.yml
  loop: "{{ ansible_play_batch | pifleet.ci.rollout('10%') | selectattr('hosts', 'contains', inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The batches, each with its C(hosts) and with those of all batches before it, C(earlier).
  type: list
  elements: dict
"""

import re
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError


def rollout(hosts: list[str], size: Any) -> list[dict[str, list[str]]]:
    """See RETURN. Raises AnsibleFilterError for a size that is none."""
    sizes = [_count(one, len(hosts)) for one in (size if isinstance(size, list) else [size])]
    if not sizes:
        raise AnsibleFilterError("the size of a rollout's batches is an empty list")
    batches, start = [], 0
    while start < len(hosts):
        end = start + sizes[min(len(batches), len(sizes) - 1)]
        batches.append({"hosts": hosts[start:end], "earlier": hosts[:start]})
        start = end
    return batches


def _count(size: Any, hosts: int) -> int:
    found = re.fullmatch(r"([1-9][0-9]*)(%?)", str(size))
    if not found:
        raise AnsibleFilterError(f"the size of a rollout's batches is {size!r}, not a number of hosts or a percentage")
    return max(1, int(found[1]) * hosts // 100) if found[2] else int(found[1])


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rollout": rollout}

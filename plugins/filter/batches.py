# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Batches of hosts, sized as the keyword serial of a play sizes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: batches
short_description: Split a list of hosts into batches, as the keyword serial of a play does
version_added: 1.0.0
description:
  - Splits a list into consecutive batches whose sizes are given in the way of the keyword C(serial) of a play.
  - With C(serial) itself a play ends at a batch all of whose hosts failed or were unreachable. Tasks that are included
    for one batch after the other let the other hosts go on.
options:
  _input:
    description: The hosts.
    type: list
    elements: str
    required: true
  serial:
    description:
      - The size of the batches. A number of hosts, a percentage of all of them, or a list of such sizes, of which the
        last one is used for all batches that are left.
      - A percentage of less than one host means one host. A size of V(0) means all hosts that are left.
    type: raw
    required: true
positional: serial
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Show one host, then a tenth of all hosts at a time
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts | pifleet.ci.batches([1, '10%']) }}"
"""

RETURN = r"""
_value:
  description: The batches, in the order of the hosts.
  type: list
  elements: list
"""

SIZE = re.compile(r"(\d+)(%?)")


def batches(hosts: Sequence[str], serial: Any) -> list[list[str]]:
    """Raises AnsibleFilterError for what is no size."""
    sizes = [_size(value, len(hosts)) for value in (serial if isinstance(serial, list) else [serial])]
    if not sizes:
        raise AnsibleFilterError("There is no size of a batch: give a number of hosts, or a percentage such as 25%.")
    left = list(hosts)
    result: list[list[str]] = []
    while left:
        size = sizes[min(len(result), len(sizes) - 1)] or len(left)
        result.append(left[:size])
        left = left[size:]
    return result


def _size(value: Any, number_of_hosts: int) -> int:
    """Hosts in a batch, 0 for all."""
    found = SIZE.fullmatch(str(value).strip())
    if not found or isinstance(value, bool):
        raise AnsibleFilterError(
            f"{value!r} is no size of a batch: give a number of hosts, a percentage such as 25%, or a list of these."
        )
    number = int(found.group(1))
    return max(1, number * number_of_hosts // 100) if found.group(2) else number


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"batches": batches}

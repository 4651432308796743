# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain Python values out of Ansible's tagged ones.

ansible-core 2.19 and later hand action plugins subclasses of str, int, float, dict and list that carry tags (origin,
trust). ``isinstance`` holds for them, but libraries which ask for the exact type (tomlkit, json encoders, pickle)
stumble. Values pass through here once, at the border.
https://docs.ansible.com/ansible-core/devel/porting_guides/porting_guide_core_2.19.html
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any


def to_plain(value: Any) -> Any:
    """Return ``value`` with every str, int, float, bool, None, mapping and sequence made exactly that type.

    Dates and times are kept as they are. Raises TypeError for anything else.
    """
    if value is None or isinstance(value, bool):
        return value
    for exact in (str, int, float):
        if isinstance(value, exact):
            return exact(value)
    if isinstance(value, Mapping):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, datetime.datetime):
        return datetime.datetime.fromisoformat(value.isoformat())
    if isinstance(value, datetime.date):
        return datetime.date.fromisoformat(value.isoformat())
    if isinstance(value, datetime.time):
        return datetime.time.fromisoformat(value.isoformat())
    raise TypeError(f"a value of type {type(value).__name__} has no plain form")

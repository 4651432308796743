# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a block device of the control node may be a card. What the kernel says in /sys and /proc decides."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def device_problems(number: str, *, fixed: bool, sys: Path = Path("/sys"), proc: Path = Path("/proc")) -> Iterator[str]:
    """Why the device must not be written to, each the end of a sentence that begins with its name.

    number: major and minor, as in "8:16". fixed: whether a device that is not removable is fine.
    """
    device = (sys / "dev" / "block" / number).resolve()
    if not device.is_dir():
        yield "is not known to the kernel: is the card still in its reader?"
        return
    if (device / "partition").exists():
        yield f"is a partition: name the whole card, /dev/{device.parent.name}, or a directory where it is mounted."
        return
    parts = [device, *sorted(entry.parent for entry in device.glob("*/partition"))]
    numbers = {_line(part / "dev"): part.name for part in parts}
    for name, place in _mounted(numbers, proc):
        yield f"is in use, {name} is mounted at {place}: unmount it, or name that directory instead."
    for name in _swaps(set(numbers.values()), proc):
        yield f"is in use, {name} is a swap space of this machine: it is no card."
    for part in parts:
        if any((part / "holders").glob("*")):
            yield f"is in use, {part.name} belongs to a volume of this machine (LVM, RAID, encryption): it is no card."
    removable = _line(device / "removable") == "1" or _line(device / "device" / "type") == "SD"
    if not removable and not fixed:
        yield "is not removable, so it may be a disk of this machine: set card_fixed_device if it is the card."


def device_number(path: str) -> str:
    number = os.stat(path).st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


def _mounted(numbers: dict[str, str], proc: Path) -> Iterator[tuple[str, str]]:
    for line in (proc / "self" / "mountinfo").read_text().splitlines():
        _identity, _parent, number, _root, place, *_rest = line.split(" ")
        if number in numbers:
            yield numbers[number], place


def _swaps(names: set[str], proc: Path) -> Iterator[str]:
    swaps = proc / "swaps"
    lines = swaps.read_text().splitlines()[1:] if swaps.exists() else []
    for line in lines:
        name = os.path.basename(os.path.realpath(line.split()[0]))
        if name in names:
            yield name


def _line(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""

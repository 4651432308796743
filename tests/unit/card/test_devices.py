# SPDX-License-Identifier: GPL-3.0-or-later
"""Which block devices may be a card, by a made-up /sys and /proc."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.devices import device_problems

ROOT_DISK = "22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n"


class Machine:
    """A disk sda (8:0) whose second partition is mounted as /, and a card sdb (8:16) with two partitions."""

    def __init__(self, folder: Path) -> None:
        self.sys, self.proc = folder / "sys", folder / "proc"
        (self.sys / "dev" / "block").mkdir(parents=True)
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self" / "mountinfo").write_text(ROOT_DISK)
        (self.proc / "swaps").write_text("Filename Type Size Used Priority\n")
        self.add("sda", 0, removable=False)
        self.card = self.add("sdb", 16, removable=True)

    def add(self, name: str, minor: int, *, removable: bool) -> Path:
        disk = self.sys / "block" / name
        for part, number in ((disk, minor), (disk / f"{name}1", minor + 1), (disk / f"{name}2", minor + 2)):
            (part / "holders").mkdir(parents=True)
            (part / "dev").write_text(f"8:{number}\n")
            (self.sys / "dev" / "block" / f"8:{number}").symlink_to(part)
            if part != disk:
                (part / "partition").write_text("1\n")
        (disk / "removable").write_text(f"{int(removable)}\n")
        return disk

    def problems(self, number: str, *, fixed: bool = False) -> list[str]:
        return list(device_problems(number, fixed=fixed, sys=self.sys, proc=self.proc))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_card_in_its_reader(machine: Machine) -> None:
    assert machine.problems("8:16") == []


def test_a_partition_is_not_the_card(machine: Machine) -> None:
    (problem,) = machine.problems("8:17")
    assert "name the whole card, /dev/sdb" in problem


def test_the_disk_of_this_machine(machine: Machine) -> None:
    mounted, fixed = machine.problems("8:0")
    assert "sda2 is mounted at /" in mounted
    assert "is not removable" in fixed
    assert machine.problems("8:0", fixed=True) == [mounted]


def test_a_card_that_the_desktop_has_mounted(machine: Machine) -> None:
    with (machine.proc / "self" / "mountinfo").open("a") as mounts:
        mounts.write("99 22 8:17 / /media/me/bootfs rw - vfat /dev/sdb1 rw\n")
    (problem,) = machine.problems("8:16")
    assert "sdb1 is mounted at /media/me/bootfs: unmount it, or name that directory instead" in problem


def test_a_built_in_reader_says_sd_instead_of_removable(machine: Machine) -> None:
    (machine.card / "removable").write_text("0\n")
    assert machine.problems("8:16")
    (machine.card / "device").mkdir()
    (machine.card / "device" / "type").write_text("SD\n")
    assert machine.problems("8:16") == []


def test_swap_and_volumes(machine: Machine) -> None:
    (machine.proc / "swaps").write_text("Filename Type Size Used Priority\n/dev/sdb2 partition 1 0 -2\n")
    (machine.card / "sdb1" / "holders" / "dm-0").mkdir()
    swap, volume = machine.problems("8:16")
    assert "sdb2 is a swap space" in swap
    assert "sdb1 belongs to a volume" in volume


def test_a_device_that_is_gone(machine: Machine) -> None:
    (problem,) = machine.problems("8:32")
    assert "is not known to the kernel" in problem

# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the boot partition begins, and what has none."""

from __future__ import annotations

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.partition import (
    Partition,
    PartitionError,
    boot_partition,
)
from card_image import FAT32_LBA, LINUX, entry, table

SIZE = 1 << 30
GPT = 0xEE


def test_the_first_partition_with_fat() -> None:
    sector = table(entry(FAT32_LBA, 8192, 1048576), entry(LINUX, 1056768, 100))
    assert boot_partition(sector, SIZE) == Partition(offset=4194304, size=536870912)


def test_another_partition_may_come_before_it() -> None:
    sector = table(entry(0, 0, 0), entry(LINUX, 64, 64), entry(0x0B, 128, 64))
    assert boot_partition(sector, SIZE) == Partition(offset=128 * 512, size=64 * 512)


@pytest.mark.parametrize(
    ("sector", "sentence"),
    [
        (b"", "has no partition table"),
        (bytes(512), "has no partition table"),
        (b"\xfd7zXZ\x00" + bytes(506), "is compressed with xz: unpack it first"),
        (b"\x1f\x8b\x08", "is compressed with gzip"),
        (table(entry(GPT, 1, 100)), "has a GUID partition table"),
        (table(entry(LINUX, 1, 100)), "has no partition with FAT"),
        (table(entry(FAT32_LBA, 8192, SIZE)), "is shorter than its partition table says"),
    ],
)
def test_what_is_refused(sector: bytes, sentence: str) -> None:
    with pytest.raises(PartitionError, match=sentence):
        boot_partition(sector, SIZE)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the boot partition begins in a card or in its image."""

from __future__ import annotations

import struct
from dataclasses import dataclass

SECTOR = 512
FAT_TYPES = {0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E, 0xEF}
GPT = 0xEE
COMPRESSED = {b"\xfd7zXZ\x00": "xz", b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}


class PartitionError(Exception):
    """The end of a sentence that begins with the name of the card or image."""


@dataclass(frozen=True)
class Partition:
    """In bytes."""

    offset: int
    size: int


def boot_partition(sector: bytes, size: int) -> Partition:
    """The first partition with FAT by the partition table in the first sector; size: of the whole card.

    Raises PartitionError.
    """
    for magic, name in COMPRESSED.items():
        if sector.startswith(magic):
            raise PartitionError(f"is compressed with {name}: unpack it first.")
    if len(sector) < SECTOR or sector[510:512] != b"\x55\xaa":
        raise PartitionError("has no partition table: flash an image to it first.")
    for start in range(446, 510, 16):
        kind = sector[start + 4]
        first, count = struct.unpack_from("<II", sector, start + 8)
        if kind == GPT:
            raise PartitionError("has a GUID partition table: mount its boot partition, and name that directory.")
        if kind in FAT_TYPES and count:
            if (first + count) * SECTOR > size:
                raise PartitionError("is shorter than its partition table says: copy or unpack it again.")
            return Partition(offset=first * SECTOR, size=count * SECTOR)
    raise PartitionError("has no partition with FAT, from which a Pi could boot: flash an image to it first.")

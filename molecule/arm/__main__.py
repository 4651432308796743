# SPDX-License-Identifier: GPL-3.0-or-later
"""`make arm`: emulated 64-bit ARM machines, one after the other, from bare to a green job and an unchanged run."""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.host import LabError, print_table

from .machine import PROGRAM
from .scenario import DEPLOYMENTS, HEAD, RELEASES, Figures, bare_to_green

_PROGRAMS = (PROGRAM, "qemu-img", "mmdebstrap", "mke2fs", "modprobe", "cpio", "mformat", "ssh", "gpg", "dpkg-deb")
_EMULATION = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")


def main() -> int:
    """Run the command line; what is wrong is printed as one line for each machine, with exit code 1."""
    options = parse(sys.argv[1:])
    try:
        require_programs()
    except LabError as error:
        return _fail(str(error))
    figures: list[Figures] = []
    failures = 0
    for release in options.releases:
        for deployment in options.deployments:
            try:
                figures.append(bare_to_green(release, deployment))
            except LabError as error:
                failures += _fail(f"{release}, {deployment}: {error}")
    print_table(HEAD, [each.row() for each in figures])
    return int(failures > 0)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return `releases` and `deployments`, all unless told otherwise."""
    parser = argparse.ArgumentParser(prog="arm", description=__doc__)
    parser.add_argument("--releases", nargs="+", choices=RELEASES, default=RELEASES)
    parser.add_argument("--deployments", nargs="+", choices=DEPLOYMENTS, default=DEPLOYMENTS)
    return parser.parse_args(arguments)


def require_programs(which: Callable[[str], str | None] = shutil.which) -> None:
    """Raise LabError if something is missing that scripts/setup_arm.sh installs."""
    missing = [program for program in _PROGRAMS if not which(program)]
    if missing:
        raise LabError(
            f"Programs are missing: {', '.join(missing)}. `make arm` installs them; or run scripts/setup_arm.sh."
        )
    if platform.machine() != "aarch64" and not _EMULATION.exists():
        raise LabError(
            f"This machine does not run programs for 64-bit ARM ({_EMULATION} is missing): run scripts/setup_arm.sh."
        )


def _fail(message: str) -> int:
    print(f"[arm] {message}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())

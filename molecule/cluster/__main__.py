# SPDX-License-Identifier: GPL-3.0-or-later
"""Make and remove clusters: `python -m cluster up NAME`, `... down NAME`, `... at-hand`, `... build`, `... clean`."""

from __future__ import annotations

import argparse
import sys

from lab.host import LabError

from . import program
from .made import down, remove_all, require_at_hand, up
from .place import STATE, Place


def main() -> int:
    """Run the command line; a LabError is printed as one line, with exit code 1."""
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, description in (
        ("up", "make a cluster, or say where a running one is"),
        ("down", "remove a cluster and all that it left"),
    ):
        commands.add_parser(command, help=description).add_argument("name")
    commands.add_parser("at-hand", help="say whether a cluster can be had without a build; exit code 1 if not")
    commands.add_parser("build", help="build Kubernetes for the cluster that needs neither kind nor k3d")
    commands.add_parser("clean", help="remove every cluster of this checkout")
    arguments = parser.parse_args()
    try:
        match arguments.command:
            case "up":
                cluster = up(Place(arguments.name))
                print(cluster.summary())
            case "down":
                down(Place(arguments.name))
            case "at-hand":
                require_at_hand()
            case "build":
                print(program.built())
            case "clean":
                remove_all(STATE)
    except LabError as error:
        print(f"[cluster] {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

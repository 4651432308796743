# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of the load: what is asked of each, drawn from the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SHORTEST, LONGEST = 2, 40
"""Seconds that a job works."""
WAYS: Mapping[str, tuple[str, ...]] = {"docker": ("script",), "docker-build": ("run", "build")}
"""By the tag of the runner: `script` works in the job's own container, `run` and `build` in one that it starts through
the engine's socket."""
Runner = tuple[str, str]
"""A Pi and the tag that only one of its runners has."""
_FAILING = 0.15
_EXIT_CODE = 7


@dataclass(frozen=True)
class LoadJob:
    """A job that says a line each second, numbered, so that its trace shows whether it ran once and to its end."""

    name: str
    """Unique; each of its lines begins with it."""
    pi: str
    tag: str
    way: str
    lines: int
    exit_code: int = 0
    """With what its script ends after its last line."""

    @property
    def runner(self) -> Runner:
        return self.pi, self.tag

    def line(self, number: int) -> str:
        return f"{self.name} line {number} of {self.lines}"

    def request(self, image: str) -> dict[str, Any]:
        """What is posted to the fake GitLab; containers of its own are of `image`, which has a shell."""
        return {"name": self.name, "tag_list": [self.tag, self.pi], "script": [self._script(image)]}

    def _script(self, image: str) -> str:
        # GitLab Runner shows the first line of a command only: what the trace has of the others, they have printed.
        work = (
            f"number=0; while [ $number -lt {self.lines} ]; do number=$((number + 1)); "
            f'echo "{self.name} line $number of {self.lines}"; sleep 1; done; exit {self.exit_code}'
        )
        if self.way == "run":
            return f":\ndocker run --rm --network none --name {self.name} {image} sh -c '{work}'"
        if self.way == "build":
            return (
                f":\nmkdir -p {self.name} && printf 'FROM %s\\nRUN %s\\n' {image} '{work}' >{self.name}/Dockerfile\n"
                f"docker build --no-cache --force-rm --network none -t {self.name} {self.name}\ndocker rmi {self.name}"
            )
        return f":\n{work}"


def jobs(pi: str, tag: str, dice: random.Random, longest: int = LONGEST) -> Iterator[LoadJob]:
    """Yield jobs for the Pi's runner with that tag, without end; the same ones for the same dice."""
    number = 0
    while True:
        number += 1
        way = dice.choice(WAYS[tag])
        lines = dice.randint(SHORTEST, longest)
        # The exit code of a failed build is the client's own.
        fails = dice.random() < _FAILING and way != "build"
        name = f"load-{pi}-{tag}-{dice.getrandbits(24):06x}-{number}"
        yield LoadJob(name, pi, tag, way, lines, _EXIT_CODE if fails else 0)

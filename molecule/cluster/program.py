# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes and etcd as one program, built from source once, and kept outside the checkout."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from lab.host import LabError

from .place import cache, locked, say

MODULE = Path(__file__).parent / "hyperkube"
_SAY_EVERY = 30
"""Seconds. A build takes 6 to 11 minutes on two cores."""


def version(go_mod: str) -> str:
    """The release of Kubernetes that the go.mod requires, such as v1.35.4."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", go_mod, re.MULTILINE)
    if not found:
        raise ValueError("go.mod does not require k8s.io/kubernetes")
    return found[1]


def flags(release: str) -> list[str]:
    """What `go build` is given. The release is what the components call themselves, and what kubectl compares."""
    package = "k8s.io/component-base/version"
    major, minor = release.removeprefix("v").split(".")[:2]
    known = {"gitVersion": release, "gitMajor": major, "gitMinor": minor}
    linked = [f"-X {package}.{name}={value}" for name, value in known.items()]
    return ["-trimpath", "-buildvcs=false", "-tags", "selinux_no", "-ldflags", " ".join(["-s -w", *linked])]


def folder(go_version: str) -> Path:
    """Where the build of these sources with this Go is kept: the programs hyperkube and pause."""
    release = version((MODULE / "go.mod").read_text())
    digest = hashlib.sha256("\0".join([go_version, *flags(release)]).encode())
    for source in sorted(path for path in MODULE.rglob("*") if path.suffix in (".go", ".mod", ".sum")):
        digest.update(source.read_bytes())
    return cache() / f"{release}-{digest.hexdigest()[:12]}"


def cached() -> Path | None:
    """The build, if it is there already."""
    found = folder(go_version()) if shutil.which("go") else None
    return found if found and found.is_dir() else None


def built() -> Path:
    """The build, made if missing. Raises LabError where it cannot be made."""
    with locked("build"):
        target = folder(go_version())
        if not target.is_dir():
            _build(target)
    return target


def go_version() -> str:
    """What Go calls itself, such as go1.25.4. Raises LabError if there is none that is new enough."""
    wanted = _wanted_go()
    if not shutil.which("go"):
        raise LabError(f"Go {wanted} or newer is needed to build Kubernetes, and there is no `go` on PATH: install it.")
    done = subprocess.run(
        ["go", "env", "GOVERSION"], cwd=MODULE, env=_environment(), capture_output=True, text=True, check=False
    )
    found = done.stdout.strip()
    if done.returncode != 0 or _numbers(found) < _numbers(wanted):
        raise LabError(
            f"Go {wanted} or newer is needed to build Kubernetes, and `go` on PATH is {found or done.stderr.strip()}."
        )
    return found


def _wanted_go() -> str:
    found = re.search(r"^go (\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE)
    return found[1] if found else "1.25"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}


def _build(target: Path) -> None:
    release = version((MODULE / "go.mod").read_text())
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    log = cache() / "build.log"
    say(f"building Kubernetes {release} in {part} (up to 11 minutes where nothing is cached; the log is {log})")
    started = time.monotonic()
    command = ["go", "build", "-v", *flags(release), "-o", f"{part}/", ".", "./pause"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=MODULE, env=_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while _is_running(process):
                packages = log.read_bytes().count(b"\n")
                say(f"{packages} packages compiled after {time.monotonic() - started:.0f} s")
        finally:
            process.kill()  # does nothing to one that has ended
    if process.returncode != 0:
        raise LabError(f"Kubernetes was not built, go says: {log.read_text()[-2000:].strip()}")
    os.rename(part, target)
    say(f"Kubernetes {release} was built in {time.monotonic() - started:.0f} s")


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_SAY_EVERY)
    except subprocess.TimeoutExpired:
        return True
    return False

# SPDX-License-Identifier: GPL-3.0-or-later
"""Create, demonstrate and remove labs: `python -m lab up NAME`, `... demo NAME`, `... down NAME`, `... clean`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

from .demo import demo
from .host import (
    LABEL,
    MACHINE_PID,
    RECIPE_LABEL,
    STATE,
    LabError,
    docker,
    end,
    engine_answers,
    ensure_engine,
    say,
    stop_engine,
)
from .images import lab_images
from .inventory import write_inventory
from .pi_image import pi_image
from .pis import pi_specs, ssh_key, start_pi, wait_for_ssh
from .services import PROJECT_ID, REGISTRY_NAME, api_token, ensure_gitlab, ensure_network, ensure_registry, stop_gitlab


def up(name: str, count: int) -> None:
    """Create a lab of `count` Pis, or start what an existing one lacks."""
    ensure_engine()
    folder = STATE / name
    folder.mkdir(parents=True, exist_ok=True)
    key = ssh_key(folder)
    pis = pi_specs(count)
    for suite in sorted({pi.suite for pi in pis}):
        pi_image(suite)
    address = ensure_network(name)
    images = lab_images()
    ensure_registry(name, {image.name: image.tag for image in images})
    url = ensure_gitlab(folder, address)
    public_key = key.with_suffix(".pub").read_text().strip()
    with ThreadPoolExecutor() as pool:
        pis = list(pool.map(lambda pi: start_pi(name, pi, public_key), pis))
        list(pool.map(lambda pi: wait_for_ssh(pi, key, folder / "known_hosts"), pis))
    references = {image.variable: f"{REGISTRY_NAME}/{image.name}" for image in images}
    variables = {
        **references,
        "gitlab_runner_url": url,
        "gitlab_runner_ca_file": str(folder / "tls" / "ca.crt"),
        "gitlab_runner_api_token": api_token(folder),
        "docker_insecure_registries": [REGISTRY_NAME],
        "lab_project_id": PROJECT_ID,
    }
    inventory = write_inventory(folder, pis, variables)
    say(f"{count} Pis are up; inventory: {inventory.relative_to(STATE.parent)}; GitLab: {url}")


def down(name: str) -> None:
    """Remove a lab: its processes, containers, volumes, network and files."""
    stop_gitlab(STATE / name)
    end(STATE / name / MACHINE_PID, "qemu-system")
    if engine_answers():
        label = f"label={LABEL}={name}"
        containers = docker("ps", "-aq", "--filter", label).split()
        if containers:
            say(f"removing {len(containers)} containers of lab {name}")
            docker("rm", "-f", "-v", *containers)
        networks = docker("network", "ls", "-q", "--filter", label).split()
        if networks:
            docker("network", "rm", *networks)
    shutil.rmtree(STATE / name, ignore_errors=True)


def clean() -> None:
    """Remove every lab, the lab's images, and the engine that the lab started."""
    for folder in sorted(path for path in STATE.glob("*") if path.is_dir()):
        down(folder.name)
    if engine_answers():
        # By label first: these are built on the pifleet/ base images, and untagged ones are left by rebuilds.
        left = [*_removed(f"label={RECIPE_LABEL}"), *_removed("reference=pifleet/*")]
        if left:
            say(f"{len(set(left))} images stay, because the lab of another checkout uses them")
    stop_engine()
    shutil.rmtree(STATE, ignore_errors=True)


def _removed(selection: str) -> list[str]:
    """Remove the images that this filter finds, and return those that containers still use."""
    found = ["images", "-q", "--filter", selection]
    for image in sorted(set(docker(*found).split())):
        docker("rmi", "-f", image, check=False)
    return docker(*found).split()


def main() -> int:
    """Run the command line; a LabError is printed as one line, with exit code 1."""
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, description in (
        ("up", "create a lab"),
        ("demo", "create a lab and run the demo"),
        ("down", "remove a lab"),
    ):
        sub = commands.add_parser(command, help=description)
        sub.add_argument("name")
        if command != "down":
            sub.add_argument(
                "--pis", type=int, default=int(os.environ.get("LAB_PIS", "3")), help="default: %(default)s"
            )
    commands.add_parser("clean", help="remove every lab, its images and the Docker engine that it started")
    arguments = parser.parse_args()
    try:
        match arguments.command:
            case "up":
                up(arguments.name, arguments.pis)
            case "demo":
                # Start from bare Pis even if an earlier demo is still up.
                down(arguments.name)
                up(arguments.name, arguments.pis)
                demo(arguments.name)
            case "down":
                down(arguments.name)
            case "clean":
                clean()
    except LabError as error:
        print(f"[lab] {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of a lab: its network, the fake GitLab (HTTPS, private CA) and an image registry."""

from __future__ import annotations

import json
import os
import secrets
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from .host import LABEL, ROOT, LabError, docker, end, running_pid, say
from .pi_image import registry_image

GITLAB_PORT = 8443
REGISTRY_NAME = "registry.lab:5000"
PROJECT_ID = 42
_GITLAB, _GITLAB_PID = "fake_gitlab", "gitlab.pid"
_REGISTRY_CONFIG = Path(__file__).with_name("registry.yml")
_PYTHONPATH = f"{ROOT / 'tests'}{os.pathsep}{ROOT / '.cache' / 'collections'}"


def ensure_network(lab: str) -> str:
    """Create the lab's network if missing, and return this machine's IP address in it."""
    network = f"pifleet-{lab}"
    if not docker("network", "ls", "-q", "--filter", f"name=^{network}$"):
        docker("network", "create", "--label", f"{LABEL}={lab}", network)
    return docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network).split("/")[0]


def ensure_registry(lab: str, images: dict[str, str]) -> None:
    """Start the registry and push `images` to it (name in the registry -> tag in this machine's engine)."""
    container = f"pifleet-{lab}-registry"
    if docker("inspect", "-f", "{{.State.Running}}", container, check=False) != "true":
        docker("rm", "-f", "-v", container, check=False)
        docker(
            "run", "--detach", "--name", container, "--label", f"{LABEL}={lab}", "--network", f"pifleet-{lab}",
            "--network-alias", REGISTRY_NAME.split(":")[0], "--publish", "127.0.0.1::5000",
            "--volume", "/var/lib/docker-registry", "--volume", f"{_REGISTRY_CONFIG}:/registry.yml:ro",
            registry_image(),
        )  # fmt: skip
    port = docker("port", container, "5000/tcp").splitlines()[0].rsplit(":", 1)[1]
    _wait_for(f"http://127.0.0.1:{port}/v2/", "the lab's registry")
    for name, tag in images.items():
        # Docker allows plain HTTP for a registry on the loopback address; the Pis use its name in the lab's network.
        target = f"127.0.0.1:{port}/{name}"
        say(f"pushing {tag} to the lab's registry as {name}")
        docker("tag", tag, target)
        docker("push", "--quiet", target)
        docker("rmi", target)


def ensure_gitlab(folder: Path, address: str) -> str:
    """Start the fake GitLab of the lab in `folder` unless it runs, and return its URL."""
    url = f"https://{address}:{GITLAB_PORT}"
    if running_pid(folder / _GITLAB_PID, _GITLAB):
        return url
    tls = folder / "tls"
    environment = {**os.environ, "PYTHONPATH": _PYTHONPATH}
    if not (tls / "ca.crt").exists():
        command = [sys.executable, "-m", _GITLAB, "--make-tls", str(tls), "--san", address, "--san", "gitlab.lab"]
        subprocess.run(command, env=environment, check=True)
    seed = folder / "gitlab-seed.json"
    if not seed.exists():
        seed.write_text(json.dumps(_seed(), indent=2))
        seed.chmod(0o600)
    say(f"starting the fake GitLab at {url}")
    with (folder / "gitlab.log").open("ab") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", _GITLAB, "--host", address, "--port", str(GITLAB_PORT),
                "--cert", str(tls / "server.crt"), "--key", str(tls / "server.key"), "--seed", str(seed),
            ],
            env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    (folder / _GITLAB_PID).write_text(str(process.pid))
    _wait_for(f"{url}/", "the fake GitLab (its log is gitlab.log in the lab's folder)", tls / "ca.crt")
    return url


def api_token(folder: Path) -> str:
    """Return the personal access token of the lab's playbooks (scopes create_runner, manage_runner, read_api)."""
    seed = json.loads((folder / "gitlab-seed.json").read_text())
    return str(seed["users"][0]["tokens"][0]["value"])


def stop_gitlab(folder: Path) -> None:
    """Stop the fake GitLab of the lab in `folder`, if it runs."""
    end(folder / _GITLAB_PID, _GITLAB)


def _seed() -> dict[str, object]:
    # A user with the minimal scopes and role, on an instance with GitLab's default settings.
    token = {"value": f"glpat-{secrets.token_urlsafe(15)}", "scopes": ["create_runner", "manage_runner", "read_api"]}
    return {
        "users": [{"username": "fleet", "tokens": [token]}],
        "groups": [{"path": "pis", "members": {"fleet": "owner"}}],
        "projects": [{"path": "pis/firmware", "group": "pis", "id": PROJECT_ID}],
    }


def _wait_for(url: str, what: str, ca: Path | None = None) -> None:
    context = ssl.create_default_context(cafile=str(ca)) if ca else None
    for _ in range(60):
        try:
            with urllib.request.urlopen(url, timeout=5, context=context):
                return
        except OSError as error:
            last = error
            time.sleep(0.5)
    raise LabError(f"{what} does not answer at {url}: {last}")

# SPDX-License-Identifier: GPL-3.0-or-later
"""An image registry of the lab with a certificate of a private CA, and a login."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Mapping
from pathlib import Path

from .host import LABEL, LabError, docker, say
from .pi_image import registry_image

REGISTRY = "registry.example.com:5000"
USERNAME, PASSWORD = "ci", "a password of the lab"
_HASH = "$2y$05$abcdefghijklmnopqrstuubHfQ2YmKN7fPe.0BIx0rWT/wvkTRirC"  # bcrypt, the only one that the registry takes
_CONFIG = """version: "0.1"
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: ":5000", tls: {certificate: /private/server.crt, key: /private/server.key}}
auth: {htpasswd: {realm: lab, path: /private/htpasswd}}
log: {level: warn}
"""


def start_private_registry(lab: str, folder: Path, images: Mapping[str, str]) -> None:
    """Start it with `server.crt` and `server.key` of the folder, and push the images (name there -> tag here).

    The certificate is for the host name in REGISTRY. Raises LabError.
    """
    (folder / "htpasswd").write_text(f"{USERNAME}:{_HASH}\n")
    (folder / "registry.yml").write_text(_CONFIG)
    container = _container(lab)
    stop_private_registry(lab)
    say(f"starting {REGISTRY}")
    docker(
        "run", "--detach", "--name", container, "--label", f"{LABEL}={lab}", "--network", f"pifleet-{lab}",
        "--network-alias", REGISTRY.split(":")[0], "--publish", "127.0.0.1::5000",
        "--volume", "/var/lib/docker-registry", "--volume", f"{folder}:/private:ro",
        registry_image(), "/usr/bin/docker-registry", "serve", "/private/registry.yml",
    )  # fmt: skip
    # This machine's engine takes any certificate from the loopback address.
    address = docker("port", container, "5000/tcp").splitlines()[0]
    _wait_for_tls(address)
    login = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    client = folder / "client"
    client.mkdir(mode=0o700, exist_ok=True)
    (client / "config.json").write_text(json.dumps({"auths": {address: {"auth": login}}}))
    for name, tag in images.items():
        docker("tag", tag, f"{address}/{name}")
        docker("--config", str(client), "push", "--quiet", f"{address}/{name}")
        docker("rmi", f"{address}/{name}")


def stop_private_registry(lab: str) -> None:
    """Remove it, if there is one."""
    docker("rm", "-f", "-v", _container(lab), check=False)


def _wait_for_tls(address: str) -> None:
    """Return when the registry presents its certificate, whatever that is. Raises LabError after a minute."""
    host, port = address.rsplit(":", 1)
    for _ in range(60):
        try:
            if ssl.get_server_certificate((host, int(port)), timeout=5):
                return
        except OSError as error:
            last = error
            time.sleep(1)
    raise LabError(f"{REGISTRY} does not answer at {address}: {last}")


def _container(lab: str) -> str:
    return f"pifleet-{lab}-private-registry"

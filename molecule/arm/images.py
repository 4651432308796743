# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's images for 64-bit ARM, built from the same Dockerfiles without a Docker engine."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.base import base_archive
from images.build import Recipe, digest, write_context
from lab.host import run, say

from .disk import CACHE

ARCHITECTURE = "arm64"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(frozen=True)
class Image:
    """An image as a registry hands it out: a manifest, and what it refers to by digest (`sha256:...`)."""

    manifest: bytes
    blobs: dict[str, bytes]
    media_type: str = _MANIFEST


def image(recipe: Recipe) -> Image:
    """Return the image, built if missing; programs of its RUN instructions are emulated. Raises LabError."""
    instructions = parse_dockerfile(recipe.dockerfile.read_text())
    layer = _layer(recipe, instructions)
    content = layer.read_bytes()
    config = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": image_config(instructions),
        "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(content))]},
    }
    document = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _described(_CONFIG, document),
        "layers": [_described(_LAYER, content)],
    }
    return Image(json.dumps(manifest).encode(), {_digest(document): document, _digest(content): content})


def parse_dockerfile(text: str) -> list[tuple[str, str]]:
    r"""Return the instructions as (name, rest), without comments and with `\` at the end of a line resolved."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def image_config(instructions: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the `config` of an image with these instructions, whose commands are JSON arrays."""
    config: dict[str, Any] = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    for name, rest in instructions:
        match name:
            case "CMD":
                config["Cmd"] = json.loads(rest)
            case "ENTRYPOINT":
                config["Entrypoint"] = json.loads(rest)
            case "ENV":
                config["Env"] += shlex.split(rest)
            case "STOPSIGNAL":
                config["StopSignal"] = rest
            case "VOLUME":
                config["Volumes"] = {path: {} for path in json.loads(rest)}
            case "EXPOSE":
                config["ExposedPorts"] = {f"{port}/tcp": {} for port in rest.split()}
            case "ARG" | "FROM" | "COPY" | "RUN":
                pass  # of the file system
            case _:
                raise ValueError(f"a Dockerfile of the lab has the instruction {name}, which is not implemented here")
    return config


def _layer(recipe: Recipe, instructions: list[tuple[str, str]]) -> Path:
    """The whole file system as one compressed layer."""
    base = base_archive(recipe.packages, ARCHITECTURE, recipe.sbin)
    with tempfile.TemporaryDirectory(prefix="pifleet-image-") as folder:
        context, root = Path(folder) / "context", Path(folder) / "root"
        write_context(recipe, context)
        layer = CACHE / "images" / f"{recipe.tag.replace('/', '-').replace(':', '-')}-{digest(context, base.name)[:12]}"
        if layer.exists():
            return layer
        say(f"building {recipe.tag} for {ARCHITECTURE}")
        root.mkdir()
        try:
            run("tar", "-xf", str(base), "-C", str(root))
            run("cp", "-r", "--preserve=mode", f"{context / 'root'}/.", str(root))
            null = str(root / "dev" / "null")
            run("mkdir", "-p", str(root / "dev"))
            run("mknod", "-m", "0666", null, "c", "1", "3")
            for command in (json.loads(rest) for name, rest in instructions if name == "RUN"):
                run("chroot", str(root), *command)
            run("rm", null)
            archive = Path(folder) / "layer.tar"
            run("tar", "--numeric-owner", "-cf", str(archive), "-C", str(root), ".")
        finally:
            run("rm", "-rf", str(root))
        layer.parent.mkdir(parents=True, exist_ok=True)
        part = layer.with_suffix(".part")
        part.write_bytes(gzip.compress(archive.read_bytes(), compresslevel=1, mtime=0))
        os.replace(part, layer)
    return layer


def _described(media_type: str, content: bytes) -> dict[str, str | int]:
    return {"mediaType": media_type, "size": len(content), "digest": _digest(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"

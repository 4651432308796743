# SPDX-License-Identifier: GPL-3.0-or-later
"""Images built from the same Dockerfiles without a Docker engine: for another architecture, or for a cluster."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import re
import shlex
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.host import CACHE, run, say

from .base import base_archive
from .build import Recipe, digest, write_context

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(frozen=True)
class Image:
    """An image as a registry hands it out: a manifest, and what it refers to by digest (`sha256:...`)."""

    manifest: bytes
    blobs: dict[str, bytes]
    media_type: str = _MANIFEST


def image(recipe: Recipe, architecture: str = "") -> Image:
    """Return the image, built if missing. Raises LabError.

    architecture: as dpkg has it, this machine's if empty. For another one the programs of RUN are emulated.
    """
    instructions = parse_dockerfile(recipe.dockerfile.read_text())
    layer = _layer(recipe, instructions, architecture)
    return of_layer(layer.read_bytes(), image_config(instructions), architecture)


def of_layer(layer: bytes, config: Mapping[str, Any], architecture: str = "") -> Image:
    """Return the image whose file system is one layer, a tarball compressed with gzip. config: as of image_config()."""
    described = {
        "architecture": architecture or _own_architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(layer))]},
    }
    document = json.dumps(described).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _described(_CONFIG, document),
        "layers": [_described(_LAYER, layer)],
    }
    return Image(json.dumps(manifest).encode(), {_digest(document): document, _digest(layer): layer})


def docker_archive(image: Image, reference: str) -> bytes:
    """Return what `docker save` would write of an image of that name."""
    manifest = json.loads(image.manifest)
    names = {found["digest"]: found["digest"].removeprefix("sha256:") for found in manifest["layers"]}
    config = manifest["config"]["digest"]
    names[config] = f"{config.removeprefix('sha256:')}.json"
    layers = [names[layer["digest"]] for layer in manifest["layers"]]
    index = json.dumps([{"Config": names[config], "RepoTags": [reference], "Layers": layers}]).encode()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, blob in [*((names[digest], blob) for digest, blob in image.blobs.items()), ("manifest.json", index)]:
            member = tarfile.TarInfo(name)
            member.size = len(blob)
            archive.addfile(member, io.BytesIO(blob))
    return content.getvalue()


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


def _layer(recipe: Recipe, instructions: list[tuple[str, str]], architecture: str) -> Path:
    """The whole file system as one compressed layer."""
    base = base_archive(recipe.packages, architecture, recipe.sbin)
    with tempfile.TemporaryDirectory(prefix="pifleet-image-") as folder:
        context, root = Path(folder) / "context", Path(folder) / "root"
        write_context(recipe, context)
        name = recipe.tag.replace("/", "-").replace(":", "-")
        layer = CACHE / "layers" / f"{name}-{digest(context, base.name)[:12]}"
        if layer.exists():
            return layer
        say(f"building {recipe.tag} for {architecture or 'this architecture'}, without an engine")
        root.mkdir()
        try:
            run("tar", "-xf", str(base), "-C", str(root))
            run("cp", "-r", "--preserve=mode", f"{context / 'root'}/.", str(root))
            null = str(root / "dev" / "null")
            run("mkdir", "-p", str(root / "dev"))
            run("mknod", "-m", "0666", null, "c", "1", "3")
            # with /proc, by which busybox finds itself
            inside = ["unshare", "--mount", "--pid", "--fork", f"--root={root}", "--mount-proc"]
            for command in (json.loads(rest) for name, rest in instructions if name == "RUN"):
                run(*inside, *command)
            run("rm", null)
            archive = Path(folder) / "layer.tar"
            capabilities = ["--xattrs", "--xattrs-include=security.capability"]
            run("tar", "--numeric-owner", *capabilities, "-cf", str(archive), "-C", str(root), ".")
        finally:
            run("rm", "-rf", str(root))
        layer.parent.mkdir(parents=True, exist_ok=True)
        part = layer.with_suffix(".part")
        part.write_bytes(gzip.compress(archive.read_bytes(), compresslevel=1, mtime=0))
        os.replace(part, layer)
    return layer


def _own_architecture() -> str:
    """This machine's architecture as images have it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _described(media_type: str, content: bytes) -> dict[str, str | int]:
    return {"mediaType": media_type, "size": len(content), "digest": _digest(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"

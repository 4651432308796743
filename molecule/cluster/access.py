# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may speak to the API server: certificates, tokens, kubeconfigs."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from lab.host import ROOT

from .components import CONTEXT, NODE, PORT
from .network import SERVICES

ADMIN = "admin"
USERS: Mapping[str, tuple[str, str]] = {
    # name of the kubeconfig -> user and group; the rights of these come with Kubernetes
    ADMIN: (ADMIN, "system:masters"),
    "controllers": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "proxy": ("system:kube-proxy", ""),
}


def write_access(folder: Path, address: str) -> None:
    """Write all of it into the folder, which nobody else may read. address: the node's."""
    folder.mkdir(mode=0o700)
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1", address]
    _make_tls(folder, [*names, str(next(SERVICES.hosts()))])
    _write(folder / "service-accounts.key", _private_key())
    tokens = {name: secrets.token_hex(16) for name in USERS}
    _write(folder / "tokens.csv", token_file(tokens))
    authority = (folder / "ca.crt").read_bytes()
    for name, token in tokens.items():
        document = kubeconfig(f"https://{address}:{PORT}", authority, token, current=name != ADMIN)
        _write(folder / f"{name}.kubeconfig", json.dumps(document, indent=1))


def token_file(tokens: Mapping[str, str]) -> str:
    """What the API server reads tokens from: https://kubernetes.io/docs/reference/access-authn-authz/authentication/"""
    lines = []
    for name, token in tokens.items():
        user, group = USERS[name]
        lines.append(",".join([token, user, name, *([f'"{group}"'] if group else [])]))
    return "".join(f"{line}\n" for line in lines)


def kubeconfig(server: str, authority: bytes, token: str, *, current: bool = False) -> dict[str, object]:
    """A kubeconfig with one context, for the bearer of a token. current: whether that is what programs use unasked."""
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": CONTEXT, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        "current-context": CONTEXT if current else "",
    }


def _make_tls(folder: Path, names: Iterable[str]) -> None:
    """ca.crt, server.crt and server.key, by the program that makes those of the fake GitLab."""
    sans = [argument for name in names for argument in ("--san", name)]
    command = [sys.executable, "-m", "fake_gitlab", "--make-tls", str(folder), *sans]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "tests")}, check=True)


def _private_key() -> str:
    """In a form of which Kubernetes takes the public half by itself, too."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, no_password).decode()


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)

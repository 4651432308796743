# SPDX-License-Identifier: GPL-3.0-or-later
"""The signature of an apt repository of the lab."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile


def signed_release(codename: str, component: str, architecture: str, packages: str) -> tuple[str, str]:
    """Return an InRelease for the suite whose only index has this content, and the key that signs it, ASCII-armored."""
    content = packages.encode()
    release = [
        "Origin: lab",
        f"Codename: {codename}",
        f"Suite: {codename}",
        f"Components: {component}",
        f"Architectures: {architecture}",
        "Date: Thu, 01 Jan 2026 00:00:00 UTC",
        "SHA256:",
        f" {hashlib.sha256(content).hexdigest()} {len(content)} {component}/binary-{architecture}/Packages",
    ]
    with tempfile.TemporaryDirectory(prefix="pifleet-gpg-") as home:
        environment = {**os.environ, "GNUPGHOME": home}

        def gpg(*arguments: str, text: str = "") -> str:
            command = ["gpg", "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback", *arguments]
            done = subprocess.run(command, input=text, check=True, capture_output=True, text=True, env=environment)
            return done.stdout

        gpg("--quick-generate-key", "The lab <nobody@lab.invalid>", "rsa3072", "sign", "never")
        signed = gpg("--clearsign", text="\n".join([*release, ""]))
        key = gpg("--armor", "--export")
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False, env=environment)
    return signed, key

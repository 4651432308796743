# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of a lab, as a user with these Pis would write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .pis import PASSWORD, SSH_PORT, Pi


def write_inventory(folder: Path, pis: list[Pi], variables: dict[str, Any]) -> Path:
    """Write `inventory/` into the lab's folder (pis.ini and group_vars) and return its path."""
    inventory = folder / "inventory"
    group = inventory / "group_vars" / "pis"
    group.mkdir(parents=True, exist_ok=True)
    lines = ["[pis]"]
    for pi in pis:
        password = f" ansible_become_password={PASSWORD}" if pi.sudo_requires_password else ""
        port = "" if pi.port == SSH_PORT else f" ansible_port={pi.port}"
        lines.append(f"{pi.name} ansible_host={pi.address}{port}{password}")
    (inventory / "pis.ini").write_text("\n".join(lines) + "\n")
    connection = {
        "ansible_user": "pi",
        "ansible_ssh_private_key_file": str(folder / "id_ed25519"),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={folder / 'known_hosts'}",
    }
    _write(group / "connection.yml", connection)
    _write(group / "lab.yml", variables)
    return inventory


def _write(path: Path, variables: dict[str, Any]) -> None:
    # JSON is valid YAML. The mode protects the API token.
    path.touch(mode=0o600)
    path.write_text(json.dumps(variables, indent=2) + "\n")

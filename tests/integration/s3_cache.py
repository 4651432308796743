# SPDX-License-Identifier: GPL-3.0-or-later
"""An S3 server beside a lab, and what the Pis of the lab need to use it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_gitlab import tls
from lab.fleet import Lab
from lab.host import ROOT
from lab.s3_server import ACCESS_KEY, SECRET_KEY, SERVER, has_s3_cache, start_s3_server, stop_s3_server

_FLEET = ROOT / "molecule" / "fleet" / "group_vars" / "pis" / "fleet.yml"


@contextmanager
def s3_cache(lab: Lab, folder: Path) -> Iterator[dict[str, Any]]:
    """Start a server, with a certificate of a CA of its own; yield variables of the playbook, with its keys in vault_*.

    Containers on the Pis have no DNS that knows the server, so they are told its address. The server is in the folder.
    """
    runner = shutil.which("gitlab-runner")
    if not has_s3_cache(runner):
        pytest.skip(f"{runner} was built without the S3 cache")
    name = SERVER.split(":")[0]
    files = tls.make(folder, [name])
    assert files.ca
    both = folder / "both.crt"
    both.write_text("".join(Path(ca).read_text() for ca in (lab.folder / "tls" / "ca.crt", files.ca)))
    address = start_s3_server(lab.folder.name, folder)
    try:
        defaults = yaml.safe_load(_FLEET.read_text())["gitlab_runner_defaults"]
        defaults["config"]["docker"]["extra_hosts"] = [f"{name}:{address}"]
        yield {
            "vault_cache_access_key": ACCESS_KEY,
            "vault_cache_secret_key": SECRET_KEY,
            "gitlab_runner_ca_file": str(both),
            "gitlab_runner_container_options": {"etc_hosts": {name: address}},
            "gitlab_runner_defaults": defaults,
        }
    finally:
        stop_s3_server(lab.folder.name)

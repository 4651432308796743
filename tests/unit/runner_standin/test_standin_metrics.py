# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in's metrics server, which the probes of Kubernetes ask."""

from __future__ import annotations

import pytest
import requests
from runner_standin import metrics


@pytest.mark.parametrize("address", [":0", "127.0.0.1:0", "[::]:0"])
def test_what_probes_ask(address: str) -> None:
    server = metrics.serve(address)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    assert "gitlab_runner_version_info" in requests.get(f"{url}/metrics", timeout=5).text
    assert requests.get(f"{url}/health/ready", timeout=5).status_code == 200
    assert requests.get(f"{url}/debug", timeout=5).status_code == 404
    server.shutdown()
    server.server_close()


def test_an_address_in_use() -> None:
    server = metrics.serve("127.0.0.1:0")
    with pytest.raises(OSError, match="in use"):
        metrics.serve(f"127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    server.server_close()

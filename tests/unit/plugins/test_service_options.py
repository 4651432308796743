# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter service_options: options of a container under the names of a service."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.pifleet.ci.plugins.filter.service_options import service_options

CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"env": {"NO_PROXY": "localhost"}}, {"env": {"NO_PROXY": "localhost"}}),
    ({"dns_servers": ["192.0.2.1"]}, {"dns": ["192.0.2.1"]}),
    ({"etc_hosts": {"gitlab": "192.0.2.1"}}, {"hosts": {"gitlab": "192.0.2.1"}}),
    ({"memory": "256M", "cpus": 0.5}, {"limits": {"memory": "256M", "cpus": 0.5}}),
    (
        {"log_driver": "local", "log_options": {"max-file": "2"}},
        {"logging": {"driver": "local", "options": {"max-file": "2"}}},
    ),
    (
        {"mounts": [{"source": "/srv/ca", "target": "/ca", "read_only": True, "type": None}]},
        {"mounts": [{"type": "bind", "source": "/srv/ca", "target": "/ca", "readonly": True}]},
    ),
    (
        {"mounts": [{"source": "data", "target": "/data", "type": "volume"}]},
        {"mounts": [{"type": "volume", "source": "data", "target": "/data"}]},
    ),
    (
        {"published_ports": ["9252:9253"]},
        {"publish": [{"published_port": 9252, "target_port": 9253, "protocol": "tcp", "mode": "host"}]},
    ),
]


@pytest.mark.parametrize(("options", "expected"), CASES, ids=[" ".join(options) or "none" for options, _ in CASES])
def test_the_names_of_a_service(options: dict[str, Any], expected: dict[str, Any]) -> None:
    assert service_options(options) == expected


@pytest.mark.parametrize("port", ["127.0.0.1:9252:9252", "9252", "a:b"])
def test_a_port_that_a_service_cannot_publish(port: str) -> None:
    with pytest.raises(AnsibleFilterError, match="is no published port of a service: give PORT:PORT"):
        service_options({"published_ports": [port]})


def test_what_a_service_does_not_have() -> None:
    with pytest.raises(AnsibleFilterError, match="A service has no network_mode: remove it"):
        service_options({"network_mode": "host"})

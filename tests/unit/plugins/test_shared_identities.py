# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that were cloned from each other."""

from __future__ import annotations

from typing import Any

from ansible_collections.pifleet.ci.plugins.filter.shared_identities import shared_identities

NONE: dict[str, list[str]] = {}


def host(name: str, machine_id: str, ssh_host_key: str = "", system_id: str | None = None) -> dict[str, Any]:
    file = None if system_id is None else {"content": f"{system_id}\n", "mode": "0600"}
    files = {"/etc/docker/daemon.json": {"content": "{}"}, "/etc/gitlab-runner/.runner_system_id": file}
    gathered = {"machine_id": machine_id, "ssh_host_key": ssh_host_key, "files": files}
    return {"inventory_hostname": name, "pifleet_host": gathered}


def test_hosts_that_differ_share_nothing() -> None:
    hosts = [host("pi-01", "1", "a", "s_1"), host("pi-02", "2", "b", "s_2")]
    assert shared_identities(hosts) == {"machine_id": NONE, "ssh_host_key": NONE, "system_id": NONE}


def test_each_clone_is_named_with_the_others() -> None:
    hosts = [host("pi-03", "1", "a", "s_1"), host("pi-01", "1", "b", "s_2"), host("pi-02", "2", "a", "s_1")]
    assert shared_identities(hosts) == {
        "machine_id": {"pi-03": ["pi-01", "pi-03"], "pi-01": ["pi-01", "pi-03"]},
        "ssh_host_key": {"pi-03": ["pi-02", "pi-03"], "pi-02": ["pi-02", "pi-03"]},
        "system_id": {"pi-03": ["pi-02", "pi-03"], "pi-02": ["pi-02", "pi-03"]},
    }


def test_nothing_is_shared_by_hosts_that_have_none_or_were_not_gathered() -> None:
    hosts = [host("pi-01", "", "", None), host("pi-02", "", "", ""), {"inventory_hostname": "pi-03"}]
    assert shared_identities(hosts) == {"machine_id": NONE, "ssh_host_key": NONE, "system_id": NONE}

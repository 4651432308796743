# SPDX-License-Identifier: GPL-3.0-or-later
"""After site.yml in check mode on bare Pis: nothing changed on them or in GitLab."""

from __future__ import annotations

from lab.fleet import GitLab
from testinfra.host import Host


def test_the_pis_are_as_flashed(pis: dict[str, Host]) -> None:
    for name, pi in pis.items():
        assert not pi.package("docker.io").is_installed, name
        for path in ("/etc/docker/daemon.json", "/etc/gitlab-runner"):
            assert not pi.file(path).exists, f"{name}: {path}"


def test_no_write_request_was_sent(gitlab: GitLab) -> None:
    assert gitlab.writes() == []
    assert gitlab.runners() == []


def test_gitlab_was_asked_at_all(gitlab: GitLab) -> None:
    # Else the test above would pass for a play that never came so far.
    assert any(request.startswith("GET ") for request in gitlab.requests_of_ansible())

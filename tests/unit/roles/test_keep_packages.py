# SPDX-License-Identifier: GPL-3.0-or-later
"""keep_packages.sh: what dpkg has installed becomes a package again, all of it or nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from plays.play import ROOT

SCRIPT = ROOT / "roles" / "gitlab_runner" / "files" / "keep_packages.sh"
STATUS = """Package: gitlab-runner
Status: hold ok installed
Architecture: all
Version: 19.3.0-1
Maintainer: Nobody <nobody@example.com>
Depends: gitlab-runner-helper-images (= 19.3.0-1)
Conffiles:
 /etc/one 0123456789abcdef0123456789abcdef
 /etc/two 0123456789abcdef0123456789abcdef
Description: GitLab Runner
 It runs jobs.

Package: gitlab-runner-helper-images
Status: hold ok installed
Architecture: all
Version: 19.3.0-1
Maintainer: Nobody <nobody@example.com>
Description: Helper images
"""
PACKAGES = ("gitlab-runner", "gitlab-runner-helper-images")
pytestmark = pytest.mark.skipif(not shutil.which("dpkg-query"), reason="this machine has no dpkg")


class Pi:
    """A database of dpkg, and the files that it says are installed."""

    def __init__(self, folder: Path) -> None:
        self.root, self.kept, self._database = folder / "root", folder / "lib" / "previous", folder / "dpkg"
        self.program = self.root / "usr" / "bin" / "gitlab-runner"
        self.program.parent.mkdir(parents=True)
        self.program.write_text("#!/bin/sh\n")
        self.program.chmod(0o755)
        (self.program.parent / "gitlab-ci-multi-runner").symlink_to("gitlab-runner")
        info = self._database / "info"
        info.mkdir(parents=True)
        (info / "format").write_text("1\n")
        (self._database / "status").write_text(STATUS)
        paths = [self.root, self.program.parent, *sorted(self.program.parent.iterdir()), self.root / "excluded"]
        (info / "gitlab-runner.list").write_text("/.\n" + "".join(f"{path}\n" for path in paths))
        (info / "gitlab-runner-helper-images.list").write_text("/.\n")
        (info / "gitlab-runner.postinst").write_text("#!/bin/sh\n")
        (info / "gitlab-runner.postinst").chmod(0o755)

    def keep(self, *packages: str) -> subprocess.CompletedProcess[str]:
        wanted = {"directory": str(self.kept), "packages": " ".join(packages), "DPKG_ADMINDIR": str(self._database)}
        return subprocess.run(
            ["/bin/sh", str(SCRIPT)], env={**os.environ, **wanted}, capture_output=True, text=True, check=False
        )

    def kept_files(self) -> list[str]:
        return sorted(path.name for path in self.kept.parent.rglob("*") if path.is_file())

    def read(self, *question: str) -> str:
        package = str(self.kept / "gitlab-runner.deb")
        return subprocess.run(
            ["dpkg-deb", question[0], package, *question[1:]], check=True, capture_output=True, text=True
        ).stdout


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def test_a_package_has_all_that_is_installed_of_it(pi: Pi, tmp_path: Path) -> None:
    done = pi.keep(*PACKAGES)
    assert (done.returncode, done.stderr) == (0, "")
    assert pi.kept_files() == ["gitlab-runner-helper-images.deb", "gitlab-runner.deb", "version"]
    assert (pi.kept / "version").read_text() == "19.3.0-1\n"
    fields = pi.read("--field")
    assert "Depends: gitlab-runner-helper-images (= 19.3.0-1)" in fields
    assert "Description: GitLab Runner\n It runs jobs." in fields
    assert "Status" not in fields
    assert "0123456789abcdef" not in fields
    pi.read("--extract", str(tmp_path / "out"))
    program = tmp_path / "out" / pi.program.relative_to("/")
    assert (program.read_text(), program.stat().st_mode & 0o777) == ("#!/bin/sh\n", 0o755)
    assert os.readlink(program.with_name("gitlab-ci-multi-runner")) == "gitlab-runner"
    pi.read("--control", str(tmp_path / "control"))
    assert os.access(tmp_path / "control" / "postinst", os.X_OK)


def test_what_is_kept_already_stays(pi: Pi) -> None:
    pi.keep(*PACKAGES)
    before = (pi.kept / "gitlab-runner.deb").stat()
    pi.program.write_text("the new version")
    assert pi.keep(*PACKAGES).returncode == 0
    assert (pi.kept / "gitlab-runner.deb").stat() == before


def test_nothing_is_kept_by_halves(pi: Pi) -> None:
    done = pi.keep(PACKAGES[0], "no-such-package")
    assert done.returncode != 0
    assert "no-such-package" in done.stderr
    assert pi.kept_files() == []
    assert not pi.kept.exists()
    pi.kept.with_name("previous.new").mkdir()
    assert pi.keep(*PACKAGES).returncode == 0, "after a power cut"

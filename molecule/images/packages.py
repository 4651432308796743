# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab Runner as Debian packages, as far as a Pi can tell them from GitLab's."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .build import copy

_SCRIPTS = Path(__file__).parent / "package"


def runner_packages(folder: Path, version: str, files: Mapping[str, Path], broken: bool = False) -> list[Path]:
    """Build `gitlab-runner` and the `gitlab-runner-helper-images` that it depends on into the folder.

    files: of the program, as runner_files() has them. The helper images are none. broken: dpkg cannot unpack it.
    """
    depends = f"gitlab-runner-helper-images (= {version}), python3"
    scripts = {name: (_SCRIPTS / name).read_text() for name in ("postinst", "prerm")}
    if broken:
        scripts["preinst"] = "#!/bin/sh\necho 'broken on purpose' >&2\nexit 1\n"
    return [
        _build(folder, "gitlab-runner-helper-images", version, {}, {}),
        _build(folder, "gitlab-runner", version, {"Depends": depends}, scripts, files),
    ]


def _build(
    folder: Path,
    name: str,
    version: str,
    fields: Mapping[str, str],
    scripts: Mapping[str, str],
    files: Mapping[str, Path] | None = None,
) -> Path:
    described = {
        "Package": name,
        "Version": version,
        "Architecture": "all",  # the stand-in is; a real program runs on Pis of this machine's architecture only
        "Maintainer": "The pifleet.ci authors <nobody@lab.invalid>",
        "Description": "GitLab Runner in the lab",
        **fields,
    }
    deb = folder / f"{name}_{version}_all.deb"
    with tempfile.TemporaryDirectory(prefix="pifleet-package-") as tree:
        control = Path(tree) / "DEBIAN"
        control.mkdir()
        (control / "control").write_text("".join(f"{field}: {value}\n" for field, value in described.items()))
        for script, text in scripts.items():
            (control / script).write_text(text)
            (control / script).chmod(0o755)
        for target, source in (files or {}).items():
            copy(source, Path(tree) / target)
        Path(tree).chmod(0o755)
        program = shutil.which("dpkg-deb") or "/usr/bin/dpkg-deb"
        command = [program, "--root-owner-group", "-Zgzip", "--build", tree, str(deb)]
        subprocess.run(command, check=True, capture_output=True)
    return deb

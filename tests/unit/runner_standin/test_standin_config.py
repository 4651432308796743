# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in loads config.toml as strictly as GitLab Runner, which is compared where it is on PATH."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from runner_standin import cli, config, durations
from runner_standin.config import ConfigError
from standin_documents import INVALID, VALID

Write = Callable[[str], Path]

_REAL = shutil.which("gitlab-runner")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_bytes(text.encode())
        return path

    return write


@pytest.mark.parametrize("case", VALID)
def test_valid_documents(case: str, write: Write) -> None:
    config.load(write(VALID[case]))


@pytest.mark.parametrize("case", INVALID)
def test_invalid_documents(case: str, write: Write) -> None:
    with pytest.raises(ConfigError):
        config.load(write(INVALID[case]))


@pytest.mark.skipif(_REAL is None, reason="no gitlab-runner on PATH")
@pytest.mark.parametrize("case", [*VALID, *INVALID])
def test_gitlab_runner_agrees(case: str, write: Write) -> None:
    path = write({**VALID, **INVALID}[case])
    # `lint` (19.3) finds more than loading does, but only a file that cannot be loaded is "decoding config".
    command = [str(_REAL), "lint", "--config", str(path)]
    stderr = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stderr
    assert ("decoding config: " not in stderr) == (case in VALID), stderr


def test_missing_file_is_empty(tmp_path: Path) -> None:
    loaded = config.load(tmp_path / "config.toml")
    assert (loaded.concurrent, loaded.runners) == (1, ())


def test_exact_key_wins_over_another_case(write: Write) -> None:
    assert config.load(write("Concurrent = 4\nconcurrent = 2\n")).concurrent == 2


def test_unknown_keys_are_listed_for_lint(write: Write) -> None:
    path = write('concurent = 1\n[[runners]]\nname="a"\nurl="u"\ntoken="t"\nexecutor="shell"\ntags=["x"]\n')
    assert config.load(path).unknown == ["concurent", "runners.tags"]
    assert cli.main(["lint", "--config", str(path)]) == 1


def test_environment_is_expanded_in_url_and_token(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PI_TOKEN", "glrt-secret")
    runner = config.load(write('[[runners]]\ntoken = "$PI_TOKEN"\nurl = "${PI_URL}"\n')).runners[0]
    assert (runner.token, runner.url) == ("glrt-secret", "")


@pytest.mark.parametrize(
    ("token", "short_token"),
    [
        ("glrt-t3_abcdefghijkl", "abcdefghi"),
        ("glrt-abcdefghijkl", "abcdefghi"),
        ("glrtr-abcdefghijkl", "abcdefghi"),
        ("abc", "abc"),
    ],
)
def test_short_token(token: str, short_token: str, write: Write) -> None:
    assert config.load(write(f'[[runners]]\ntoken = "{token}"\n')).runners[0].short_token == short_token


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h30m", 5400), ("90s", 90), ("1.5h", 5400), ("-2m", -120), ("0", 0), (900, 9e-7), ("1µs", 1e-6)],
)
def test_durations(text: str | int, seconds: float) -> None:
    assert durations.seconds(text) == pytest.approx(seconds)

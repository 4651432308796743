# SPDX-License-Identifier: GPL-3.0-or-later
"""A test that hangs fails with the traceback of every thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
HANGS = """
import time
from concurrent.futures import ThreadPoolExecutor

def wait_for_ever(_number):
    time.sleep(1000)

def test_hang():
    print("captured")
    with ThreadPoolExecutor() as pool:
        list(pool.map(wait_for_ever, [1]))
"""


@pytest.mark.parametrize("workers", ["0", "1"], ids=["alone", "in a worker"])
def test_a_hang_in_a_thread_fails_with_its_traceback(tmp_path: Path, workers: str) -> None:
    (tmp_path / "test_hang.py").write_text(HANGS)
    (tmp_path / "pytest.ini").touch()
    command = ["pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", "-n", workers, "--timeout", "1"]
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "test_hang.py::test_hang has not ended within 1 s" in ended.stderr
    assert "in wait_for_ever" in ended.stderr
    assert "in test_hang" in ended.stderr

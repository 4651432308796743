# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sys

from lab.host import LabError, ensure_engine

from . import docker_job_image, helper_image, job_image, runner_image

try:
    ensure_engine()
    runner = runner_image()
    helper_image()
    job_image()
    docker_job_image()
except LabError as error:
    sys.exit(f"[lab] {error}")
print(runner)

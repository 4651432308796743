# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake GitLab: the runner API and its GraphQL counterpart over HTTP, with GitLab's errors and side effects.

Tests add outages with `Fault` and read what was requested from `FakeGitLab.journal`.
"""

from __future__ import annotations

from fake_gitlab.clock import Clock
from fake_gitlab.endpoint import Reply
from fake_gitlab.faults import REPLIES, Fault
from fake_gitlab.journal import Entry
from fake_gitlab.namespaces import Group, Project, Role
from fake_gitlab.runners import Manager, Runner
from fake_gitlab.server import Server, serving
from fake_gitlab.state import FakeGitLab
from fake_gitlab.tls import TLSFiles
from fake_gitlab.transport import Cut

__all__ = [
    "REPLIES",
    "Clock",
    "Cut",
    "Entry",
    "FakeGitLab",
    "Fault",
    "Group",
    "Manager",
    "Project",
    "Reply",
    "Role",
    "Runner",
    "Server",
    "TLSFiles",
    "serving",
]

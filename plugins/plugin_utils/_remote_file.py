# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of the host as the control node sees it: read it, replace the content that was seen, or take the file back.

Each of the three is exactly one execution of ``pifleet.ci.runner_config_file`` on the host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.pifleet.ci.plugins.module_utils._atomic_file import private
from ansible_collections.pifleet.ci.plugins.plugin_utils._plain import to_plain

if TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

MODULE = "pifleet.ci.runner_config_file"
RETURNED = {
    "exists",
    "content",
    "sha256",
    "mode",
    "backups",
    "backup_contents",
    "backup_file",
    "system_id",
    "system_id_seeded",
    "made_directories",
    "made_system_id",
    "pending",
}


@dataclass(frozen=True)
class HostFile:
    """A file as it was read; content is empty and sha256 None when there is none.

    system_id: GitLab Runner's system ID of the host. While ``system_id_seeded`` is false it stands in no file yet,
    and is written beside the file by the next replacement. In a Secret that goes for all keys beside config.toml.
    made_directories, made_system_id: what our replacements since the reading have made besides the file.
    pending: whether the marker that was asked for is there: somebody still has to act on a former change.
    """

    path: str
    exists: bool
    content: str
    sha256: str | None
    system_id: str
    system_id_seeded: bool
    mode: int = 0o600
    backups: tuple[str, ...] = ()
    made_directories: tuple[str, ...] = ()
    made_system_id: bool = False
    pending: bool = False

    @property
    def private_mode(self) -> int:
        """The mode that the file gets with its next content. Its group may go on reading it, nobody else."""
        return private(self.mode) if self.exists else 0o600

    @property
    def exposed(self) -> bool:
        """Whether others than its owner and its group's readers may do something with the file."""
        return self.exists and bool(self.mode & 0o077 & ~self.private_mode)


class HostFileError(Exception):
    """One clear sentence; nothing was written."""


class HostFileConflict(HostFileError):
    """The content has changed since it was read."""


def read_host_file(action: ActionBase, task_vars: dict[str, Any], path: str, *, pending: str | None = None) -> HostFile:
    """Read ``path`` on the host. pending: the marker to look for, see replace_host_file. Raises HostFileError."""
    reply = _execute(action, task_vars, {"path": path} | _marker(pending))
    return HostFile(
        path=path,
        exists=reply["exists"],
        content=reply["content"],
        sha256=reply.get("sha256"),
        system_id=reply["system_id"],
        system_id_seeded=reply["system_id_seeded"],
        mode=int(reply.get("mode", "0600"), 8),
        backups=tuple(reply["backups"]),
        pending=reply.get("pending", False),
    )


def read_backups(action: ActionBase, task_vars: dict[str, Any], path: str) -> list[tuple[str, str]]:
    """The backups of ``path`` as (path, content), newest first. Raises HostFileError."""
    reply = _execute(action, task_vars, {"path": path, "read_backups": True})
    return list(zip(reply["backups"], reply["backup_contents"], strict=True))


def replace_host_file(
    action: ActionBase,
    task_vars: dict[str, Any],
    seen: HostFile,
    content: str,
    *,
    backup: int = 0,
    pending: str | None = None,
) -> HostFile:
    """Replace what was ``seen`` by ``content`` and seed the system ID; in check mode only say what would be there.

    backup: how many backups are kept. pending: an empty file that is made before the content changes and
    stays until somebody has acted on the change. Raises HostFileConflict when the file is not the one that was seen any
    more, HostFileError when it cannot be written; the old file is then intact.
    """
    written = replace(
        seen,
        exists=True,
        content=content,
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        system_id_seeded=True,
        mode=seen.private_mode,
        pending=seen.pending or (pending is not None and content != seen.content),
    )
    if action._task.check_mode:
        return written
    reply = _execute(
        action,
        task_vars,
        {
            "path": seen.path,
            "content": content,
            "expected_sha256": seen.sha256 or "absent",
            "system_id": seen.system_id,
            "mode": f"{written.mode:04o}",
            "backup": backup,
        }
        | _marker(pending),
    )
    kept = (reply["backup_file"],) if "backup_file" in reply else ()
    return replace(
        written,
        backups=kept + seen.backups,
        made_directories=seen.made_directories + tuple(reply["made_directories"]),
        made_system_id=seen.made_system_id or reply["made_system_id"],
    )


def remove_host_file(action: ActionBase, task_vars: dict[str, Any], seen: HostFile) -> HostFile:
    """Remove what was ``seen`` and what our replacements made besides it; what somebody else has put there stays.

    In check mode only say what would be there. Raises as replace_host_file.
    """
    gone = replace(
        seen,
        exists=False,
        content="",
        sha256=None,
        system_id_seeded=seen.system_id_seeded and not seen.made_system_id,
        mode=0o600,
        made_directories=(),
        made_system_id=False,
    )
    if not action._task.check_mode:
        arguments = {
            "path": seen.path,
            "state": "absent",
            "expected_sha256": seen.sha256 or "absent",
            "empty_directories": list(seen.made_directories),
        }
        its = {"system_id": seen.system_id} if seen.made_system_id else {}
        _execute(action, task_vars, arguments | its)
    return gone


def _marker(pending: str | None) -> dict[str, str]:
    return {} if pending is None else {"pending": pending}


def _execute(action: ActionBase, task_vars: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    with _connection_says_nothing(action):
        # the module's own check mode and diff follow from the task
        reply = action._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
    if reply.get("failed") or "exists" not in reply:
        kind = HostFileConflict if reply.get("conflict") else HostFileError
        # only the sentence: the rest of a failed reply may quote what the host sent, and that holds tokens
        raise kind(str(reply.get("msg") or f"{arguments['path']} could not be reached on the host."))
    return {key: to_plain(reply[key]) for key in RETURNED & reply.keys()}


@contextmanager
def _connection_says_nothing(action: ActionBase) -> Iterator[None]:
    """Keep the reply of the host, which carries tokens, out of the log that the ssh connection writes at -vvv.

    The connection asks its play context, not the task:
    https://github.com/ansible/ansible/blob/v2.19.0/lib/ansible/plugins/connection/ssh.py#L583
    """
    context = action._connection._play_context
    before = context.no_log
    context.no_log = True
    try:
        yield
    finally:
        context.no_log = before

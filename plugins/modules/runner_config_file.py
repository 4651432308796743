#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: runner_config_file
short_description: Read, durably replace or remove a small text file on the host
version_added: 1.0.0
description:
  - Reads a file such as C(config.toml) of GitLab Runner, puts another content in its place, or removes it.
  - A replacement is complete or has not happened, whatever goes wrong in between. The content is written to a
    temporary file in the same directory and flushed to the disk before it takes the name, and the directory is
    flushed after it. A failure leaves neither an empty file nor a new directory behind.
  - The access control list and the SELinux context of the file stay. The mode limits what the former allows.
  - A file that has other names as well (hard links) is not replaced, because they would keep the old content.
  - Needs nothing but Python on the host.
  - It is what M(pifleet.ci.runner_config) and M(pifleet.ci.gitlab_runner_register) use on the host. It is also handy
    by itself for a small text file, for instance a CA certificate.
options:
  path:
    description:
      - Absolute path of the file.
    type: path
    required: true
  content:
    description:
      - The whole content that the file should have, encoded as UTF-8.
      - Without it and with O(state=present) the file is read.
    type: str
  state:
    description:
      - With V(absent) the file is removed. Its backups stay. A file that is gone already is no error.
    type: str
    choices: [present, absent]
    default: present
  expected_sha256:
    description:
      - Replace or remove the file only if the SHA-256 of its present content is this one, as returned by an earlier
        reading.
      - V(absent) means that there must be no file.
      - Without it, whatever is there is replaced or removed.
    type: str
  mode:
    description:
      - Permissions that the file gets. A string is in octal notation. A number is a number, as YAML makes one of
        V(0644) without quotes.
    type: raw
    default: "0600"
  owner:
    description:
      - User name or numeric ID that the file should belong to. Without it the owner stays as it is.
    type: str
  group:
    description:
      - Group name or numeric ID that the file should belong to. Without it the group stays as it is.
    type: str
  backup:
    description:
      - How many backups to keep beside the file, as C(<path>.backup-<number>) with mode 0600. The highest
        number is the newest.
    type: int
    default: 0
  symlink:
    description:
      - What to do when O(path) is a symbolic link. With V(follow) the link stays and the file it leads to is read,
        replaced or removed.
    type: str
    choices: [follow, refuse]
    default: follow
  system_id:
    description:
      - A GitLab Runner system ID to write to C(.runner_system_id) in the directory of O(path), unless there is a valid
        one already. GitLab Runner looks for it beside the path that it is given, also where that is a symbolic link.
      - With O(state=absent), C(.runner_system_id) is removed together with the file if this is what it holds.
      - Without O(content) and with O(state=present) it is not used.
    type: str
  empty_directories:
    description:
      - Directories to remove after the file, each only if it is empty then, for instance the RV(made_directories) of
        the replacement that is taken back.
      - Only used with O(state=absent).
    type: list
    elements: path
    default: []
  pending:
    description:
      - Absolute path of an empty file that says that somebody still has to act on the new content, for instance to
        restart the program that reads it. Its directory must be there.
      - It is made, with mode 0600 and durably, before another content is put in place, so that a play that dies in
        between does not lose the need. Whoever has acted removes it.
      - The reply says in RV(pending) whether it is there, also when the file is only read or has not changed.
    type: path
  read_backups:
    description:
      - Return the content of the backups too. Only used to read.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Says what would be changed and writes nothing.
  diff_mode:
    support: full
    description: Names the SHA-256 of the old and the new content, not the content, which may hold tokens.
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Install the CA certificate of GitLab
  pifleet.ci.runner_config_file:
    path: /etc/gitlab-runner/certs/gitlab.example.com.crt
    content: "{{ lookup('ansible.builtin.file', 'ca.pem') ~ '\n' }}"
    mode: "0644"

- name: Remove it again, and its directory if nothing else is in it
  pifleet.ci.runner_config_file:
    path: /etc/gitlab-runner/certs/gitlab.example.com.crt
    state: absent
    empty_directories: [/etc/gitlab-runner/certs]

- name: Install it, and say that GitLab Runner has to read it
  pifleet.ci.runner_config_file:
    path: /etc/gitlab-runner/certs/gitlab.example.com.crt
    content: "{{ lookup('ansible.builtin.file', 'ca.pem') ~ '\n' }}"
    mode: "0644"
    pending: /etc/gitlab-runner/.reload-pending
  register: ca

- name: Let GitLab Runner read it, also if an earlier play died before this task
  when: ca.pending and not ansible_check_mode
  block:
    - name: Send the signal
      ansible.builtin.command: systemctl kill --signal HUP gitlab-runner
      changed_when: true

    - name: Say that it is done
      ansible.builtin.file:
        path: /etc/gitlab-runner/.reload-pending
        state: absent

- name: Read a file that holds tokens
  pifleet.ci.runner_config_file:
    path: /etc/gitlab-runner/config.toml
  no_log: true
"""

RETURN = r"""
exists:
  description: Whether the file is there; after a replacement always true, after a removal always false.
  returned: success
  type: bool
content:
  description: The content of the file, empty when there is none.
  returned: when the file is read
  type: str
sha256:
  description: SHA-256 of the content; absent when there is no file.
  returned: when there is a file
  type: str
mode:
  description: Permissions of the file in octal notation.
  returned: when there is a file
  type: str
  sample: "0600"
backups:
  description: Paths of the backups, newest first.
  returned: when the file is read
  type: list
  elements: str
backup_contents:
  description: The content of the backups, newest first; those that are not text are empty.
  returned: when O(read_backups) is true
  type: list
  elements: str
backup_file:
  description: Path of the backup.
  returned: when a backup was made
  type: str
system_id:
  description: The system ID in C(.runner_system_id) beside O(path), or the one that fits this host when there is none.
  returned: when the file is read
  type: str
  sample: s_1a2b3c4d5e6f
system_id_seeded:
  description: Whether C(.runner_system_id) exists and is valid.
  returned: when the file is read
  type: bool
pending:
  description: Whether the file O(pending) is there, or in check mode would be there.
  returned: when O(pending) is given
  type: bool
made_system_id:
  description: Whether O(system_id) was written.
  returned: after a replacement
  type: bool
made_directories:
  description: The directories that were missing and have been made, the outermost first.
  returned: after a replacement
  type: list
  elements: str
removed_directories:
  description: Which of O(empty_directories) were empty and have been removed, the innermost first.
  returned: after a removal
  type: list
  elements: str
"""

import grp
import hashlib
import os
import pwd
import re
from contextlib import suppress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pifleet.ci.plugins.module_utils import _atomic_file as atomic_file
from ansible_collections.pifleet.ci.plugins.module_utils._system_id import find_system_id, path_in, seed_system_id


def text(seen: atomic_file.FileSnapshot) -> str:
    try:
        return (seen.content or b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise atomic_file.FileError(f"{seen.path} is not a text file in UTF-8 (byte {error.start}).") from error


def backup_text(path: str) -> str:
    try:
        return text(atomic_file.read(path))
    except atomic_file.FileError:
        return ""


def read(params: dict[str, Any]) -> dict[str, Any]:
    seen = atomic_file.read_filled(params["path"], follow=params["symlink"] == "follow")
    kept = atomic_file.backups(seen.path)
    system_id, seeded = find_system_id(os.path.dirname(params["path"]), former=os.path.dirname(seen.path))
    reply: dict[str, Any] = {
        "changed": False,
        "exists": seen.content is not None,
        "content": text(seen),
        "backups": kept,
        "system_id": system_id,
        "system_id_seeded": seeded,
    }
    if seen.content is not None:
        reply.update(sha256=seen.sha256, mode=f"{seen.mode:04o}")
    if params["read_backups"]:
        reply["backup_contents"] = [backup_text(path) for path in kept]
    return reply | marked(params)


def replace(params: dict[str, Any], check: bool) -> dict[str, Any]:
    mode, content = permissions(params["mode"]), params["content"].encode("utf-8")
    follow = params["symlink"] == "follow"
    seeded = None
    if params["system_id"]:  # first: gitlab-runner must not find a configuration without it
        present = atomic_file.read(params["path"], follow)
        seeded = seed_system_id(os.path.dirname(params["path"]), params["system_id"], check, config=present)
    try:
        done = atomic_file.replace(
            params["path"],
            content,
            expected_sha256=params["expected_sha256"],
            mode=mode,
            uid=number(params["owner"], lambda name: pwd.getpwnam(name).pw_uid, "user"),
            gid=number(params["group"], lambda name: grp.getgrnam(name).gr_gid, "group"),
            backup=params["backup"],
            pending=params["pending"],
            follow=follow,
            check=check,
        )
    except atomic_file.FileConflict:
        raise  # somebody else is at work beside us, and may have seen our system ID
    except atomic_file.FileError:
        if seeded and not check:
            take_back(seeded, params["system_id"])
        raise
    after = atomic_file.FileSnapshot(done.before.path, content, mode)
    reply: dict[str, Any] = {
        "changed": done.changed or seeded is not None,
        "exists": True,
        "sha256": after.sha256,
        "mode": f"{mode:04o}",
        "made_system_id": seeded is not None,
        "made_directories": [*(seeded.made_directories if seeded else ()), *done.made_directories],
        "diff": diff(params["path"], done.before, after),
    }
    if done.backup:
        reply["backup_file"] = done.backup
    return reply | marked(params, before_writing=check and done.before.content != content)


def take_back(seeded: atomic_file.Replacement, system_id: str) -> None:
    """Where there was no system ID and no directory there is none after a failure either."""
    with suppress(atomic_file.FileError):  # the failure that led here is the one to report
        atomic_file.remove(seeded.before.path, expected_sha256=hashlib.sha256(system_id.encode()).hexdigest())
        atomic_file.remove_empty(seeded.made_directories)


def remove(params: dict[str, Any], check: bool) -> dict[str, Any]:
    path, beside = params["path"], {}
    if params["system_id"]:
        beside[path_in(os.path.dirname(path))] = params["system_id"].encode()
    done = atomic_file.remove(
        path,
        expected_sha256=params["expected_sha256"],
        beside=beside,
        follow=params["symlink"] == "follow",
        check=check,
    )
    empty = atomic_file.remove_empty(params["empty_directories"], gone=done.removed, check=check)
    return {
        "changed": bool(done.removed or empty),
        "exists": False,
        "removed_directories": empty,
        "diff": diff(path, done.before, atomic_file.FileSnapshot(done.before.path, None)),
        **marked(params),
    }


def marked(params: dict[str, Any], before_writing: bool = False) -> dict[str, bool]:
    pending = params["pending"]
    return {} if pending is None else {"pending": before_writing or os.path.lexists(pending)}


def diff(path: str, before: atomic_file.FileSnapshot, after: atomic_file.FileSnapshot) -> dict[str, str]:
    return {
        "before": described(before),
        "after": described(after),
        "before_header": path,
        "after_header": path,
    }


def described(seen: atomic_file.FileSnapshot) -> str:
    return "absent\n" if seen.content is None else f"sha256 {seen.sha256}\nmode {seen.mode:04o}\n"


def permissions(mode: Any) -> int:
    """A string is octal; a number, which YAML may have read as octal, is the number."""
    if isinstance(mode, str) and re.fullmatch("(?:0o)?[0-7]{1,4}", mode):
        value = int(mode, 8)
    else:
        value = mode if isinstance(mode, int) and not isinstance(mode, bool) else -1
    if not 0 <= value <= 0o777:
        raise atomic_file.FileError(f"mode {mode!r} is not a permission from '0000' to '0777'; write it in quotes.")
    return value


def number(name: str | None, find: Any, what: str) -> int | None:
    if name is None or name.isdigit():
        return None if name is None else int(name)
    try:
        return find(name)
    except KeyError:
        raise atomic_file.FileError(f"there is no {what} {name!r} on this host.") from None


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "no_log": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "expected_sha256": {"type": "str"},
            "mode": {"type": "raw", "default": "0600"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "backup": {"type": "int", "default": 0},
            "symlink": {"type": "str", "choices": ["follow", "refuse"], "default": "follow"},
            "system_id": {"type": "str"},
            "pending": {"type": "path"},
            "empty_directories": {"type": "list", "elements": "path", "default": []},
            "read_backups": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    if module.params["state"] == "absent" and module.params["content"] is not None:
        module.fail_json(msg="content is what the file should have, but state is absent: give one of the two.")
    try:
        if module.params["state"] == "absent":
            reply = remove(module.params, module.check_mode)
        elif module.params["content"] is not None:
            reply = replace(module.params, module.check_mode)
        else:
            reply = read(module.params)
    except atomic_file.FileError as error:
        module.fail_json(msg=str(error), conflict=isinstance(error, atomic_file.FileConflict))
    module.exit_json(**reply)


if __name__ == "__main__":
    main()

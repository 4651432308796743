#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_parameters
short_description: Add parameters to the kernel's command line in cmdline.txt of a Raspberry Pi
version_added: 1.0.0
description:
  - Adds parameters to C(cmdline.txt) or takes them out again. All other words stay, in their order, and the file stays
    one line.
  - The file is overwritten in place and flushed, because a rename on the FAT file system of the boot partition is not
    safe from a power cut. Its content before the first change is kept beside it, as C(cmdline.txt.pifleet-ci).
  - The kernel takes the parameters when it is started again.
  - Needs nothing but Python on the host.
options:
  path:
    description:
      - Absolute path of the file. Since Raspberry Pi OS bookworm this is V(/boot/firmware/cmdline.txt), while
        C(/boot/cmdline.txt) is a note that nothing reads.
    type: path
    required: true
  parameters:
    description: The parameters, each as it stands in the file.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(present) adds those that are missing.
      - V(absent) takes out those that this module has added, that is which the backup does not have, and removes the
        backup. Without a backup nothing is changed.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Says what would be changed and writes nothing.
  diff_mode:
    support: full
    description: Shows the line before and after.
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Have the kernel start with its memory controller
  pifleet.ci.kernel_parameters:
    path: /boot/firmware/cmdline.txt
    parameters: [cgroup_enable=memory, cgroup_memory=1]
  register: memory

- name: Reboot for that
  ansible.builtin.reboot:
  when: memory is changed
"""

RETURN = r"""
backup:
  description: Path of the file with the content before the first change.
  returned: success
  type: str
  sample: /boot/firmware/cmdline.txt.pifleet-ci
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pifleet.ci.plugins.module_utils import _atomic_file as atomic_file
from ansible_collections.pifleet.ci.plugins.module_utils import _boot_file as boot_file
from ansible_collections.pifleet.ci.plugins.module_utils._cmdline import CmdlineError, with_words, without_words


def text(path: str) -> str | None:
    """What the file has, None if there is none. Bytes that are no UTF-8 come back as they were. Raises FileError."""
    content = atomic_file.read(path).content
    return None if content is None else content.decode("utf-8", "surrogateescape")


def planned(before: str, kept: str | None, parameters: list[str], state: str) -> str:
    """What the file becomes; `kept` is its backup. Raises CmdlineError."""
    if state == "present":
        return with_words(before, parameters)
    if kept is None:
        return before
    return without_words(before, [each for each in parameters if each not in kept.split()])


def configure(path: str, parameters: list[str], state: str, check: bool) -> dict[str, Any]:
    """Raises FileError and CmdlineError; the file is then as it was."""
    before, kept = text(path), text(path + boot_file.BACKUP)
    if before is None:
        raise atomic_file.FileError(f"{path} does not exist: is the boot partition mounted?")
    after = planned(before, kept, parameters, state)
    forgets = state == "absent" and kept is not None
    if not check:
        if after != before:
            boot_file.overwrite(path, after.encode("utf-8", "surrogateescape"))
        if forgets:
            boot_file.forget(path)
    shown = {"before": before, "after": after, "before_header": path, "after_header": path}
    return {
        "changed": after != before or forgets,
        "backup": path + boot_file.BACKUP,
        "diff": {key: each.encode("utf-8", "replace").decode() for key, each in shown.items()},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "parameters": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    params = module.params
    unfit = [each for each in params["parameters"] if len(each.split()) != 1]
    if unfit:
        module.fail_json(msg=f"A kernel parameter is one word, without spaces, unlike {unfit[0]!r}.")
    try:
        reply = configure(params["path"], params["parameters"], params["state"], module.check_mode)
    except CmdlineError as error:
        module.fail_json(msg=f"{params['path']}: {error}: repair it by hand.")
    except atomic_file.FileError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**reply)


if __name__ == "__main__":
    main()

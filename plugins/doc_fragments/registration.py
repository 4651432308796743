# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    # what describes a runner, wherever its config.toml is kept
    DOCUMENTATION = r"""
options:
  name:
    description:
      - The entry's name in C(config.toml), and the last part of the key. Required, for each runner.
    type: str
  api_token:
    description:
      - Needs the scopes V(create_runner) and V(manage_runner), and V(read_api) to find a runner whose token is lost.
        V(api) has them all, and is needed before GitLab 17.1.
      - GitLab must be 16.11 or newer.
      - Exactly one of O(api_token), O(registration_token) and O(token) is given. Only this one can find a runner
        again, correct its
        attributes and remove duplicates.
  registration_token:
    description:
      - For servers that still allow registration with it. A runner whose token is lost cannot be found again this
        way.
    type: str
  token:
    description:
      - An existing runner authentication token, V(glrt-...). It is verified and entered; no runner is ever created
        or deleted.
      - If the runner's process has rotated it, the file's newer token stays.
    type: str
  fleet:
    description:
      - The first part of the key. Two fleets in one GitLab that use the same host names need different ones.
      - Where they have not, a runner whose machines are other ones is not adopted without O(takeover).
    type: str
    default: default
  runner_type:
    description: Where the runner belongs. Required with O(api_token). GitLab cannot change it later.
    type: str
    choices: [instance_type, group_type, project_type]
  group_id:
    description: The group's number, with O(runner_type=group_type).
    type: int
  project_id:
    description: The project's number, with O(runner_type=project_type).
    type: int
  description:
    description: What the web page shows. V(<inventory_hostname> <name>) if not given.
    type: str
  tag_list:
    description: The runner's tags, all of them; their order does not matter.
    type: list
    elements: str
  run_untagged:
    description: Whether it takes jobs without tags.
    type: bool
  locked:
    description: Whether it is locked to its projects.
    type: bool
  paused:
    description: Whether it takes no new jobs.
    type: bool
  access_level:
    description: Whether it takes jobs of protected references only.
    type: str
    choices: [not_protected, ref_protected]
  maximum_timeout:
    description: The longest a job may take, in seconds, at least 600. V(0) removes the limit.
    type: int
  maintenance_note:
    description:
      - The user's part of the maintenance note. The key follows on a line of its own.
    type: str
  takeover:
    description:
      - Take over a runner that another machine runs, or that only other machines have ever run, or an entry that is for
        another GitLab.
      - A board that was replaced needs it once. A new card in the same board does not, for the system ID comes from the
        board.
    type: bool
    default: false
  adopt_existing_entry:
    description:
      - Whether an entry of the name whose token works, but whose runner has no key, is made ours, which keeps its
        runner.
        If V(false), the task fails.
    type: bool
    default: true
  state:
    description:
      - V(absent) deletes the runner in GitLab and the entry in the file. A runner without our key is left alone, and
        of an existing
        token only this machine's share is removed.
    type: str
    choices: [present, absent]
    default: present
  timeout:
    description: Seconds to wait for each answer of GitLab.
    type: float
    default: 30
  runners:
    description:
      - Several runners of the host, in place of O(name). Their file is read once for all of them, and a runner that
        fails does not keep the others from being registered.
      - An option of a runner that is not given is that of the task.
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
      url:
        description: As O(url).
        type: str
      api_token:
        description: As O(api_token).
        type: str
      registration_token:
        description: As O(registration_token).
        type: str
      token:
        description: As O(token).
        type: str
      ca_path:
        description: As O(ca_path).
        type: str
      validate_certs:
        description: As O(validate_certs).
        type: bool
      timeout:
        description: As O(timeout).
        type: float
      fleet:
        description: As O(fleet).
        type: str
      runner_type:
        description: As O(runner_type).
        type: str
        choices: [instance_type, group_type, project_type]
      group_id:
        description: As O(group_id).
        type: int
      project_id:
        description: As O(project_id).
        type: int
      description:
        description: As O(description).
        type: str
      tag_list:
        description: As O(tag_list).
        type: list
        elements: str
      run_untagged:
        description: As O(run_untagged).
        type: bool
      locked:
        description: As O(locked).
        type: bool
      paused:
        description: As O(paused).
        type: bool
      access_level:
        description: As O(access_level).
        type: str
        choices: [not_protected, ref_protected]
      maximum_timeout:
        description: As O(maximum_timeout).
        type: int
      maintenance_note:
        description: As O(maintenance_note).
        type: str
      takeover:
        description: As O(takeover).
        type: bool
      adopt_existing_entry:
        description: As O(adopt_existing_entry).
        type: bool
      state:
        description: As O(state).
        type: str
        choices: [present, absent]
notes:
  - Attributes that are not given are left as they are in GitLab.
  - Without O(api_token) GitLab neither shows nor changes attributes; they are set once at the registration, or not
    at all with O(token).
requirements:
  - tomlkit 0.13 or newer (on the control node)
"""

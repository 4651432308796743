#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Return what the roles of this collection manage on a host
version_added: 1.0.0
description:
  - Returns the state of packages, units, groups, files, the Docker Engine, its containers, images and services, all in
    one execution, so that a role can decide on the control node what there is to do.
  - Needs nothing but Python on the host; what is not installed there is returned as missing.
  - Do not ask for files with secrets, because their content is part of the result.
options:
  query:
    description: What to return beside what is always returned.
    type: dict
    default: {}
    suboptions:
      packages:
        description: Names of Debian packages.
        type: list
        elements: str
        default: []
      units:
        description: Names of systemd units.
        type: list
        elements: str
        default: []
      groups:
        description: Names of groups of users.
        type: list
        elements: str
        default: []
      users:
        description: Names of users.
        type: list
        elements: str
        default: []
      files:
        description: Absolute paths of small text files in UTF-8.
        type: list
        elements: path
        default: []
      checksums:
        description: Absolute paths of files whose content is not returned, only compared.
        type: list
        elements: path
        default: []
      directories:
        description: Absolute paths of directories, which need not exist.
        type: list
        elements: path
        default: []
      tcp_ports:
        description: Numbers of TCP ports.
        type: list
        elements: int
        default: []
      containers:
        description: Names of Docker containers.
        type: list
        elements: str
        default: []
      images:
        description: References of Docker images, for instance V(gitlab/gitlab-runner:alpine-v19.3.0).
        type: list
        elements: str
        default: []
      labelled_images:
        description: Keys of labels of Docker images, for instance V(org.opencontainers.image.version).
        type: list
        elements: str
        default: []
      services:
        description:
          - Names of services of the swarm. Only an engine that manages the swarm can tell, while a majority of the
            managers is there.
        type: list
        elements: str
        default: []
      throttling:
        description: Whether to ask the firmware of a Raspberry Pi for under-voltage and throttling.
        type: bool
        default: false
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: Changes nothing.
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Gather the state of the host
  pifleet.ci.host_info:
    query:
      packages: [docker.io]
      units: [docker.service]
      files: [/etc/docker/daemon.json]
      containers: [gitlab-runner]
  register: host

- name: Report Pis whose engine does not answer
  ansible.builtin.debug:
    msg: "{{ host.engine_error }}"
  when: host.engine is none
"""

RETURN = r"""
architecture:
  description: Debian's name of the userland's architecture, which may be 32-bit under a 64-bit kernel.
  returned: success
  type: str
  sample: arm64
machine:
  description: The machine as the kernel calls it.
  returned: success
  type: str
  sample: aarch64
distribution:
  description: The distribution as C(/etc/os-release) has it.
  returned: success
  type: dict
  contains:
    id:
      description: C(raspbian) on Raspberry Pi OS with 32 bits, C(debian) on that with 64 bits.
      type: str
      sample: debian
    version:
      description: Number of the release, V(0) if it has none.
      type: str
      sample: "12"
    codename:
      description: Name of the release.
      type: str
      sample: bookworm
    name:
      description: What it calls itself.
      type: str
      sample: Debian GNU/Linux 12 (bookworm)
machine_id:
  description: Content of C(/etc/machine-id), empty if there is none.
  returned: success
  type: str
ssh_host_key:
  description: The public Ed25519 key of the SSH server, empty if there is none.
  returned: success
  type: str
default_address:
  description: The IPv4 address with which the host reaches other networks, empty without a default route.
  returned: success
  type: str
  sample: 192.168.1.11
addresses:
  description: The addresses of the host's network interfaces, without those of the loopback interface.
  returned: success
  type: list
  elements: str
  sample: ["192.168.1.11"]
cgroup_controllers:
  description:
    - The controllers of cgroups that the kernel was started with, sorted. Without C(memory) a memory limit of a
      container has no effect; the kernels of Raspberry Pi OS start without it by default.
  returned: success
  type: list
  elements: str
  sample: [cpu, cpuset, io, memory, pids]
throttling:
  description:
    - What the firmware of a Raspberry Pi says about power and temperature, empty if all is well. V(null) if it was not
      asked or there is none.
    - Each is one of C(under-voltage), C(capped frequency), C(throttling) and C(soft temperature limit), with C(now) or
      C(since boot).
  returned: success
  type: list
  elements: str
  sample: [under-voltage since boot, throttling since boot]
packages:
  description: The version of each package in O(query.packages) that is installed.
  returned: success
  type: dict
  sample: {"docker.io": 26.1.5+dfsg1-9+b4}
held_packages:
  description: Those of O(query.packages) that dpkg holds, whether they are installed or not.
  returned: success
  type: list
  elements: str
units:
  description: The state of each unit in O(query.units) as systemd calls it. One that does not exist is not C(enabled).
  returned: success
  type: dict
  sample: {"docker.service": {"enabled": enabled, "active": active}}
outdated_units:
  description: Those of O(query.units) whose files have changed since systemd has read them (C(NeedDaemonReload)).
  returned: success
  type: list
  elements: str
groups:
  description: The members of each group in O(query.groups), empty if there is no such group.
  returned: success
  type: dict
  sample: {"docker": [pi]}
users:
  description: Those of O(query.users) that exist.
  returned: success
  type: list
  elements: str
time:
  description: The clock of the host, in seconds since 1970 in UTC.
  returned: success
  type: float
  sample: 1767225600.0
files:
  description: The content and the octal mode of each file in O(query.files), V(null) for a file that does not exist.
  returned: success
  type: dict
  sample: {"/etc/docker/daemon.json": {"content": "{}", "mode": "0644"}}
checksums:
  description: The SHA-256 of each file in O(query.checksums), V(null) for a file that does not exist.
  returned: success
  type: dict
directories:
  description: Each directory in O(query.directories).
  returned: success
  type: dict
  contains:
    entries:
      description: How many files and directories are in it, V(null) if there is no such directory.
      type: int
    free:
      description: Bytes that are free where it is, or would be, without those that the file system reserves for root.
      type: int
listening_tcp_ports:
  description: Those of O(query.tcp_ports) at which a process of the host listens, at whatever address.
  returned: success
  type: list
  elements: int
engine:
  description: Docker Engine, V(null) if none answers.
  returned: success
  type: dict
  contains:
    version:
      description: Version of the engine.
      type: str
      sample: 26.1.5
    swarm:
      description:
        - C(LocalNodeState), C(NodeID), C(NodeAddr), C(ControlAvailable), C(Error) and C(RemoteManagers), as the engine
          has them.
      type: dict
    containers:
      description: Number of all its containers, also of stopped ones.
      type: int
      sample: 2
    images:
      description: Number of its images.
      type: int
      sample: 12
engine_error:
  description: Why no engine answers, empty if one does.
  returned: success
  type: str
containers:
  description: Each container in O(query.containers), V(null) for a container that does not exist.
  returned: success
  type: dict
  contains:
    image:
      description: Reference of the image that it was created from.
      type: str
    image_id:
      description: ID of that image.
      type: str
    running:
      description: Whether it runs.
      type: bool
    restart_policy:
      description: Name of its restart policy.
      type: str
    stop_signal:
      description: Signal that stops it, V(null) for the default.
      type: str
    stop_timeout:
      description: Seconds until it is killed after that signal, V(null) for the default.
      type: int
    labels:
      description: Its labels, with those of its image.
      type: dict
    mounts:
      description: Its mounts, each with C(type), C(source), C(target) and C(read_only).
      type: list
      elements: dict
images:
  description:
    - The ID of each image in O(query.images), V(null) for an image that the engine does not have, also if its name is
      none that an image can have.
  returned: success
  type: dict
labelled_images:
  description: For each label in O(query.labelled_images) its value by the references of the images that have it.
  returned: success
  type: dict
  sample: {"org.opencontainers.image.version": {"registry.example.com/tools:1": "1.0"}}
services:
  description: Those of O(query.services) that exist, as far as the engine can tell.
  returned: success
  type: list
  elements: str
updating_services:
  description: Those of O(query.services) whose tasks the swarm is replacing.
  returned: success
  type: list
  elements: str
"""

import glob
import grp
import os
import pwd
import re
import shlex
import socket
import subprocess
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pifleet.ci.plugins.module_utils import _atomic_file as atomic_file
from ansible_collections.pifleet.ci.plugins.module_utils._docker_state import docker_state

OS_RELEASE = "/etc/os-release"
CGROUP_V2 = "/sys/fs/cgroup/cgroup.controllers"
CGROUP_V1 = "/proc/cgroups"
FIRMWARE = "/sys/devices/platform/soc/soc:firmware/get_throttled"
HWMON = "/sys/class/hwmon/hwmon*/name"
THROTTLING = ("under-voltage", "capped frequency", "throttling", "soft temperature limit")
TCP_SOCKETS = ("/proc/net/tcp", "/proc/net/tcp6")
UNIT_PROPERTIES = "UnitFileState,ActiveState,NeedDaemonReload"


def output_of(*command: str) -> str:
    """Standard output of the command, empty if there is no such program. Its exit code says only what is missing."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, text=True).stdout
    except FileNotFoundError:
        return ""


def first_line(path: str) -> str:
    """The first line of a text file, empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""


def cgroup_controllers() -> list[str]:
    """The first file is where version 2 is mounted alone. The other says of each of version 1 whether it is enabled.

    https://docs.kernel.org/admin-guide/cgroup-v2.html and https://man7.org/linux/man-pages/man7/cgroups.7.html
    """
    if os.path.exists(CGROUP_V2):
        return sorted(first_line(CGROUP_V2).split())
    try:
        with open(CGROUP_V1, encoding="utf-8") as file:
            rows = [line.split() for line in file if not line.startswith("#")]
    except OSError:
        return []
    return sorted(name for name, _hierarchy, _number, enabled in rows if enabled == "1")


def throttling() -> list[str] | None:
    """As vcgencmd tells, or without it a file that some kernels have, or the hardware monitor.

    https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
    https://github.com/torvalds/linux/blob/master/drivers/hwmon/raspberrypi-hwmon.c, which knows under-voltage only
    """
    said = re.search("throttled=(0x[0-9a-f]+)", output_of("vcgencmd", "get_throttled"))
    try:
        bits = int(said[1] if said else first_line(FIRMWARE), 16)
    except ValueError:
        alarms = [
            first_line(os.path.join(os.path.dirname(name), "in0_lcrit_alarm"))
            for name in glob.glob(HWMON)
            if first_line(name) == "rpi_volt"
        ]
        if not alarms:
            return None
        bits = int("1" in alarms)
    now = [f"{what} now" for bit, what in enumerate(THROTTLING) if bits >> bit & 1]
    return now + [f"{what} since boot" for bit, what in enumerate(THROTTLING, 16) if bits >> bit & 1]


def distribution() -> dict[str, str]:
    """https://www.freedesktop.org/software/systemd/man/latest/os-release.html"""
    try:
        with open(OS_RELEASE, encoding="utf-8") as file:
            found = dict(word.split("=", 1) for word in shlex.split(file.read(), comments=True) if "=" in word)
    except OSError:
        found = {}
    return {
        "id": found.get("ID", "linux"),
        "version": found.get("VERSION_ID", "0"),
        "codename": found.get("VERSION_CODENAME", ""),
        "name": found.get("PRETTY_NAME", "Linux"),
    }


def default_address() -> str:
    """Sends nothing: to connect a datagram socket only chooses a route, here to an address of no machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def package_states(names: list[str]) -> dict[str, Any]:
    form = "${Package} ${db:Status-Want} ${db:Status-Status} ${Version}\n"
    listed = output_of("dpkg-query", "--show", f"--showformat={form}", *names) if names else ""
    words = [line.split() for line in listed.splitlines()]
    return {
        "packages": {name: rest[2] for name, *rest in words if rest[1] == "installed"},
        "held_packages": [name for name, *rest in words if rest[0] == "hold"],
    }


def unit_states(names: list[str]) -> dict[str, Any]:
    """systemctl prints one block of lines for each unit, in the order of the arguments, with an empty line between."""
    shown = output_of("systemctl", "show", f"--property={UNIT_PROPERTIES}", "--", *names) if names else ""
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.strip().split("\n\n")]
    found = dict(zip(names, blocks + [{}] * (len(names) - len(blocks))))
    return {
        "units": {
            name: {"enabled": block.get("UnitFileState", ""), "active": block.get("ActiveState", "")}
            for name, block in found.items()
        },
        "outdated_units": [name for name, block in found.items() if block.get("NeedDaemonReload") == "yes"],
    }


def members(group: str) -> list[str]:
    try:
        return grp.getgrnam(group).gr_mem
    except KeyError:
        return []


def exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def text_file(path: str) -> dict[str, str] | None:
    seen = atomic_file.read(path)
    if seen.content is None:
        return None
    return {"content": seen.content.decode("utf-8", "replace"), "mode": f"{seen.mode:04o}"}


def checksum(path: str) -> str | None:
    """Raises FileError."""
    return atomic_file.read(path).sha256


def directory(path: str) -> dict[str, int | None]:
    """The file system is that of the nearest directory above that exists."""
    try:
        entries = len(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        entries = None
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    file_system = os.statvfs(path)
    return {"entries": entries, "free": file_system.f_bavail * file_system.f_frsize}


def listening_tcp_ports() -> set[int]:
    """https://docs.kernel.org/networking/proc_net_tcp.html: state 0A is LISTEN. A kernel without IPv6 has one file."""
    found = set()
    for name in TCP_SOCKETS:
        try:
            with open(name, encoding="ascii") as file:
                rows = [line.split() for line in file][1:]
        except FileNotFoundError:
            continue
        found |= {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}
    return found


def main() -> None:
    names = {"type": "list", "elements": "str", "default": []}
    spec: dict[str, Any] = {
        "packages": names,
        "units": names,
        "groups": names,
        "users": names,
        "files": {"type": "list", "elements": "path", "default": []},
        "checksums": {"type": "list", "elements": "path", "default": []},
        "directories": {"type": "list", "elements": "path", "default": []},
        "tcp_ports": {"type": "list", "elements": "int", "default": []},
        "containers": names,
        "images": names,
        "labelled_images": names,
        "services": names,
        "throttling": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={"query": {"type": "dict", "default": {}, "apply_defaults": True, "options": spec}},
        supports_check_mode=True,
    )
    query = module.params["query"]
    try:
        files = {path: text_file(path) for path in query["files"]}
        checksums = {path: checksum(path) for path in query["checksums"]}
    except atomic_file.FileError as error:
        module.fail_json(msg=str(error))
    listening = listening_tcp_ports() if query["tcp_ports"] else set()
    module.exit_json(
        changed=False,
        architecture=output_of("dpkg", "--print-architecture").strip(),
        machine=os.uname().machine,
        distribution=distribution(),
        machine_id=first_line("/etc/machine-id"),
        ssh_host_key=first_line("/etc/ssh/ssh_host_ed25519_key.pub"),
        default_address=default_address(),
        addresses=output_of("hostname", "--all-ip-addresses").split(),
        cgroup_controllers=cgroup_controllers(),
        throttling=throttling() if query["throttling"] else None,
        **package_states(query["packages"]),
        **unit_states(query["units"]),
        groups={name: members(name) for name in query["groups"]},
        users=[name for name in query["users"] if exists(name)],
        time=time.time(),
        files=files,
        checksums=checksums,
        directories={path: directory(path) for path in query["directories"]},
        listening_tcp_ports=[port for port in query["tcp_ports"] if port in listening],
        **docker_state(query),
    )


if __name__ == "__main__":
    main()

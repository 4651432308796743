# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the options of GitLab Runner's container, before anything is stopped for them. Pure.

Options are named as in community.docker.docker_container. That module, the one for services and the engine refuse the
same values, but only when the jobs have ended and GitLab Runner has stopped.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from ansible.module_utils.common.text.formatters import human_to_bytes

Options = Mapping[str, Any]

NAME = "gitlab_runner_container_options"
SERVICE = "service"
MAPPINGS = ("env", "etc_hosts", "log_options")
LISTS = ("dns_servers", "mounts", "published_ports")
STRINGS_ONLY = ("env", "log_options")
OWN_TARGETS = ("/etc/gitlab-runner", "/var/run/docker.sock", "/run/docker.sock")

PORT = re.compile(
    r"(?:(?P<address>[0-9.]+|\[[0-9a-fA-F:]+\]):)?(?P<published>\d{1,5}):(?P<target>\d{1,5})(?:/(?P<protocol>tcp|udp))?"
)
VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
HOST_NAME = re.compile(r"[^\s:=]+")
GATEWAY = "host-gateway"
"""In place of an address of etc_hosts: that of the Pi in the container's network. A service has no such thing."""

LEAST_MEMORY = 6 * 1024**2
LEAST_CPUS = 0.01
"""What the engine accepts. https://github.com/moby/moby/blob/master/daemon/daemon_unix.go"""


def container_problems(options: Any, host: str, deployment: str) -> list[str]:
    """One sentence for each option that cannot be; those about values only when all have the right shape.

    ``host`` is the name in the inventory, ``deployment`` that of the role. No value of env or of log_options is in a
    sentence: it may have a password.
    """
    if not isinstance(options, Mapping):
        return [f"{host}: {NAME} must be a mapping of options."]
    given = {name: value for name, value in options.items() if value is not None}
    found = list(_shapes(given)) or [sentence for check in _CHECKS for sentence in check(given, deployment)]
    return [f"{host}: {NAME}{sentence}" for sentence in found]


def _shapes(options: Options) -> Iterator[str]:
    for name in MAPPINGS:
        if not isinstance(options.get(name, {}), Mapping):
            yield f".{name} must be a mapping."
    for name in LISTS:
        if not isinstance(options.get(name, []), (list, tuple)):
            yield f".{name} must be a list also where it has one element."
        elif name == "mounts" and not all(_is_mount(mount) for mount in options.get(name, [])):
            yield ".mounts needs for each mount a source and a target, which are strings."


def _is_mount(mount: Any) -> bool:
    return isinstance(mount, Mapping) and all(isinstance(mount.get(name), str) for name in ("source", "target"))


def _strings(options: Options, _deployment: str) -> Iterator[str]:
    for name in STRINGS_ONLY:
        wrong = sorted(str(key) for key, value in options.get(name, {}).items() if not isinstance(value, str))
        if wrong:
            yield f".{name} takes strings only, so write the value with quotes: {', '.join(wrong)}."


def _dns_servers(options: Options, _deployment: str) -> Iterator[str]:
    wrong = [str(server) for server in options.get("dns_servers", []) if not _address(server)]
    if wrong:
        yield f".dns_servers has {', '.join(wrong)}, but each must be an IP address."


def _etc_hosts(options: Options, deployment: str) -> Iterator[str]:
    wrong = [
        f"{name}: {address}"
        for name, address in options.get("etc_hosts", {}).items()
        if not HOST_NAME.fullmatch(str(name))
        or not (_address(address) or (address == GATEWAY and deployment != SERVICE))
    ]
    if wrong:
        yield f".etc_hosts has {', '.join(wrong)}, but each must be a host name with an IP address."


def _mounts(options: Options, _deployment: str) -> Iterator[str]:
    mounts = options.get("mounts", [])
    targets = [_target(mount) for mount in mounts]
    taken = [target for target in targets if target in OWN_TARGETS]
    if taken:
        yield (
            f".mounts has {', '.join(taken)}, which the role itself mounts: remove it, and set "
            "gitlab_runner_config_dir for the directory of config.toml."
        )
    twice = [target for target, number in Counter(targets).items() if number > 1]
    if twice:
        yield f".mounts has more than one mount for {', '.join(twice)}: leave one of them."
    relative = [target for target in targets if not target.startswith("/")]
    if relative:
        yield f".mounts has the target {', '.join(relative)}, but each must be an absolute path in the container."
    wrong = [mount["source"] for mount in mounts if not _is_source(mount)]
    if wrong:
        yield (
            f".mounts has the source {', '.join(wrong)}, but each must be an absolute path on the Pi, or with "
            "type: volume the name of a volume."
        )


def _target(mount: Options) -> str:
    target: str = mount["target"]
    return target.rstrip("/") or target


def _is_source(mount: Options) -> bool:
    source: str = mount["source"]
    return bool(VOLUME.fullmatch(source)) if mount.get("type") == "volume" else source.startswith("/")


def _published_ports(options: Options, deployment: str) -> Iterator[str]:
    ports = [str(port) for port in options.get("published_ports", [])]
    parsed = [_port(port) for port in ports]
    if not all(port and (deployment != SERVICE or port["address"] is None) for port in parsed):
        wanted = (
            "PORT:PORT, such as 9252:9252, for a service cannot publish a port of one address"
            if deployment == SERVICE
            else "ADDRESS:PORT:PORT or PORT:PORT, such as 127.0.0.1:9252:9252"
        )
        yield f".published_ports has {', '.join(ports)}, but each must be {wanted}."
    taken = Counter((port["address"], int(port["published"]), port["protocol"] or "tcp") for port in parsed if port)
    twice = [str(published) for (_address, published, _protocol), number in taken.items() if number > 1]
    if twice:
        yield f".published_ports publishes {', '.join(twice)} more than once: leave one of them."


def _port(text: str) -> dict[str, Any] | None:
    found = PORT.fullmatch(text)
    if not found:
        return None
    address = found["address"]
    is_right = (address is None or _address(address)) and all(
        1 <= int(found[name]) <= 65535 for name in ("published", "target")
    )
    return found.groupdict() if is_right else None


def _limits(options: Options, _deployment: str) -> Iterator[str]:
    if "memory" in options and not _is_memory(options["memory"]):
        yield f".memory is {options['memory']}, but it must be a number of bytes of at least 6M, such as 256M."
    if "cpus" in options and not _is_cpus(options["cpus"]):
        yield f".cpus is {options['cpus']}, but it must be a number of processors of at least 0.01, such as 0.5."


def _is_memory(value: Any) -> bool:
    """Zero is no limit."""
    try:
        size: int = human_to_bytes(value)
    except ValueError:
        return False
    return size == 0 or size >= LEAST_MEMORY


def _is_cpus(value: Any) -> bool:
    """Zero is no limit."""
    if isinstance(value, bool):
        return False
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    return number == 0 or (math.isfinite(number) and number >= LEAST_CPUS)


def _log(options: Options, _deployment: str) -> Iterator[str]:
    if options.get("log_options") and not options.get("log_driver"):
        yield " has log_options, which are those of a log_driver: add log_driver."
    if "log_driver" in options and not _is_word(options["log_driver"]):
        yield ".log_driver must be the name of a logging driver, such as local."


def _network_mode(options: Options, deployment: str) -> Iterator[str]:
    if "network_mode" not in options:
        return
    mode = options["network_mode"]
    if deployment == SERVICE:
        yield ".network_mode is for containers, and gitlab_runner_deployment is service: remove it."
    elif not _is_word(mode):
        yield ".network_mode must be the name of a network, such as host."
    elif mode.startswith("container:"):
        theirs = [name for name in ("dns_servers", "etc_hosts", "published_ports") if options.get(name)]
        if theirs:
            yield f" has {', '.join(theirs)}, which with network_mode: {mode} the other container has: remove them."


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\S+", value) is not None


def _address(value: Any) -> IPv4Address | IPv6Address | None:
    """``value`` as an address, also one in brackets; None if it is not one."""
    if not isinstance(value, str):
        return None
    try:
        return ip_address(value[1:-1] if value.startswith("[") and value.endswith("]") else value)
    except ValueError:
        return None


_CHECKS: tuple[Callable[[Options, str], Iterator[str]], ...] = (
    _strings,
    _dns_servers,
    _etc_hosts,
    _mounts,
    _published_ports,
    _limits,
    _log,
    _network_mode,
)

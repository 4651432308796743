# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of Docker Engine on the host: for the module host_info, whose RETURN describes it.

Runs on the host itself: standard library only, Python 3.9 and later.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.pifleet.ci.plugins.module_utils._docker_api import Engine, EngineError, InvalidName

SWARM_FIELDS = ("LocalNodeState", "NodeID", "NodeAddr", "ControlAvailable", "Error", "RemoteManagers")


def docker_state(query: dict[str, Any]) -> dict[str, Any]:
    """The engine, and what it has of the names in ``query``, which has the options of the module."""
    try:
        return _engine_state(Engine(), query)
    except EngineError as error:
        return _without_engine(query, error)


def _engine_state(engine: Engine, query: dict[str, Any]) -> dict[str, Any]:
    """Raises EngineError."""
    info = engine.get("/info")
    swarm = {field: info["Swarm"].get(field) for field in SWARM_FIELDS}
    return {
        "engine": {
            "version": info["ServerVersion"],
            "swarm": swarm,
            "containers": info["Containers"],
            "images": info["Images"],
        },
        "engine_error": "",
        "containers": {name: _container(engine.get("/containers/{}/json", name)) for name in query["containers"]},
        "images": {name: _image_id(engine, name) for name in query["images"]},
        "labelled_images": {label: _labelled_images(engine, label) for label in query["labelled_images"]},
        # a manager without a majority of its managers answers nothing about services
        **_services(engine, query["services"] if swarm["ControlAvailable"] and not swarm["Error"] else []),
    }


def _image_id(engine: Engine, name: str) -> str | None:
    """No engine has an image whose name is none, and that says nothing about the engine."""
    try:
        found = engine.get("/images/{}/json", name) or {}
    except InvalidName:
        return None
    return found.get("Id")


def _container(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """What is returned of a container. Its environment, which may hold secrets, is not."""
    if found is None:
        return None
    config, host = found["Config"], found["HostConfig"]
    return {
        "image": config["Image"],
        "image_id": found["Image"],
        "running": found["State"]["Running"],
        "restart_policy": host["RestartPolicy"]["Name"],
        "stop_signal": config.get("StopSignal"),
        "stop_timeout": config.get("StopTimeout"),
        "labels": config["Labels"] or {},
        "mounts": [
            {
                "type": mount["Type"],
                "source": mount.get("Source"),
                "target": mount["Target"],
                "read_only": mount.get("ReadOnly", False),
            }
            for mount in host.get("Mounts") or []
        ],
    }


def _labelled_images(engine: Engine, label: str) -> dict[str, str]:
    """The value of the label by reference. An image that another one has replaced has no reference any more."""
    found = engine.get("/images/json", filters={"label": [label]})
    return {
        reference: each["Labels"][label]
        for each in found
        for reference in each["RepoTags"] or []
        if reference != "<none>:<none>"
    }


def _services(engine: Engine, names: list[str]) -> dict[str, list[str]]:
    """The engine's filter takes prefixes of names, and several of them as alternatives."""
    found = engine.get("/services", filters={"name": names}) if names else []
    states = {each["Spec"]["Name"]: (each.get("UpdateStatus") or {}).get("State") for each in found}
    return {
        "services": [name for name in names if name in states],
        "updating_services": [name for name in names if states.get(name) == "updating"],
    }


def _without_engine(query: dict[str, Any], error: EngineError) -> dict[str, Any]:
    return {
        "engine": None,
        "engine_error": str(error),
        "containers": dict.fromkeys(query["containers"]),
        "images": dict.fromkeys(query["images"]),
        "labelled_images": {label: {} for label in query["labelled_images"]},
        "services": [],
        "updating_services": [],
    }

# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker Engine on a Unix socket that removes, stops and starts as Docker's API does, on a disk of a known size."""

from __future__ import annotations

import json
import os
import re
import socketserver
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

GB = 10**9
RUNNER = "gitlab-runner"


class FakeEngine(socketserver.ThreadingUnixStreamServer):
    """Objects are those of the API's lists, with a `Size` that comes free when they are removed."""

    def __init__(self, path: str) -> None:
        self.size, self.free = 100 * GB, 50 * GB
        self.root = "/"
        self.containers: dict[str, dict[str, Any]] = {}
        self.images: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.build_cache: dict[str, int] = {}
        self.past_events: list[dict[str, Any]] = []
        self.broken: set[str] = set()  # names that the engine fails to remove
        self.changes: list[str] = []
        self.starts = 0
        super().__init__(path, _Handler)

    def statvfs(self, _path: str) -> os.statvfs_result:
        """What the file system of the engine says. Blocks of one byte."""
        return os.statvfs_result((1, 1, self.size, self.free, self.free, 0, 0, 0, 0, 255))

    def run_gitlab_runner(self, policy: str = "always") -> None:
        """Create its container, or the next one of that name, and start it."""
        self.starts += 1
        self.containers[RUNNER] = {
            "Id": RUNNER,
            "Names": [f"/{RUNNER}"],
            "Image": "gitlab/gitlab-runner:v1",
            "ImageID": "own",
            "State": "running",
            "Labels": {},
            "Mounts": [],
            "Policy": {"Name": policy, "MaximumRetryCount": 0},
            "StartedAt": f"start {self.starts}",
        }

    def end_jobs(self) -> None:
        """What GitLab Runner does after SIGQUIT when its last job has ended."""
        self.containers[RUNNER]["State"] = "exited"

    def restart(self) -> None:
        """What an engine does that starts: containers whose policy says so run."""
        for container in self.containers.values():
            if container["Policy"]["Name"] == "always":
                self._start(container)

    def get(self, path: str, query: dict[str, str]) -> Any:
        if path == "/info":
            return {"DockerRootDir": self.root}
        if path == "/events":
            if int(query["since"]) > int(query["until"]):  # what daemon/server/router/system of Docker says to that
                return 400
            return [event for event in self.past_events if event["time"] >= int(query["since"])]
        if path == "/containers/json":
            return [each for each in self.containers.values() if query.get("all") or each["State"] == "running"]
        if path == "/images/json":
            return list(self.images.values())
        if path == "/volumes":
            return {"Volumes": list(self.volumes.values()) or None}
        if match := re.fullmatch("/containers/(.+)/json", path):
            return self._inspected(match[1])
        raise AssertionError(path)

    def _inspected(self, name: str) -> Any:
        found = self.containers.get(name)
        if found is None:
            return 404
        return {
            "State": {"Running": found["State"] == "running", "StartedAt": found["StartedAt"]},
            "HostConfig": {"RestartPolicy": found["Policy"]},
        }

    def post(self, path: str, query: dict[str, str], body: Any) -> Any:
        self.changes.append(f"POST {path} {query.get('signal', '')}{json.dumps(body) if body else ''}".strip())
        if path == "/build/prune":
            self.free += sum(self.build_cache.values())
            gone, self.build_cache = list(self.build_cache), {}
            return {"CachesDeleted": gone, "SpaceReclaimed": 0}
        match = re.fullmatch("/containers/(.+)/(update|kill|start)", path)
        assert match, path
        container = self.containers.get(match[1])
        if container is None:
            return 404
        if match[2] == "update":
            container["Policy"] = body["RestartPolicy"]
        elif match[2] == "start":
            self._start(container)
        elif container["State"] != "running":
            return 409
        return 204

    def _start(self, container: dict[str, Any]) -> None:
        if container["State"] != "running":
            self.starts += 1
            container.update(State="running", StartedAt=f"start {self.starts}")

    def delete(self, path: str) -> Any:
        _, kind, name = path.split("/", 2)
        self.changes.append(f"DELETE {kind} {name}")
        if name in self.broken:
            return 500
        found = {"containers": self.containers, "images": self.images, "volumes": self.volumes}[kind]
        key = next((key for key, each in found.items() if name in (key, *(each.get("RepoTags") or []))), None)
        if key is None:
            return 404
        if self._in_use(kind, key):
            return 409
        tags = found[key].get("RepoTags") or []
        if name in tags and len(tags) > 1:
            tags.remove(name)
        else:
            self.free += found.pop(key).get("Size", 0)
        return 204

    def _in_use(self, kind: str, key: str) -> bool:
        if kind == "containers":
            return bool(self.containers[key]["State"] == "running")
        if kind == "images":
            return any(each["ImageID"] == key for each in self.containers.values())
        return any(mount["Name"] == key for each in self.containers.values() for mount in each["Mounts"])


class _Handler(BaseHTTPRequestHandler):
    server: FakeEngine

    def _answer(self, method: str) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        path = unquote(parts.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        if method == "GET":
            found = self.server.get(path, query)
        elif method == "POST":
            found = self.server.post(path, query, body)
        else:
            found = self.server.delete(path)
        status = found if isinstance(found, int) else 200
        self.send_response(status)
        self.end_headers()
        if status >= 400:
            self.wfile.write(b'{"message":"said by the engine"}')
        elif path == "/events":
            self.wfile.write("\n".join(map(json.dumps, found)).encode())
        elif status == 200:
            self.wfile.write(json.dumps(found).encode())

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_arguments: Any) -> None:
        pass

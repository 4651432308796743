# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics server, as far as probes ask it: whether the process is there."""

from __future__ import annotations

import http.server
import logging
import socket
import threading

DEFAULT_PORT = 9252
ANSWERS = {
    "/metrics": b'gitlab_runner_version_info{name="gitlab-runner",version="standin"} 1\n',
    "/health/ready": b"ready\n",
}

_LOG = logging.getLogger(__name__)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answer = ANSWERS.get(self.path)
        self.send_response(404 if answer is None else 200)
        self.end_headers()
        self.wfile.write(answer or b"")

    def log_message(self, *_arguments: object) -> None:
        """Nothing: probes come every few seconds."""


class _Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # as a listener of Go
        super().server_bind()


def serve(address: str) -> http.server.ThreadingHTTPServer:
    """Serve from now on at an address like ":9252", "127.0.0.1:9252" or "[::1]"; without a port it is DEFAULT_PORT."""
    host, _colon, port = address.rpartition(":") if address.rpartition(":")[2].isdigit() else (address, "", "")
    host = host.strip("[]") or "::"
    server = _Server((f"::ffff:{host}" if host.count(".") == 3 else host, int(port or DEFAULT_PORT)), _Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    _LOG.info("Metrics server listening address=%s", address)
    return server

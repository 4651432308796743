# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake GitLab as a program: `python -m fake_gitlab`."""

from __future__ import annotations

import argparse
import json
import logging
import socket
from pathlib import Path

import uvicorn

from fake_gitlab import seed, tls
from fake_gitlab.app import application
from fake_gitlab.server import uvicorn_config
from fake_gitlab.state import FakeGitLab


def main() -> None:
    options = _options()
    if options.make_tls:
        tls.make(options.make_tls, options.san or ["localhost", "127.0.0.1"])
        return
    if options.access_log:
        logging.basicConfig(format="%(asctime)s %(message)s")
        logging.getLogger("fake_gitlab").setLevel(logging.INFO)
    gitlab = FakeGitLab()
    seed.load(gitlab, json.loads(options.seed.read_text()) if options.seed else seed.EXAMPLE)
    files = tls.TLSFiles(options.cert, options.key) if options.cert else None
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.create_server((options.host, options.port), family=family)
    host = f"[{options.host}]" if family == socket.AF_INET6 else options.host
    print(f"ready: {'https' if files else 'http'}://{host}:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn_config(application(gitlab), files)).run(sockets=[listener])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fake_gitlab", description="A GitLab runner API to test against.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on, 0 for any (default: %(default)s)")
    parser.add_argument("--cert", metavar="FILE", help="certificate (PEM); serves HTTPS")
    parser.add_argument("--key", metavar="FILE", help="the certificate's private key (PEM)")
    parser.add_argument("--seed", type=Path, metavar="FILE", help="users, tokens, groups and projects (JSON)")
    parser.add_argument("--access-log", action="store_true", help="log every request on stderr, without parameters")
    parser.add_argument(
        "--make-tls", type=Path, metavar="DIR", help="write ca.crt, server.crt and server.key there; no server"
    )
    parser.add_argument(
        "--san", action="append", metavar="NAME", help="DNS name or IP address for --make-tls; repeatable"
    )
    options = parser.parse_args()
    if bool(options.cert) != bool(options.key):
        parser.error("--cert and --key go together")
    return options


if __name__ == "__main__":
    main()

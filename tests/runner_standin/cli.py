# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: the commands and options of `gitlab-runner` that the collection and its tests use."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from runner_standin import REVISION, VERSION, config, system_id
from runner_standin.config import Config, ConfigError
from runner_standin.gitlab import Client, RequestFailed, architecture
from runner_standin.process import Fatal, Process
from runner_standin.signals import Signals

_LOG = logging.getLogger("gitlab-runner")


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.DEBUG if options.debug else logging.INFO, format="%(message)s")
    try:
        return options.command(options)
    except (ConfigError, Fatal) as error:
        _LOG.critical("FATAL: %s", error)
        return 1


def _run(options: argparse.Namespace) -> int:
    _LOG.info("Starting multi-runner from %s... pid=%d revision=%s", options.config, os.getpid(), REVISION)
    return Process(options.config, options.working_directory, options.user, Signals()).run()


def _verify(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    chosen = [runner for runner in loaded.runners if options.name in (None, runner.name)]
    if loaded.runners and not chosen:
        raise Fatal("no runner matches the filtering parameters")
    own_system_id = system_id.load(options.config.parent)
    invalid = False
    for runner in chosen:
        try:
            status = Client(runner, own_system_id).verify().status
        except RequestFailed as error:
            _LOG.error("Verifying runner... client error runner=%s: %s", runner.short_token, error)
            continue
        invalid = invalid or status == 403
        result = {200: "is valid", 403: "is not valid"}.get(status, "failed")
        _LOG.info("Verifying runner... %s runner=%s status=%d", result, runner.short_token, status)
    if invalid:
        raise Fatal("Failed to verify runners")
    return 0


def _list(options: argparse.Namespace) -> int:
    _LOG.info("Listing configured runners ConfigFile=%s", options.config)
    for runner in config.load(options.config).runners:
        _LOG.info("%s Executor=%s Token=%s URL=%s", runner.name, runner.executor, runner.short_token, runner.url)
    return 0


def _lint(options: argparse.Namespace) -> int:
    if not options.config.exists():
        raise Fatal(f"config file not found: {options.config}")
    loaded = config.load(options.config)
    problems = [*_missing(loaded), *(f"unknown key: {path}" for path in loaded.unknown)]
    if problems:
        raise Fatal(f"{options.config}: " + "; ".join(problems))
    _LOG.info("Configuration file is valid.")
    return 0


def _missing(loaded: Config) -> list[str]:
    return [
        f"runner {runner.name!r}: {key} is missing"
        for runner in loaded.runners
        for key in ("url", "token", "executor")
        if not runner.settings.get(key)
    ]


def _parser() -> argparse.ArgumentParser:
    version = f"Version:      {VERSION}\nGit revision: {REVISION}\nOS/Arch:      linux/{architecture()}"
    parser = argparse.ArgumentParser("gitlab-runner", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-v", "--version", action=_Version, version=version)
    parser.add_argument("--debug", action="store_true")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-c", "--config", type=Path, default=_default_config())
    run = commands.add_parser("run", parents=[common], help="request jobs and run them")
    run.add_argument("-d", "--working-directory", type=Path, default=Path.cwd())
    run.add_argument("-u", "--user", help="user of shell jobs")
    run.add_argument("-n", "--service", help="name of the service, as the unit of the package gives it; without effect")
    run.set_defaults(command=_run)
    verify = commands.add_parser("verify", parents=[common], help="verify the tokens with GitLab")
    verify.add_argument("-n", "--name")
    verify.set_defaults(command=_verify)
    commands.add_parser("list", parents=[common], help="list the [[runners]] entries").set_defaults(command=_list)
    commands.add_parser("lint", parents=[common], help="check types and keys").set_defaults(command=_lint)
    return parser


class _Version(argparse.Action):
    """Prints the version unchanged; argparse's own action would re-wrap its lines."""

    def __init__(self, *args: object, version: str, **kwargs: object) -> None:
        super().__init__(*args, nargs=0, **kwargs)  # type: ignore[misc, arg-type]
        self._version = version

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(self._version)
        parser.exit()


def _default_config() -> Path:
    if "CONFIG_FILE" in os.environ:
        return Path(os.environ["CONFIG_FILE"])
    return Path("/etc/gitlab-runner/config.toml" if os.geteuid() == 0 else "~/.gitlab-runner/config.toml").expanduser()

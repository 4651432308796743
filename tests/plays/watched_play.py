# SPDX-License-Identifier: GPL-3.0-or-later
"""A play, and all that it shows: to whoever reads its output, its log, its results, the processes and the files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from plays.files import FileWatcher, Sight
from plays.play import ROOT, Play
from plays.processes import ProcessWatcher

# Without data to send, Ansible gives ssh a terminal.
SSH = """#!/bin/sh
for last; do :; done
echo "$last" >>"{calls}"
{{ printf '%s\\n' "$@"; env; }} >>"{records}/$$.started"
export TMPDIR="{temporary}"
[ -t 0 ] && exec /bin/sh -c "$last"
tee -a "{records}/$$.input" | /bin/sh -c "$last"
"""

CONFIGURATION = f"""[defaults]
log_path = log
fact_caching = ansible.builtin.jsonfile
fact_caching_connection = facts
callback_plugins = {ROOT}/tests/callback
callbacks_enabled = task_results
"""


class WatchedPlay(Play):
    """What several runs show is kept together. The log, the results and the cached facts are files like any other."""

    def __init__(self, program: str, directory: Path) -> None:
        super().__init__(program, directory / "play")
        self.files = FileWatcher(self.directory)
        self._processes = ProcessWatcher()
        self._output = ""
        self._results = self.directory / "results"
        self._records = directory / "records"
        self._records.mkdir()
        temporary = self.directory / "temporary"
        temporary.mkdir()
        self.ssh.write_text(SSH.format(calls=self.calls, records=self._records, temporary=temporary))
        (self.directory / "ansible.cfg").write_text(CONFIGURATION)

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "PIFLEET_TASK_RESULTS": str(self._results)}

    def run_plays(self, plays: list[dict[str, Any]], *arguments: str, **options: Any) -> CompletedProcess[str]:
        self._results.unlink(missing_ok=True)
        with self._processes, self.files:
            done = super().run_plays(plays, *arguments, **options)
        self._output += done.stdout + done.stderr
        return done

    def results(self, action: str) -> dict[str, list[dict[str, Any]]]:
        """What callbacks were told of an action in the last run, by host, in order."""
        found = defaultdict(list)
        for line in map(json.loads, self._results.read_text().splitlines()):
            if line["action"] == action:
                found[line["host"]].append(line["result"])
        return found

    def leaks(self, secrets: Mapping[str, str]) -> set[tuple[str, str]]:
        """Which of the secrets (by name) could be read where."""
        return {(name, place) for name, secret in secrets.items() for place in self._places(secret)}

    def sent_to_hosts(self, secret: str) -> bool:
        return any(secret.encode() in path.read_bytes() for path in self._records.iterdir())

    def holders(self, secrets: Iterable[str]) -> set[str]:
        """The files that hold one of them now, whoever may read it."""
        wanted = [secret.encode() for secret in secrets]
        return {sight.path for sight in self.files.present() if any(secret in sight.content for secret in wanted)}

    def _places(self, secret: str) -> Iterator[str]:
        if secret in self._output:
            yield "output"
        if secret in self._processes.command_lines:
            yield "processes"
        if any(secret.encode() in path.read_bytes() for path in self._records.glob("*.started")):
            yield "arguments and environment of ssh"
        for sight in self.files.seen:
            if secret.encode() in sight.content and not self._closed(sight):
                yield f"{sight.path} ({sight.mode:04o})"

    def _closed(self, sight: Sight) -> bool:
        """Only its owner can read it. What Ansible transfers is protected by its directory."""
        folder = Path(sight.path).parent
        transferred = folder.parent == Path("tmp") and self.files.directory_modes[str(folder)] == {0o700}
        return sight.mode == 0o600 or transferred

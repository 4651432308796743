# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever becomes of a config.toml: check mode foretells it, and nobody else gets to read the secrets in it.

Each Pi is found in another state. The settings are in a file of their own, as they would be in a vault.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core
from plays.watched_play import WatchedPlay

pytestmark = pytest.mark.slow

CONFIGURE = "pifleet.ci.runner_config"
SECRETS = {
    "token": "glrt-hushhushhush1234",
    "API token": "glpat-hushhushhush5678",
    "old variable": "hush-of-the-file",
    "new variable": "hush-of-the-vault",
    "access key": "hush-access-of-the-vault",
    "secret key": "hush-secret-of-the-vault",
    "session token": "hush-session-of-the-vault",
}
NOBODY = "http://127.0.0.1:9"
CONFIG = f"""[[runners]]
  name = "docker"
  token = "{SECRETS["token"]}"
  environment = ["KEY={SECRETS["old variable"]}"]
"""
PURGED = f"""{CONFIG}[[runners]]
  name = "shell"
  url = "{NOBODY}"
  id = 7
  token = "{SECRETS["token"]}"
"""
S3 = {
    "ServerAddress": "s3.example.com:9000",
    "BucketName": "cache",
    "AccessKey": SECRETS["access key"],
    "SecretKey": SECRETS["secret key"],
    "SessionToken": SECRETS["session token"],
}
CHANGE = {
    "name": "docker",
    "environment": [f"KEY={SECRETS['new variable']}"],
    "cache": {"Type": "s3", "s3": S3},
}
TOKEN_TO_SET = {"name": "docker", "token": SECRETS["token"]}
WRONG_TYPE = {"name": "docker", "environment": SECRETS["new variable"]}
WRONG_S3 = {"name": "docker", "cache": {"Type": "s3", "s3": {**S3, "Insecure": SECRETS["secret key"]}}}

# what stands in the file, the settings of its entry, and whether it is changed or why it is refused
CASES: dict[str, tuple[str, dict[str, Any], bool | str]] = {
    "changed": (CONFIG, CHANGE, True),
    "unchanged": (CONFIG, {"name": "docker"}, False),
    "broken": (CONFIG + "[[runners\n", CHANGE, "is not valid TOML"),
    "recovered": ("", CHANGE, True),
    "token": (CONFIG, TOKEN_TO_SET, "is not a setting"),
    "wrong-type": (CONFIG, WRONG_TYPE, "must be a list"),
    "wrong-s3": (CONFIG, WRONG_S3, "cache.s3.Insecure must be true or false"),
    "purged": (PURGED, CHANGE, "config.toml was not written"),  # GitLab does not answer
}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> WatchedPlay:
    return WatchedPlay(request.param, tmp_path)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def plays(play: WatchedPlay) -> list[dict[str, Any]]:
    path = f"{play.directory}/hosts/{{{{ inventory_hostname }}}}/config.toml"
    settings = {
        "path": path,
        "runners": ["{{ entries[inventory_hostname] }}"],
        "recover": "{{ inventory_hostname == 'recovered' }}",
        "purge": "{{ inventory_hostname == 'purged' }}",
        "url": NOBODY,
        "api_token": "{{ api_token }}",
    }
    outdated = {"path": path, "content": f"# {SECRETS['token']}", "expected_sha256": "another"}
    results = "{{ [refused] + hostvars | dict2items | map(attribute='value.done') }}"
    return [
        {"hosts": "all", "tasks": [{CONFIGURE: settings, "register": "done", "ignore_errors": True}]},
        {
            "hosts": "changed",
            "tasks": [
                {"pifleet.ci.runner_config_file": outdated, "register": "refused", "ignore_errors": True},
                {"ansible.builtin.set_fact": {"kept": results, "cacheable": True}},
            ],
        },
    ]


def test_check_mode_foretells_what_is_done(play: WatchedPlay) -> None:
    for pi, (content, _entry, _end) in CASES.items():
        put(play.directory / "hosts" / pi / "config.toml", content)
        put(play.directory / "hosts" / pi / "config.toml.backup-1", CONFIG)
    entries = {pi: entry for pi, (_content, entry, _end) in CASES.items()}
    put(play.directory / "vault", json.dumps({"entries": entries, "api_token": SECRETS["API token"]}))
    put(play.directory / "play.yml", "")  # the token in it is no matter here

    def run(*arguments: str) -> dict[str, dict[str, Any]]:
        options = ["--diff", "-e", f"@{play.directory}/vault", *arguments]
        done = play.run_plays(plays(play), *options, hosts=CASES, verbosity="-vvvv")
        assert done.returncode == 0, done.stdout + done.stderr
        return {pi: results[0] for pi, results in play.results(CONFIGURE).items()}

    foretold, done = run("--check"), run()
    for pi, (_content, _entry, end) in CASES.items():
        if isinstance(end, str):
            assert end in done[pi]["msg"] == foretold[pi]["msg"]
        else:
            assert done[pi]["changed"] == foretold[pi]["changed"] == end
            assert done[pi].get("diff") == foretold[pi].get("diff")

    assert play.leaks(SECRETS) == set()
    for sent in ("new variable", "secret key"):
        assert play.sent_to_hosts(SECRETS[sent])
    assert play.holders(["is not valid TOML"]) >= {"log", "results", "facts/s1_changed"}
    left = play.holders(SECRETS.values()) - {"vault", "play.yml"}
    assert {path for path in left if not re.fullmatch(r"hosts/[\w-]+/config\.toml(\.backup-\d)?", path)} == set()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be shown of a config.toml."""

from __future__ import annotations

from ansible_collections.pifleet.ci.plugins.plugin_utils._config import merge as config
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.redaction import redact, redacted_diff, secret_strings
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.schema import schema
from unit.config.strategies import nested

TEXT = """\
sentry_dsn = "https://hush:hush@sentry.example.com"  # token = "hush"
# token = "hush"
#environment = ["PASSWORD=hush"]
[[runners]] # password: hush
  name = "one"
  url = "https://me:hush@gitlab.example.com"
  TOKEN = "hush-token" # was glrt-hush1234
  token_expires_at = 2026-01-01T00:00:00Z
  environment = [
    "A=hush", # hush-token
    "B=hush",
  ]
  pre_build_script = '''
export X=hush
'''
  my_password = "hush"
  executor = "docker"
  "cache".s3.SecretKey = "hush"
  [runners.docker]
    services = [{ name = "db", environment = ["P=hush"] }]
    volumes = ["/cache"]
    [runners.docker.volume_driver_ops]
      o = "addr=nas,username=me,password=hush"
  [runners.autoscaler.plugin_config]
    a = "hush"
    [runners.autoscaler.plugin_config.deep]
      b = [{ c = "hush" }]
"""
SHOWN = """\
sentry_dsn = "********"  # token = ********
# token = ********
#environment = ********
[[runners]] # password: ********
  name = "one"
  url = "https://********@gitlab.example.com"
  TOKEN = "********" # was ********
  token_expires_at = 2026-01-01T00:00:00Z
  environment = ["A=********", "B=********"]
  pre_build_script = "********"
  my_password = "********"
  executor = "docker"
  "cache".s3.SecretKey = "********"
  [runners.docker]
    services = [{ name = "db", environment = ["P=********"] }]
    volumes = ["/cache"]
    [runners.docker.volume_driver_ops]
      o = "addr=nas,username=me,password=********"
  [runners.autoscaler.plugin_config]
    a = "********"
    [runners.autoscaler.plugin_config.deep]
      b = [{ c = "********" }]
"""


def test_every_secret_is_masked_and_nothing_else() -> None:
    assert redact(TEXT) == SHOWN
    assert "hush-token" in secret_strings(TEXT)


def test_arguments_of_programs_are_masked() -> None:
    """Of an option its name is shown. What else has an equals sign may be a password in Base64."""
    text = """\
[[runners]]
  custom.run_args = ["--key=hush", "-phush", "hush="]
  [[runners.docker.services]]
    name = "redis"
    command = ["redis-server", "--requirepass", "hush"]
"""
    shown = """\
[[runners]]
  custom.run_args = ["--key=********", "********", "********"]
  [[runners.docker.services]]
    name = "redis"
    command = ["********", "********", "********"]
"""
    assert redact(text) == shown


def test_a_table_that_the_schema_does_not_know_is_masked_if_its_name_says_so() -> None:
    text = 'vault_secrets.a = "hush"\n[runners_credentials.deep]\n  user = "hush"\n  list = ["hush"]\n'
    assert "hush" not in redact(text)
    assert redact('[[runners]]\n  [runners.kubernetes]\n    image_pull_secrets = ["shown"]\n').count("shown") == 1


def test_a_diff_shows_that_a_secret_changed() -> None:
    diff = redacted_diff(TEXT, TEXT.replace('"hush-token"', '"hush-other"').replace("B=hush", "B=other"), "config.toml")
    assert diff["before"] == SHOWN
    assert diff["after"] == SHOWN.replace('TOKEN = "********"', 'TOKEN = "******** (changed)"').replace(
        '"B=********"', '"B=******** (changed)"'
    )
    assert diff["before_header"] == diff["after_header"] == "config.toml"


def test_an_entry_that_moves_has_not_changed_its_secrets() -> None:
    one, two = '[[runners]]\nname = "one"\ntoken = "hush-1"\n', '[[runners]]\nname = "two"\ntoken = "hush-2"\n'
    assert "changed" not in redacted_diff(one + two, two + one, "")["after"]
    swapped = (one + two).replace("hush-1", "x").replace("hush-2", "hush-1").replace('"x"', '"hush-2"')
    assert redacted_diff(one + two, swapped, "")["after"].count("(changed)") == 2


def test_what_is_not_toml_is_not_shown() -> None:
    assert redact('token = "hush') == "(not valid TOML, not shown)\n"
    assert redact("") == ""


def test_every_secret_key_of_the_schema_is_masked() -> None:
    for key in schema().keys.values():
        if key.secret or key.free_form:
            value = ["KEY=hush"] if key.type == "array<string>" else {"k": "hush"} if key.is_free_table else "hush"
            text = config.merge("", append_missing=True, **nested(key, value))
            assert "hush" in text
            assert "hush" not in redact(text), key.path
    for path, removed in schema().removed.items():
        if removed.get("secret"):
            table, _dot, name = path.rpartition(".")
            assert "hush" not in redact(f'[[runners]]\n[{table}]\n{name} = "hush"\n')

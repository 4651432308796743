# SPDX-License-Identifier: GPL-3.0-or-later
"""Worked examples: the layouts that are met, and files that come from elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._config import merge as config
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.reload import (
    AFTER_RESTART,
    AUTOMATICALLY,
    UNCHANGED,
    changed_paths,
    takes_effect,
)

REGISTERED = """\
concurrent = 1
check_interval = 0
connection_max_age = "15m0s"
shutdown_timeout = 0

[session_server]
  session_timeout = 1800

[[runners]]
  name = "docker"
  url = "https://gitlab.example.com"
  id = 7
  token = "glrt-made-up"
  token_obtained_at = 2026-08-01T10:00:00Z
  token_expires_at = 0001-01-01T00:00:00Z
  executor = "docker"
  [runners.cache]
    MaxUploadedArchiveSize = 0
    [runners.cache.s3]
      AssumeRoleMaxConcurrency = 0
    [runners.cache.gcs]
    [runners.cache.azure]
  [runners.docker]
    tls_verify = false
    image = "debian:bookworm"
    privileged = false
    disable_entrypoint_overwrite = false
    oom_kill_disable = false
    disable_cache = false
    volume_keep = false
    volumes = ["/cache"]
    shm_size = 0
    network_mtu = 0
"""


def merged(text: str, *runners: dict[str, Any], purge: bool = False, **settings: Any) -> str:
    return config.merge(text, settings=settings, runners=list(runners), purge=purge)


def test_a_file_of_gitlab_runner_register_is_taken_over() -> None:
    wanted = {"name": "docker", "limit": 1, "docker": {"volumes": ["/cache"], "pull_policy": "if-not-present"}}
    assert merged(REGISTERED, wanted, concurrent=2) == REGISTERED.replace("concurrent = 1", "concurrent = 2").replace(
        '  executor = "docker"\n', '  executor = "docker"\n  limit = 1\n'
    ).replace("    network_mtu = 0\n", '    network_mtu = 0\n    pull_policy = "if-not-present"\n')


@pytest.mark.parametrize(
    ("settings", "runner"),
    [
        ({"connection_max_age": "900s"}, {}),
        ({"connection_max_age": 900 * 10**9}, {}),
        ({"check_interval": 0, "log_level": None, "listen_address": ""}, {}),
        ({"session_server": {"session_timeout": 1800, "listen_address": ""}}, {}),
        ({}, {"docker": {"volumes": ["/cache"], "extra_hosts": [], "privileged": False, "memory": ""}}),
        ({}, {"limit": 0, "environment": [], "cache": {"s3": {}, "Shared": False}}),
        ({}, {"feature_flags": {}, "docker": {"sysctls": {}}}),
        ({}, {"ssh": {"password": None}, "machine": {"MachineName": None}}),
        ({}, {"kubernetes": {"affinity": {"node_affinity": None}, "namespace": None}}),
    ],
)
def test_what_gitlab_runner_reads_alike_is_no_change(settings: dict[str, Any], runner: dict[str, Any]) -> None:
    assert merged(REGISTERED, {"name": "docker", **runner}, **settings) == REGISTERED


@pytest.mark.parametrize(
    ("settings", "runner"),
    [
        ({"log_level": ""}, {}),
        ({"connection_max_age": "0s"}, {}),
        ({}, {"custom_build_dir": {"enabled": False}}),
        ({}, {"ssh": {}}),
        ({}, {"docker": {"volumes": []}}),
    ],
)
def test_where_absent_is_not_zero_it_is_one(settings: dict[str, Any], runner: dict[str, Any]) -> None:
    assert merged(REGISTERED, {"name": "docker", **runner}, **settings) != REGISTERED


def test_keys_to_remove_make_no_table_around_them() -> None:
    assert config.merge("", settings={"session_server": {"listen_address": None}}, runners=[]) == ""
    wanted = {"name": "docker", "ssh": {"user": "pi", "password": None}, "machine": {"MachineName": None}}
    (entry,) = config.parse(merged(REGISTERED, wanted))["runners"]
    assert (entry["ssh"], "machine" in entry) == ({"user": "pi"}, False)
    predicted = config.merge("", settings={}, runners=[wanted], append_missing=True)
    assert config.parse(predicted)["runners"] == [{"name": "docker", "ssh": {"user": "pi"}}]


def test_the_runners_own_rewrite_is_no_change() -> None:
    wanted = {"name": "docker", "docker": {"pull_policy": "if-not-present"}, "unhealthy_interval": "60m"}
    ours = merged(REGISTERED, wanted)
    rewritten = ours.replace('"if-not-present"', '["if-not-present"]').replace('"60m"', '"1h0m0s"')
    rewritten = rewritten.replace("glrt-made-up", "glrt-rotated").replace("0001-01-01", "2027-01-01")
    assert merged(rewritten, wanted) == rewritten != ours


def test_the_runners_own_rewrite_of_a_list_of_tables_is_no_change() -> None:
    """In each of its tables, too, zeros appear and durations change their words."""
    watched = {"periods": ["* * * * * * *"], "threshold": "30m", "jobs_running_for_project": ".*"}
    wanted = {"name": "docker", "monitoring": {"job_queuing_durations": [watched]}}
    ours = merged(REGISTERED, wanted)
    rewritten = ours.replace('threshold = "30m"', 'timezone = ""\n      threshold = "30m0s"')
    assert merged(rewritten, wanted) == rewritten != ours


RIEMERS = """\
# Ansible managed
concurrent = 4
check_interval = 0
[session_server]
    session_timeout = 1800

[[runners]]
    name = "pi-01"   # the name was templated
    limit = 0
    output_limit = 4096
    url = "https://gitlab.example.com/"
    environment = []
    token = "made-up"
    executor = "shell"
    [runners.custom_build_dir]
#### [[[ dynamic section ]]] ####
[runners.docker]
"""


def test_a_file_of_another_role_is_taken_over() -> None:
    wanted = {"name": "pi-01", "executor": "docker", "limit": 0, "docker": {"image": "debian"}}
    assert merged(RIEMERS, wanted, concurrent=4) == RIEMERS.replace('"shell"', '"docker"') + '    image = "debian"\n'


def test_names_that_are_spelled_in_another_case() -> None:
    text = 'Concurrent = 1\n[[Runners]]\nName = "a"\nTOKEN = "t"\n[runners.Docker]\nImage = "x"\n'.replace(
        "[runners.", "[Runners."
    )
    assert config.parse(text)["runners"] == [{"name": "a", "token": "t", "docker": {"image": "x"}}]
    assert merged(text, {"name": "a", "docker": {"image": "y"}}, concurrent=1) == text.replace('"x"', '"y"')
    assert config.set_entry(text, 0, {"token": "u"}) == text.replace('"t"', '"u"')
    both = "concurrent = 1\nConcurrent = 2\n"
    assert merged(both, concurrent=3) == "concurrent = 3\nConcurrent = 2\n"


def test_entries_are_found_by_name_and_then_by_id() -> None:
    text = '[[runners]]\nname = "a"\nid = 1\n[[runners]]\nname = "b"\nid = 2\n'
    assert merged(text, {"name": "b", "id": 1, "limit": 3}).endswith('name = "b"\nid = 2\nlimit = 3\n')
    assert merged(text, {"name": "c", "id": 2}) == text.replace('"b"', '"c"')
    twice = text.replace('"b"', '"a"')
    with pytest.raises(config.ConfigTomlError, match=r"has 2 \[\[runners\]\] entries named 'a'"):
        merged(twice, {"name": "a", "limit": 3})
    assert merged(twice, {"name": "a", "id": 1, "limit": 3}).count("limit") == 1
    with pytest.raises(config.MissingEntryError, match=r"there is no .* named 'c' in it; register it first"):
        merged(text, {"name": "c"})


def test_removing_an_entry_leaves_what_was_not_about_it() -> None:
    text = (
        '# all\n\n# about a\n[[runners]]\n  name = "a"\n  [runners.docker]\n    image = "x"\n    # in a\n\n'
        '# ---- big ones ----\n\n# about b\n[[runners]]\n  name = "b"\n\n# the end\n'
    )
    assert config.remove_entries(text, [0]) == (
        '# all\n\n\n# ---- big ones ----\n\n# about b\n[[runners]]\n  name = "b"\n\n# the end\n'
    )
    assert merged(text, {"name": "a"}, purge=True).endswith("# ---- big ones ----\n\n\n# the end\n")
    assert config.remove_entries(config.remove_entries(text, [0, 1]), []).startswith("# all\n")


ENTRY = {"name": "docker", "id": 7}
NOTE = f"{config.NO_ENTRY}\n"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_has_no_line_left_gets_one_until_the_next_entry(mark: str, end: str) -> None:
    """An empty file would look like one that a power cut emptied."""
    one = (mark + config.set_entry("", None, ENTRY)).replace("\n", end)
    emptied = config.remove_entries(one, [0])
    assert emptied == NOTE
    assert config.merge(one, settings={}, runners=[], purge=True) == NOTE
    assert config.merge("concurrent = 2\n", settings={"concurrent": None}, runners=[]) == NOTE
    assert config.merge(emptied, settings={}, runners=[], purge=True) == NOTE
    assert config.remove_entries(emptied, []) == NOTE
    assert config.set_entry(emptied, None, ENTRY) == config.set_entry("", None, ENTRY)
    assert config.merge(emptied, settings={}, runners=[ENTRY], append_missing=True) == config.set_entry("", None, ENTRY)
    assert config.merge(emptied, settings={"concurrent": 2}, runners=[]) == f"{NOTE}concurrent = 2\n"


def test_the_note_goes_from_among_other_lines_too() -> None:
    text = f"# by hand\n{NOTE}concurrent = 2\n"
    assert config.set_entry(text, None, ENTRY) == config.set_entry(text.replace(NOTE, ""), None, ENTRY)
    quoted = f'shell = """\n{NOTE}"""\n'
    assert config.set_entry(quoted, None, ENTRY).startswith(quoted)


@pytest.mark.parametrize("text", ["", "\n", "\ufeff"])
def test_what_was_blank_before_stays_so(text: str) -> None:
    assert config.merge(text, settings={}, runners=[], purge=True) == text
    assert config.remove_entries(text, []) == text


def test_new_keys_stand_where_their_like_stand() -> None:
    last = "shutdown_timeout = 0\n"
    assert merged(REGISTERED, log_level="info") == REGISTERED.replace(last, last + 'log_level = "info"\n')
    text = '[[runners]]\n\tname = "a"\n\n\t# cache\n\t[runners.cache]\n\t\tType = "s3"\n'
    assert merged(text, {"name": "a", "limit": 1, "cache": {"Shared": True, "s3": {"BucketName": "b"}}}) == (
        '[[runners]]\n\tname = "a"\n\tlimit = 1\n\n\t# cache\n\t[runners.cache]\n\t\tType = "s3"\n\t\tShared = true\n\n'
        '\t\t[runners.cache.s3]\n\t\t\tBucketName = "b"\n'
    )


def test_line_ends_and_the_byte_order_mark_stay() -> None:
    text = "\ufeffconcurrent = 1\r\n# x"
    assert merged(text, concurrent=2, check_interval=3) == "\ufeffconcurrent = 2\r\ncheck_interval = 3\r\n# x"
    assert config.set_entry("", None, {"name": "a"}) == '[[runners]]\n  name = "a"\n'
    assert merged("# only remarks\n", concurrent=2) == "# only remarks\nconcurrent = 2\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("concurrent =", r"not valid TOML: .* \(at end of document\)"),
        ("a = 1\na = 2", r"not valid TOML: .* \(at end of document\)|line 2"),
        ("\n\n  = 3", r"not valid TOML: .* \(at line 3, column 3\)"),
        ("[runners]\nname = 'a'", r"write \[\[runners\]\]"),
        ("runners = [1]", r"write \[\[runners\]\]"),
    ],
)
def test_what_cannot_be_read_is_told_with_line_and_column(text: str, sentence: str) -> None:
    for action in (
        config.parse,
        lambda text: merged(text, concurrent=1),
        lambda text: config.set_entry(text, None, {}),
    ):
        with pytest.raises(config.ConfigTomlError, match=sentence):
            action(text)


# when a change takes effect


def entry(**values: Any) -> dict[str, Any]:
    return {"name": "a", **values}


@pytest.mark.parametrize(
    ("before", "after", "effect"),
    [
        ({}, {}, UNCHANGED),
        ({"check_interval": 3}, {"check_interval": 5}, AUTOMATICALLY),
        ({}, {"check_interval": 0}, UNCHANGED),
        ({}, {"listen_address": ":9252"}, AFTER_RESTART),
        ({"session_server": {"session_timeout": 1}}, {"session_server": {"session_timeout": 2}}, AFTER_RESTART),
        ({"session_server": {}}, {}, UNCHANGED),
        ({"runners": [entry()]}, {"runners": [entry(limit=1)]}, AUTOMATICALLY),
        ({"runners": []}, {"runners": [entry()]}, AUTOMATICALLY),
        ({"runners": [entry()]}, {"runners": []}, AUTOMATICALLY),
        ({"runners": [entry(), {"name": "b"}]}, {"runners": [{"name": "b"}, entry()]}, UNCHANGED),
        ({"runners": [entry()]}, {"runners": [entry(autoscaler={"plugin": "x"})]}, AFTER_RESTART),
        (
            {"runners": [entry(autoscaler={"policy": [{"idle_count": 1}]})]},
            {"runners": [entry(autoscaler={"policy": [{"idle_count": 2}]})]},
            AUTOMATICALLY,
        ),
        ({"runners": [entry()]}, {"runners": [entry(experimental={"boot_verify": {"enabled": True}})]}, AFTER_RESTART),
    ],
)
def test_when_a_change_takes_effect(before: dict[str, Any], after: dict[str, Any], effect: str) -> None:
    old, new = {"runners": []} | before, {"runners": []} | after
    assert takes_effect(old, new) == effect
    assert bool(set(changed_paths(old, new))) == (effect != UNCHANGED)

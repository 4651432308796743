# SPDX-License-Identifier: GPL-3.0-or-later
"""From a task's options to a DesiredRunner, or one sentence for each thing that is wrong with them. Pure.

All that GitLab would refuse later is refused here, before any request: its limits are
https://gitlab.com/gitlab-org/gitlab/-/blob/master/app/models/ci/runner.rb
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.difference import COMPARED_OPTIONS
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import (
    ATTRIBUTES,
    DESCRIPTION_LIMIT,
    NOTE_LIMIT,
    RunnerScope,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import (
    GITLAB_OPTIONS,
    timeout_problems,
    token_problems,
    url_problems,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    KEY_PREFIX,
    AuthMethod,
    DesiredRunner,
    with_key,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._tokens import CREATED_RUNNER_PREFIX

REGISTRATION_OPTIONS: dict[str, Any] = {
    **GITLAB_OPTIONS,
    "config_path": {"type": "str", "default": "/etc/gitlab-runner/config.toml"},
    "name": {"type": "str"},
    "registration_token": {"type": "str", "no_log": True},
    "token": {"type": "str", "no_log": True},
    "fleet": {"type": "str", "default": "default"},
    "runner_type": {"type": "str", "choices": ["instance_type", "group_type", "project_type"]},
    "group_id": {"type": "int"},
    "project_id": {"type": "int"},
    "description": {"type": "str"},
    "tag_list": {"type": "list", "elements": "str"},
    "run_untagged": {"type": "bool"},
    "locked": {"type": "bool"},
    "paused": {"type": "bool"},
    "access_level": {"type": "str", "choices": ["not_protected", "ref_protected"]},
    "maximum_timeout": {"type": "int"},
    "maintenance_note": {"type": "str"},
    "takeover": {"type": "bool", "default": False},
    "adopt_existing_entry": {"type": "bool", "default": True},
    "recover": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
"""What describes one runner, its GitLab and its file."""

FILE_OPTIONS = ("config_path", "recover")
RUNNERS_OPTION: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        name: {key: value for key, value in option.items() if key != "default"}
        for name, option in REGISTRATION_OPTIONS.items()
        if name not in FILE_OPTIONS
    },
}
ARGUMENT_SPEC: dict[str, Any] = {
    **REGISTRATION_OPTIONS,
    "runners": RUNNERS_OPTION,
    "config": {"type": "dict", "options": COMPARED_OPTIONS},
}
"""The argument spec of gitlab_runner_register."""

SECRET_OPTIONS: dict[str, Any] = {
    "kubeconfig": {"type": "path", "required": True},
    "context": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "secret_name": {"type": "str", "required": True, "no_log": False},
}
"""Where in which cluster the Secret is."""
SECRET_ARGUMENT_SPEC: dict[str, Any] = {
    **{name: option for name, option in REGISTRATION_OPTIONS.items() if name not in FILE_OPTIONS},
    **SECRET_OPTIONS,
    "runners": RUNNERS_OPTION,
}
"""The argument spec of gitlab_runner_register_secret."""

OWNERS = {"instance_type": None, "group_type": "group_id", "project_type": "project_id"}
TAG_COUNT, TAG_LENGTH = 50, 255
SHORTEST_TIMEOUT = 600

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_PART = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
LABEL, SUBDOMAIN = re.compile(rf"(?=.{{1,63}}$){_PART}"), re.compile(rf"{_PART}(?:\.{_PART})*")
SECRET_NAME_LENGTH = 253


class OptionsError(Exception):
    """The options cannot be meant; one sentence that names host, option and what to do."""


def options_of_runners(options: Mapping[str, Any], host: str) -> list[dict[str, Any]]:
    """The options of each runner of a task, None where not given: its own, else the task's. Raises OptionsError."""
    common = {name: options[name] for name in REGISTRATION_OPTIONS if name in options}
    runners = options["runners"]
    if runners is None:
        return [common]
    if common["name"] is not None or not runners:
        raise OptionsError(
            f"{host}: name and runners are both given; name is for one runner, runners for several."
            if runners
            else f"{host}: runners is an empty list; list at least one runner."
        )
    names = [own.get("name") for own in runners]
    for name in dict.fromkeys(names):
        if name is not None and names.count(name) > 1:
            raise OptionsError(f"{host}: runners has the name {json.dumps(name)} more than once; give each its own.")
    return [{**common, **{name: value for name, value in own.items() if value is not None}} for own in runners]


def desired_runner(options: Mapping[str, Any], host: str) -> DesiredRunner:
    """Validate the options of gitlab_runner_register (None where not given) for a host. Raises OptionsError."""
    problems = list(_problems(options, host))
    if problems:
        raise OptionsError(f"Runner {json.dumps(options.get('name') or '')} of {host}: " + " ".join(problems))
    auth_method = next(method for method in AuthMethod if options.get(method.value))
    return DesiredRunner(
        host=host,
        name=options["name"],
        url=options["url"].rstrip("/"),
        key=_key(options, host),
        auth_method=auth_method,
        credential=options[auth_method.value],
        scope=_scope(options) if auth_method is AuthMethod.API else None,
        description=_description(options, host),
        attributes={name: options[name] for name in ATTRIBUTES if options.get(name) is not None},
        note=options.get("maintenance_note"),
        present=options.get("state", "present") == "present",
        takeover=bool(options.get("takeover")),
        adopt_existing_entry=options.get("adopt_existing_entry") is not False,
    )


def require_place_of_secret(options: Mapping[str, Any], host: str) -> None:
    """Raises OptionsError for a cluster, namespace or Secret that nothing can be called."""
    problems = [f"{name} is empty." for name in ("kubeconfig", "context") if not options[name]]
    if not LABEL.fullmatch(options["namespace"]):
        problems.append("namespace is no name of a namespace: 1 to 63 of a-z, 0-9 and -, none of the latter at an end.")
    if len(options["secret_name"]) > SECRET_NAME_LENGTH or not SUBDOMAIN.fullmatch(options["secret_name"]):
        problems.append("secret_name is no name of a Secret: at most 253 of a-z, 0-9, - and . in parts as of a host.")
    if problems:
        raise OptionsError(f"{host}: " + " ".join(problems))


def without_effect(options: Mapping[str, Any]) -> list[str]:
    """The names of given options that nothing can be done with: GitLab shows and changes them only by api_token."""
    if options.get(AuthMethod.API.value):
        return []
    scope = ["runner_type", "group_id", "project_id"]
    kept = [*ATTRIBUTES, "description", "maintenance_note"] if options.get(AuthMethod.RUNNER.value) else []
    return [name for name in (*scope, *kept) if options.get(name) is not None]


def _problems(options: Mapping[str, Any], host: str) -> Iterator[str]:
    yield from _credential_problems(options)
    yield from _name_problems(options, host)
    yield from url_problems(options.get("url"))
    yield from timeout_problems(options.get("timeout", GITLAB_OPTIONS["timeout"]["default"]))
    if options.get(AuthMethod.API.value):
        yield from _scope_problems(options)
    yield from _attribute_problems(options)
    yield from _text_problems(options, host)


def _credential_problems(options: Mapping[str, Any]) -> Iterator[str]:
    given = [method.value for method in AuthMethod if options.get(method.value)]
    if not given:
        yield "no credential; set one of api_token (recommended), registration_token and token."
    elif len(given) > 1:
        yield f"{' and '.join(given)} are both set; exactly one of api_token, registration_token and token may be."
    for option in given:
        yield from token_problems(option, options[option])
    if CREATED_RUNNER_PREFIX in (options.get(AuthMethod.REGISTRATION.value) or ""):
        yield f"registration_token holds a runner authentication token ({CREATED_RUNNER_PREFIX}); give it as token."


def _name_problems(options: Mapping[str, Any], host: str) -> Iterator[str]:
    for what, part in (("name", options.get("name")), ("fleet", options.get("fleet", "default")), ("host name", host)):
        if not part:
            yield f"{what} is missing."
        elif not part.isprintable() or part != part.strip() or "/" in part:
            yield f"{what} {json.dumps(part)} may hold no slash, no control character and no blanks at its ends."


def _scope_problems(options: Mapping[str, Any]) -> Iterator[str]:
    kind = options.get("runner_type")
    if kind not in OWNERS:
        yield "runner_type is missing; it is one of instance_type, group_type and project_type."
        return
    needed = OWNERS[kind]
    for option in ("group_id", "project_id"):
        given = options.get(option) is not None
        if option == needed and not given:
            yield f"{option} is missing; a {kind} runner needs it."
        elif option == needed and options[option] < 1:
            yield f"{option} is the number GitLab shows, 1 or more."
        elif option != needed and given:
            yield f"{option} makes no sense for a {kind} runner; remove it or change runner_type."


def _attribute_problems(options: Mapping[str, Any]) -> Iterator[str]:
    tags = options.get("tag_list") or []
    if options.get("tag_list") == [] and options.get("run_untagged") is False:
        yield "tag_list is empty and run_untagged is false: such a runner takes no job, and GitLab refuses it."
    for tag in tags:
        if not tag.strip() or tag != tag.strip() or "," in tag or len(tag) > TAG_LENGTH:
            yield f'the tag "{tag[:40]}" is empty, has a comma or blanks at its ends, or is longer than {TAG_LENGTH}.'
        elif tag[0] in "\"'":
            # https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/ci/tags/parser.rb
            yield f"the tag {tag[:40]} begins with a quote, which GitLab may take off; write it without."
    if len(set(tags)) > TAG_COUNT:
        yield f"tag_list holds {len(set(tags))} tags; GitLab takes {TAG_COUNT}."
    timeout = options.get("maximum_timeout")
    if timeout is not None and timeout != 0 and timeout < SHORTEST_TIMEOUT:
        yield f"maximum_timeout is {timeout} s; GitLab takes {SHORTEST_TIMEOUT} or more, and 0 here means no limit."


def _text_problems(options: Mapping[str, Any], host: str) -> Iterator[str]:
    if len(_description(options, host)) > DESCRIPTION_LIMIT:
        yield f"description is longer than {DESCRIPTION_LIMIT} characters."
    note = options.get("maintenance_note") or ""
    if any(line.startswith(KEY_PREFIX) for line in note.splitlines()):
        yield f'a line of maintenance_note starts with "{KEY_PREFIX.strip()}"; that line is written by this collection.'
    elif len(with_key(note, _key(options, host))) > NOTE_LIMIT:
        room = NOTE_LIMIT - len(with_key("", _key(options, host))) - 1
        yield f"maintenance_note may have {room} characters here: GitLab takes {NOTE_LIMIT}, our key needs the rest."


def _key(options: Mapping[str, Any], host: str) -> str:
    return f"{options.get('fleet') or 'default'}/{host}/{options.get('name')}"


def _scope(options: Mapping[str, Any]) -> RunnerScope:
    kind = options["runner_type"]
    owner = OWNERS[kind]
    return RunnerScope(kind, options[owner] if owner else None)


def _description(options: Mapping[str, Any], host: str) -> str:
    return options.get("description") or f"{host} {options.get('name')}"

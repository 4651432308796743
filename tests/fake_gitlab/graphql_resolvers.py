# SPDX-License-Identifier: GPL-3.0-or-later
"""The resolvers of `schema.graphql`, by type and field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo

from fake_gitlab import keyset
from fake_gitlab.access import Caller
from fake_gitlab.clock import iso
from fake_gitlab.namespaces import Group, Project
from fake_gitlab.runners import Manager, Runner
from fake_gitlab.state import FakeGitLab
from fake_gitlab.status import manager_status, page_status


@dataclass(frozen=True)
class Context:
    gitlab: FakeGitLab
    caller: Caller | None
    """None for a request without a token, which sees only what is public."""


# Query


def _metadata(_: None, info: GraphQLResolveInfo) -> dict[str, str] | None:
    context: Context = info.context
    return {"version": context.gitlab.settings.version, "revision": "fake"} if context.caller else None


def _project(_: None, info: GraphQLResolveInfo, fullPath: str) -> Project | None:
    return _if_visible(info.context, _by_path(info.context.gitlab.projects.values(), fullPath))


def _group(_: None, info: GraphQLResolveInfo, fullPath: str) -> Group | None:
    return _if_visible(info.context, _by_path(info.context.gitlab.groups.values(), fullPath))


def _runners(_: None, info: GraphQLResolveInfo, **arguments: Any) -> keyset.Page[Runner]:
    context: Context = info.context
    if not (context.caller and context.caller.is_admin):
        raise _not_available()
    return _runner_page(context, context.gitlab.runners.values(), arguments)


def _runner(_: None, info: GraphQLResolveInfo, id: str) -> Runner | None:  # noqa: A002
    context: Context = info.context
    runner = context.gitlab.runners.get(_id_from_global_id(id, "Ci::Runner"))
    return runner if runner and context.caller and context.caller.may_read(runner) else None


def _by_path(owners: Iterable[Any], path: str) -> Any:
    return next((owner for owner in owners if owner.path == path), None)


def _if_visible(context: Context, owner: Any) -> Any:
    return owner if owner and (owner.public or (context.caller and context.caller.may_see(owner))) else None


def _id_from_global_id(global_id: str, kind: str) -> int:
    """Return 7 for `gid://gitlab/Ci::Runner/7`. Raises GraphQLError for an id of another type."""
    start, _, number = str(global_id).rpartition("/")
    if start != f"gid://gitlab/{kind}" or not number.isdigit():
        raise GraphQLError(f"'{global_id}' does not represent an instance of {kind}")
    return int(number)


# Projects and groups


def _runners_of_project(project: Project, info: GraphQLResolveInfo, **arguments: Any) -> keyset.Page[Runner]:
    """The project's runners, those of its ancestor groups, and the instance runners."""
    context: Context = info.context
    if not (context.caller and context.caller.may_list_runners_of(project)):
        return _not_permitted(context)
    return _runner_page(context, context.gitlab.available_runners(project), arguments)


def _runners_of_group(group: Group, info: GraphQLResolveInfo, membership: str, **arguments: Any) -> keyset.Page[Runner]:
    """The group's runners (DIRECT), and its descendants' (DESCENDANTS), and those it may use (ALL_AVAILABLE)."""
    context: Context = info.context
    if not (context.caller and context.caller.may_list_runners_of(group)):
        return _not_permitted(context)
    found = [runner for runner in context.gitlab.runners.values() if runner.group_id == group.id]
    if membership != "DIRECT":
        found = context.gitlab.descendant_runners(group)
    if membership == "ALL_AVAILABLE":
        found = list({runner.id: runner for runner in [*found, *context.gitlab.available_runners(group)]}.values())
    return _runner_page(context, found, arguments)


def _not_permitted(context: Context) -> keyset.Page[Runner]:
    if context.gitlab.has("error_for_runners_not_listed_in_graphql"):
        raise _not_available()
    return keyset.Page([], False, None)


def _not_available() -> GraphQLError:
    return GraphQLError(
        "The resource that you are attempting to access does not exist "
        "or you don't have permission to perform this action"
    )


# Connections


def _runner_page(context: Context, runners: Iterable[Runner], arguments: Mapping[str, Any]) -> keyset.Page[Runner]:
    """One page, the newest first unless `sort` says otherwise.

    Runners that the caller may not read are removed after paging, so that a page can be short.
    """
    now = context.gitlab.clock.now()
    filtered = [
        runner
        for runner in runners
        if arguments.get("type") in (None, runner.runner_type.upper())
        and arguments.get("status") in (None, page_status(runner, now).upper())
        and arguments.get("paused") in (None, runner.paused)
        and set(arguments.get("tagList") or ()) <= set(runner.tag_list)
        and (not arguments.get("search") or _matches_search(runner, arguments["search"]))
    ]
    page = _paginate(
        filtered,
        lambda runner: (runner.created_at.isoformat(), runner.id),
        arguments,
        descending=arguments.get("sort") != "CREATED_ASC",
    )
    readable = [runner for runner in page.nodes if context.caller and context.caller.may_read(runner)]
    return keyset.Page(readable, page.has_next_page, page.end_cursor)


def _matches_search(runner: Runner, search: str) -> bool:
    """Match the exact token, or every word of at least three letters in the description.

    A search without such a word matches only a description that equals it.
    """
    description, words = (runner.description or "").lower(), [word for word in search.lower().split() if len(word) > 2]
    return search == runner.token or (
        all(word in description for word in words) if words else description == search.lower()
    )


def _paginate(
    items: list[Any], key: Callable[[Any], keyset.Key], arguments: Mapping[str, Any], *, descending: bool = False
) -> keyset.Page[Any]:
    try:
        return keyset.paginate(items, key, arguments.get("first"), arguments.get("after"), descending=descending)
    except ValueError as error:
        raise GraphQLError(str(error)) from error


# Runners and managers


@dataclass(frozen=True)
class _ManagerNode:
    runner: Runner
    manager: Manager


def _managers(runner: Runner, info: GraphQLResolveInfo, **arguments: Any) -> keyset.Page[_ManagerNode]:
    system_id = arguments.get("systemId")
    found = [_ManagerNode(runner, item) for item in runner.managers.values() if system_id in (None, item.system_id)]
    return _paginate(found, lambda item: (item.manager.id,), arguments)


def _owner_project(runner: Runner, info: GraphQLResolveInfo) -> Project | None:
    owner = info.context.gitlab.owner(runner)
    return _if_visible(info.context, owner) if isinstance(owner, Project) else None


def _maintenance_note(runner: Runner, info: GraphQLResolveInfo) -> str | None:
    return runner.maintenance_note if _caller(info).may_read_maintenance_note(runner) else None


def _caller(info: GraphQLResolveInfo) -> Caller:
    """The caller; never None below a runner, because runners are resolved only for authenticated callers."""
    caller = info.context.caller
    assert isinstance(caller, Caller)
    return caller


def _job_execution_status(info: GraphQLResolveInfo, runner: Runner, system_id: str | None = None) -> str:
    return "ACTIVE" if info.context.gitlab.is_busy(runner, system_id) else "IDLE"


Resolver = Callable[..., Any]


def _field(view: Callable[[Any], Any]) -> Resolver:
    """A resolver that reads the parent object."""
    return lambda source, info, **_: view(source)


def _field_at_time(view: Callable[[Any, Any], Any]) -> Resolver:
    """A resolver that reads the parent object and the current time."""
    return lambda source, info, **_: view(source, info.context.gitlab.clock.now())


_NAMESPACE: dict[str, Resolver] = {
    "name": _field(lambda owner: owner.path.rpartition("/")[2]),
    "fullPath": _field(lambda owner: owner.path),
}
_CONNECTION: dict[str, Resolver] = {"nodes": _field(lambda page: page.nodes), "pageInfo": _field(lambda page: page)}
RESOLVERS: dict[str, dict[str, Resolver]] = {
    "Query": {
        "metadata": _metadata,
        "project": _project,
        "group": _group,
        "runner": _runner,
        "runners": _runners,
    },
    "Metadata": {
        "version": _field(lambda metadata: metadata["version"]),
        "revision": _field(lambda metadata: metadata["revision"]),
    },
    "Project": {
        "id": _field(lambda project: f"gid://gitlab/Project/{project.id}"),
        "runners": _runners_of_project,
        **_NAMESPACE,
    },
    "Group": {"id": _field(lambda group: f"gid://gitlab/Group/{group.id}"), "runners": _runners_of_group, **_NAMESPACE},
    "PageInfo": {
        "hasNextPage": _field(lambda page: page.has_next_page),
        "endCursor": _field(lambda page: page.end_cursor),
    },
    "CiRunnerConnection": _CONNECTION,
    "CiRunnerManagerConnection": _CONNECTION,
    "CiRunner": {
        "id": _field(lambda runner: f"gid://gitlab/Ci::Runner/{runner.id}"),
        "runnerType": _field(lambda runner: runner.runner_type.upper()),
        "description": _field(lambda runner: runner.description),
        "maintenanceNote": _maintenance_note,
        "paused": _field(lambda runner: runner.paused),
        "locked": _field(lambda runner: runner.locked),
        "runUntagged": _field(lambda runner: runner.run_untagged),
        "accessLevel": _field(lambda runner: runner.access_level.upper()),
        "maximumTimeout": _field(lambda runner: runner.maximum_timeout),
        "tagList": _field(lambda runner: runner.tag_list),
        "status": _field_at_time(lambda runner, now: page_status(runner, now).upper()),
        "jobExecutionStatus": lambda runner, info: _job_execution_status(info, runner),
        "createdAt": _field(lambda runner: iso(runner.created_at)),
        "contactedAt": _field(lambda runner: iso(runner.contacted_at)),
        "creationState": _field(lambda runner: "FINISHED" if runner.finished else "STARTED"),
        "managers": _managers,
        "ownerProject": _owner_project,
        "userPermissions": _field(lambda runner: runner),
    },
    "RunnerPermissions": {
        "readRunner": lambda runner, info: _caller(info).may_read(runner),
        "updateRunner": lambda runner, info: _caller(info).may_update(runner),
        "deleteRunner": lambda runner, info: _caller(info).may_delete(runner),
        "assignRunner": lambda runner, info: _caller(info).may_assign(runner),
    },
    "CiRunnerManager": {
        "id": _field(lambda node: f"gid://gitlab/Ci::RunnerManager/{node.manager.id}"),
        "systemId": _field(lambda node: node.manager.system_id),
        "version": _field(lambda node: node.manager.version),
        "revision": _field(lambda node: node.manager.revision),
        "platformName": _field(lambda node: node.manager.platform),
        "architectureName": _field(lambda node: node.manager.architecture),
        "ipAddress": _field(lambda node: node.manager.ip_address),
        "createdAt": _field(lambda node: iso(node.manager.created_at)),
        "contactedAt": _field(lambda node: iso(node.manager.contacted_at)),
        "status": _field_at_time(lambda node, now: manager_status(node.manager, now).upper()),
        "jobExecutionStatus": lambda node, info: _job_execution_status(info, node.runner, node.manager.system_id),
    },
}

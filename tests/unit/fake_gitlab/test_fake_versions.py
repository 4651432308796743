# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of differences, row by row, in several releases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fake_gitlab
import pytest
from fake_gitlab import Runner, versions
from fake_gitlab.settings import Settings
from fake_gitlab.versions import DIFFERENCES
from fake_gitlab_world import World

SOURCES = [path for path in Path(fake_gitlab.__file__).parent.rglob("*") if path.suffix in (".py", ".graphql")]


@pytest.fixture(params=["16.11.10", "17.11.7", "18.11.3", "19.1.0", Settings().version])
def release(request: pytest.FixtureRequest, world: World) -> str:
    world.gitlab.settings.version = request.param
    return str(request.param)


def since(release: str, *first: int) -> bool:
    """Whether `release` is `first` or later."""
    return tuple(int(part) for part in release.split(".")[:2]) >= first


def test_every_row_is_used_and_has_a_unique_name() -> None:
    names = [difference.name for difference in DIFFERENCES]
    assert len(set(names)) == len(names)
    text = "".join(path.read_text() for path in SOURCES if path.name != "versions.py")
    assert [name for name in names if f'"{name}"' not in text] == []


def test_every_row_is_complete_and_within_the_modelled_releases() -> None:
    for difference in DIFFERENCES:
        assert difference.older, difference.name
        assert difference.newer, difference.name
        assert difference.source, difference.name
        assert versions.OLDEST < difference.since <= versions.NEWEST, difference.name


def test_the_default_is_the_newest_release() -> None:
    assert versions.parse(Settings().version) == versions.NEWEST


def test_the_rows_are_ordered_by_release() -> None:
    assert list(DIFFERENCES) == sorted(DIFFERENCES, key=lambda difference: difference.since)


@pytest.mark.parametrize("version", ["15.11.0", "nonsense", ""])
def test_versions_that_are_not_modelled_are_rejected(version: str) -> None:
    with pytest.raises(ValueError, match="GitLab"):
        versions.parse(version)


def test_parsing_versions() -> None:
    assert versions.parse("18.11.2-ee") == versions.parse("18.11") == (18, 11)


def test_the_version_endpoints(world: World, release: str) -> None:
    assert world.call("GET", "/version", "owner").json()["version"] == release
    assert world.graphql("{ metadata { version } }", "owner").json()["data"]["metadata"]["version"] == release


def test_the_message_for_an_unknown_runner(world: World, release: str) -> None:
    words = "404 Runner Not Found" if since(release, 19, 2) else "404 Not found"
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/reset_authentication_token")):
        reply = world.call(method, f"/runners/99{path}", "non_member", **({"paused": True} if method == "PUT" else {}))
        assert (reply.status_code, reply.json()) == (404, {"message": words})
    reply = world.call("POST", "/projects/42/runners", "owner", runner_id=99)
    assert (reply.status_code, reply.json()) == (404, {"message": words})
    reply = world.call("DELETE", "/projects/42/runners/99", "owner")
    assert (reply.status_code, reply.json()) == (404, {"message": "404 Runner Not Found"})


@pytest.mark.parametrize("version", ["16.9.0", "16.10.0"])
def test_the_maintenance_note_in_rest(world: World, version: str) -> None:
    world.gitlab.settings.version = version
    runner = world.runner(maintenance_note="old")
    address = f"/runners/{runner.id}"
    there = version == "16.10.0"
    assert ("maintenance_note" in world.call("GET", address, "maintainer").json()) is there
    reply = world.call("PUT", address, "maintainer", maintenance_note="new", paused=True)
    assert ("maintenance_note" in reply.json()) is there
    assert runner.maintenance_note == ("new" if there else "old")
    assert world.call("PUT", address, "maintainer", maintenance_note="x").status_code == (200 if there else 400)


def test_the_managers_route(world: World, release: str) -> None:
    reply = world.call("GET", f"/runners/{world.runner().id}/managers", "maintainer")
    expected = (200, []) if since(release, 17, 5) else (404, {"error": "404 Not Found"})
    assert (reply.status_code, reply.json()) == expected


@pytest.mark.parametrize(
    ("version", "creates", "manages"),
    [("16.1.0", False, False), ("16.2.0", True, False), ("17.0.0", True, False), ("17.1.0", True, True)],
)
def test_the_releases_that_introduced_scopes(world: World, version: str, creates: bool, manages: bool) -> None:
    world.gitlab.settings.version = version
    world.set_scopes("maintainer", "create_runner", "manage_runner")
    assert world.create().status_code == (201 if creates else 403)
    assert world.call("GET", f"/runners/{world.runner().id}", "maintainer").status_code == (200 if manages else 403)


@pytest.mark.parametrize(
    ("version", "fields", "known"),
    [
        ("16.0.0", "id maintenanceNote userPermissions { updateRunner } managers { nodes { systemId } }", True),
        ("16.0.0", "ownerProject { id } runnerType paused tagList status contactedAt jobExecutionStatus", True),
        ("16.2.0", "managers { nodes { jobExecutionStatus } }", False),
        ("16.3.0", "managers { nodes { jobExecutionStatus } }", True),
        ("18.0.0", "creationState", False),
        ("18.1.0", "creationState", True),
    ],
)
def test_the_releases_that_introduced_graphql_fields(world: World, version: str, fields: str, known: bool) -> None:
    world.gitlab.settings.version = version
    world.runner()
    reply = world.graphql(
        f'{{ project(fullPath: "fleet/pis") {{ runners {{ nodes {{ {fields} }} }} }} }}', "owner"
    ).json()
    if known:
        assert "errors" not in reply
        assert len(reply["data"]["project"]["runners"]["nodes"]) == 1
    else:
        assert "data" not in reply
        assert reply["errors"][0]["extensions"]["code"] == "undefinedField"


@pytest.mark.parametrize(("version", "told"), [("16.3.0", False), ("16.4.0", True)])
def test_runners_that_may_not_be_listed_in_graphql(world: World, version: str, told: bool) -> None:
    world.gitlab.settings.version = version
    world.runner()
    reply = world.graphql('{ project(fullPath: "fleet/pis") { runners { nodes { id } } } }', "developer").json()
    assert reply["data"]["project"]["runners"] == (None if told else {"nodes": []})
    assert ("errors" in reply) is told


def test_who_reads_the_maintenance_note(world: World, release: str) -> None:
    runner = world.gitlab.create_runner("instance_type", maintenance_note="note")
    note = None if since(release, 18, 0) else "note"
    assert world.call("GET", f"/runners/{runner.id}", "non_member").json()["maintenance_note"] == note
    assert world.call("GET", f"/runners/{runner.id}", "root").json()["maintenance_note"] == "note"
    query = '{ project(fullPath: "fleet/pis") { runners { nodes { maintenanceNote } } } }'
    for user, shown in (("maintainer", note), ("root", "note")):
        [node] = world.graphql(query, user).json()["data"]["project"]["runners"]["nodes"]
        assert node["maintenanceNote"] == shown


def verified(world: World, runner: Runner) -> tuple[int, Any]:
    reply = world.call("POST", "/runners/verify", token=runner.token, system_id="s_1")
    return reply.status_code, reply.json()


def test_verifying_a_created_runner(world: World, release: str) -> None:
    runner = world.runner()
    assert verified(world, runner)[0] == 200
    manager = runner.managers["s_1"]
    if since(release, 18, 1):
        assert runner.contacted_at is not None
        assert manager.contacted_at == runner.contacted_at
        return
    assert (runner.contacted_at, manager.contacted_at, manager.ip_address) == (None, None, "127.0.0.1")
    assert world.call("GET", f"/runners/{runner.id}", "maintainer").json()["status"] == "never_contacted"
    query = '{ project(fullPath: "fleet/pis") { runners { nodes { managers { nodes { status contactedAt } } } } } }'
    [node] = world.graphql(query, "maintainer").json()["data"]["project"]["runners"]["nodes"]
    assert node["managers"]["nodes"] == [{"status": "NEVER_CONTACTED", "contactedAt": None}]
    world.call("POST", "/jobs/request", token=runner.token, system_id="s_1")
    assert manager.contacted_at == runner.contacted_at is not None


def test_verifying_a_registered_runner_is_always_a_contact(world: World, release: str) -> None:
    runner = world.gitlab.create_runner("project_type", owner=world.project, registered=True)
    assert verified(world, runner)[0] == 200
    assert runner.contacted_at is not None


@pytest.mark.parametrize(
    ("version", "answer"),
    [
        ("16.11.0", (200, None)),
        ("17.8.0", (422, {"message": "Runner is orphaned"})),
        ("17.11.0", (403, {"message": "403 Forbidden - Runner is orphaned"})),
        ("18.11.0", (200, None)),
        ("19.4.0", (200, None)),
    ],
)
@pytest.mark.parametrize("kind", ["project", "group"])
def test_verify_and_job_requests_of_an_orphaned_runner(
    world: World, version: str, answer: tuple[int, Any], kind: str
) -> None:
    world.gitlab.settings.version = version
    runner = world.runner() if kind == "project" else world.gitlab.create_runner("group_type", owner=world.group)
    (world.gitlab.projects if kind == "project" else world.gitlab.groups).clear()
    status, body = verified(world, runner)
    assert (status, None if status == 200 else body) == answer
    assert bool(runner.managers) is (status == 200)
    asked = world.call("POST", "/jobs/request", token=runner.token, system_id="s_1")
    assert asked.status_code == (204 if status == 200 else status)
    removed = world.call("DELETE", "/runners", token=runner.token)
    assert removed.status_code == (403 if status == 403 else 204)


@pytest.mark.parametrize(
    ("version", "by_token", "by_id"),
    [("17.8.0", 422, 500), ("17.11.0", 403, 500), ("18.11.0", 500, 500), ("19.0.0", 422, 422)],
)
def test_an_orphaned_runners_token_cannot_be_reset(world: World, version: str, by_token: int, by_id: int) -> None:
    world.gitlab.settings.version = version
    runner = world.runner()
    token = runner.token
    del world.gitlab.projects[42]
    replies = (
        (world.call("POST", "/runners/reset_authentication_token", token=token), by_token),
        (world.call("POST", f"/runners/{runner.id}/reset_authentication_token", "root"), by_id),
    )
    for reply, status in replies:
        assert reply.status_code == status
        if version == "19.0.0":
            assert reply.json()["error"].endswith("needs to be assigned to at least one project")
    assert runner.token == token


def test_an_orphaned_runner_cannot_be_updated(world: World) -> None:
    runner = world.runner()
    del world.gitlab.projects[42]
    reply = world.call("PUT", f"/runners/{runner.id}", "root", paused=True)
    assert (reply.status_code, list(reply.json()["message"])) == (400, ["runner"])
    assert not runner.paused


def test_runners_of_a_deleted_project(world: World, release: str) -> None:
    gitlab = world.gitlab
    second = gitlab.add_project("fleet/second", group=world.group)
    shared, lonely = world.runner(), world.runner()
    shared.project_ids.append(second.id)
    gitlab.delete_project(42)
    assert gitlab.owner(shared) is second
    assert verified(world, shared)[0] == 200
    query = '{ project(fullPath: "fleet/second") { runners { nodes { ownerProject { name } } } } }'
    [node] = world.graphql(query, "owner").json()["data"]["project"]["runners"]["nodes"]
    assert node["ownerProject"] == {"name": "second"}
    assert (lonely.id in gitlab.runners) is not since(release, 17, 9)
    if since(release, 17, 9):
        assert verified(world, lonely) == (403, {"message": "403 Forbidden"})


def test_runners_of_a_deleted_group(world: World) -> None:
    gitlab = world.gitlab
    sub = gitlab.add_group("fleet/sub", parent=world.group)
    deep = gitlab.add_project("fleet/sub/deep", group=sub)
    elsewhere = gitlab.add_project("elsewhere")
    gitlab.create_runner("group_type", owner=sub)
    gitlab.create_runner("project_type", owner=deep)
    kept = gitlab.create_runner("project_type", owner=elsewhere)
    gitlab.delete_group(world.group.id)
    assert (list(gitlab.groups), list(gitlab.projects), list(gitlab.runners)) == ([], [elsewhere.id], [kept.id])


def test_unassigning_a_runner_from_its_owner_project(world: World, release: str) -> None:
    second = world.gitlab.add_project("fleet/second", group=world.group)
    runner = world.runner()
    runner.project_ids.append(second.id)
    reply = world.call("DELETE", f"/projects/42/runners/{runner.id}", "maintainer")
    if since(release, 17, 10):
        assert reply.status_code == 403
        assert "owner project" in reply.json()["message"]
        return
    assert reply.status_code == 204
    last = world.call("DELETE", f"/projects/{second.id}/runners/{runner.id}", "maintainer")
    assert last.status_code == 403
    assert "Only one project" in last.json()["message"]


def test_contacted_at_after_the_last_manager_is_unregistered(world: World, release: str) -> None:
    runner = world.runner()
    world.gitlab.heartbeat(runner, "s_1", "10.0.0.1", {})
    world.call("DELETE", "/runners/managers", token=runner.token, system_id="s_1")
    assert (runner.contacted_at is None) is not since(release, 19, 2)


def test_job_execution_status_while_canceling(world: World, release: str) -> None:
    runner = world.runner()
    job = world.gitlab.add_job(world.project, ["true"])
    job.status, job.runner_id, job.system_id = "canceling", runner.id, "s_1"
    expected = "idle" if since(release, 19, 2) else "active"
    assert world.call("GET", f"/runners/{runner.id}", "maintainer").json()["job_execution_status"] == expected
    query = '{ project(fullPath: "fleet/pis") { runners { nodes { jobExecutionStatus } } } }'
    [node] = world.graphql(query, "owner").json()["data"]["project"]["runners"]["nodes"]
    assert node["jobExecutionStatus"] == "ACTIVE"


def test_the_projects_route(world: World, release: str) -> None:
    reply = world.call("GET", f"/runners/{world.runner().id}/projects", "maintainer")
    if since(release, 18, 4):
        assert [project["id"] for project in reply.json()] == [42]
    else:
        assert (reply.status_code, reply.json()) == (404, {"error": "404 Not Found"})

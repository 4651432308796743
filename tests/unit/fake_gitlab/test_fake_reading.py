# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists and details of runners: fields, pagination, filters, status."""

from __future__ import annotations

import pytest
from fake_gitlab import Role
from fake_gitlab_world import World

HOUR, DAY = 3600, 86400


def test_lists_have_fewer_fields_than_details_and_none_has_the_token(world: World) -> None:
    runner = world.runner(tag_list=["a"], maintenance_note="n", description="pi")
    [item] = world.call("GET", "/projects/42/runners", "maintainer").json()
    details = world.call("GET", f"/runners/{runner.id}", "maintainer").json()
    more = {"tag_list", "maintenance_note", "run_untagged", "locked", "maximum_timeout", "access_level"}
    more |= {"version", "revision", "platform", "architecture", "contacted_at", "projects", "groups"}
    assert set(details) - set(item) == more
    assert "token" not in details
    assert runner.token not in str(details)
    assert [project["id"] for project in details["projects"]] == [42]
    assert "projects" not in world.call("GET", f"/runners/{runner.id}", "maintainer", include_projects="false").json()


def test_project_and_group_lists_include_ancestors_and_instance_runners(world: World) -> None:
    gitlab = world.gitlab
    sub = gitlab.add_group("fleet/sub", parent=world.group)
    deep = gitlab.add_project("fleet/sub/deep", group=sub)
    instance = gitlab.create_runner("instance_type")
    group, subgroup = (gitlab.create_runner("group_type", owner=owner) for owner in (world.group, sub))
    own, other = gitlab.create_runner("project_type", owner=deep), world.runner()

    def ids(path: str, user: str) -> set[int]:
        return {item["id"] for item in world.call("GET", path, user).json()}

    assert ids(f"/projects/{deep.id}/runners", "maintainer") == {instance.id, group.id, subgroup.id, own.id}
    assert ids("/projects/fleet%2Fsub%2Fdeep/runners", "maintainer") == {instance.id, group.id, subgroup.id, own.id}
    assert ids(f"/groups/{sub.id}/runners", "owner") == {instance.id, group.id, subgroup.id}
    assert ids("/groups/7/runners", "owner") == {instance.id, group.id}
    assert ids("/runners", "maintainer") == {own.id, other.id}
    assert ids("/runners", "owner") == {group.id, subgroup.id, own.id, other.id}
    assert ids("/runners", "non_member") == set()
    assert ids("/runners/all", "root") == set(gitlab.runners)
    assert world.call("GET", "/runners/all", "owner").json() == {"message": "403 Forbidden"}


def test_lists_of_invisible_projects_and_groups(world: World) -> None:
    assert world.call("GET", "/projects/42/runners", "non_member").json() == {"message": "404 Project Not Found"}
    assert world.call("GET", "/groups/7/runners", "non_member").json() == {"message": "404 Group Not Found"}
    assert world.call("GET", "/projects/42/runners", "developer").status_code == 403
    assert world.call("GET", "/groups/7/runners", "maintainer").status_code == 403


def test_non_members_see_a_public_group_or_project_but_not_its_runners(world: World) -> None:
    world.group.public = world.project.public = True
    for path in ("/groups/7/runners", "/projects/42/runners"):
        reply = world.call("GET", path, "non_member")
        assert (reply.status_code, reply.json()) == (403, {"message": "403 Forbidden"})


def test_projects_of_a_runner(world: World) -> None:
    gitlab = world.gitlab
    maintainer = next(user for user in gitlab.users.values() if user.username == "maintainer")
    runner = world.runner()
    runner.project_ids += [
        gitlab.add_project("other/seen", members={maintainer: Role.GUEST}).id,
        gitlab.add_project("other/unseen").id,
    ]
    address = f"/runners/{runner.id}/projects"
    paths = [item["path_with_namespace"] for item in world.call("GET", address, "maintainer").json()]
    assert paths == ["fleet/pis", "other/seen"]
    assert len(world.call("GET", address, "root", per_page=2).json()) == 2
    assert world.call("GET", address, "non_member").status_code == 403
    world.set_scopes("maintainer", "manage_runner")
    assert world.call("GET", address, "maintainer").status_code == 200


def test_pages_of_twenty_with_headers(world: World) -> None:
    for _ in range(45):
        world.runner()
    first = world.call("GET", "/projects/42/runners", "maintainer")
    assert [item["id"] for item in first.json()] == list(range(1, 21))
    expected = {"X-Page": "1", "X-Per-Page": "20", "X-Next-Page": "2", "X-Prev-Page": "", "X-Total": "45"}
    assert {name: first.headers[name] for name in expected} == expected
    assert first.headers["X-Total-Pages"] == "3"
    assert set(first.links) == {"next", "first", "last"}
    second = world.session.get(
        first.links["next"]["url"], headers={"PRIVATE-TOKEN": world.tokens["maintainer"]}, timeout=5
    )
    assert second.json()[0]["id"] == 21
    last = world.call("GET", "/projects/42/runners", "maintainer", page=3)
    assert (len(last.json()), last.headers["X-Next-Page"]) == (5, "")
    assert world.call("GET", "/projects/42/runners", "maintainer", per_page=500).headers["X-Per-Page"] == "100"
    assert world.call("GET", "/projects/42/runners", "maintainer", per_page=0).status_code == 400
    assert world.call("GET", "/projects/42/runners", "maintainer", page="two").json() == {"error": "page is invalid"}


def test_filters(world: World) -> None:
    idle, busy = world.runner(tag_list=["a", "b"]), world.runner(tag_list=["a"], paused=True)
    world.gitlab.heartbeat(busy, "s_1", "10.0.0.1", {"version": "18.10.1"})

    def ids(**params: str) -> list[int]:
        return [item["id"] for item in world.call("GET", "/runners", "maintainer", **params).json()]

    assert ids(tag_list="a,b") == [idle.id]
    assert ids(paused="true") == ids(status="paused") == ids(status="online") == [busy.id]
    assert ids(status="never_contacted") == ids(paused="false") == [idle.id]
    assert ids(version_prefix="18.") == ids(version_prefix="18.10") == ids(version_prefix="18.10.1") == [busy.id]
    assert ids(version_prefix="1") == ids(version_prefix="18.1") == ids(type="group_type") == []


@pytest.mark.parametrize(
    "params", [{"type": "shared"}, {"status": "happy"}, {"version_prefix": "v18"}, {"paused": "so so"}, {"scope": "x"}]
)
def test_bad_filters_are_400(world: World, params: dict[str, str]) -> None:
    assert world.call("GET", "/runners", "maintainer", **params).status_code == 400


def test_status_over_time(world: World) -> None:
    runner = world.runner()

    def status() -> str:
        return str(world.call("GET", f"/runners/{runner.id}", "maintainer").json()["status"])

    assert status() == "never_contacted"
    world.gitlab.edit_runner(runner.id, paused=True)
    assert status() == "never_contacted"
    world.gitlab.heartbeat(runner, "s_1", "10.0.0.1", {})
    assert status() == "paused"
    world.gitlab.edit_runner(runner.id, paused=False)
    assert status() == "online"
    world.gitlab.clock.advance(2 * HOUR)
    assert status() == "offline"
    world.gitlab.clock.advance(7 * DAY)
    assert status() == "stale"


def test_status_filters_use_contacted_at_in_the_database(world: World) -> None:
    runner = world.runner()
    world.gitlab.heartbeat(runner, "s_1", "10.0.0.1", {})
    world.gitlab.clock.advance(30 * 60)
    world.gitlab.heartbeat(runner, "s_1", "10.0.0.1", {})
    world.gitlab.clock.advance(100 * 60)
    [item] = world.call("GET", "/runners", "maintainer", status="offline").json()
    assert item["status"] == "online"


def test_details_show_the_latest_manager(world: World) -> None:
    runner = world.runner()
    world.gitlab.heartbeat(runner, "s_1", "10.0.0.1", {"version": "18.0.0"})
    world.gitlab.clock.advance(HOUR)
    world.gitlab.heartbeat(runner, "s_2", "10.0.0.2", {"version": "19.0.0"})
    assert world.call("GET", f"/runners/{runner.id}", "maintainer").json()["version"] == "19.0.0"


def test_assigning_and_unassigning_project_runners(world: World) -> None:
    gitlab = world.gitlab
    maintainer = next(user for user in gitlab.users.values() if user.username == "maintainer")
    second = gitlab.add_project("other/second", members={maintainer: Role.MAINTAINER})
    runner, path = world.runner(), f"/projects/{second.id}/runners"
    assert world.call("POST", path, "maintainer", runner_id=runner.id).status_code == 201
    again = world.call("POST", path, "maintainer", runner_id=runner.id)
    assert again.status_code == 400
    assert "reason" in again.json()
    assert world.call("DELETE", f"/runners/{runner.id}", "maintainer").json() == {
        "message": "403 Forbidden - Runner associated with more than one project"
    }
    assert world.call("DELETE", f"/projects/42/runners/{runner.id}", "maintainer").status_code == 403
    assert world.call("DELETE", f"{path}/{runner.id}", "maintainer").status_code == 204
    assert world.call("DELETE", f"{path}/{runner.id}", "maintainer").json() == {"message": "404 Runner Not Found"}
    gitlab.edit_runner(runner.id, locked=True)
    assert world.call("POST", path, "maintainer", runner_id=runner.id).json() == {
        "message": "403 Forbidden - Runner is locked"
    }
    group = gitlab.create_runner("group_type", owner=world.group)
    assert world.call("POST", path, "maintainer", runner_id=group.id).json() == {
        "message": "403 Forbidden - Runner is a group runner"
    }
    shared = gitlab.create_runner("instance_type")
    assert world.call("POST", path, "root", runner_id=shared.id).status_code == 500

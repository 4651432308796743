# SPDX-License-Identifier: GPL-3.0-or-later
"""GraphQL queries and their errors."""

from __future__ import annotations

from typing import Any

import pytest
from fake_gitlab import Fault
from fake_gitlab_world import World

NODE = "id description maintenanceNote userPermissions { updateRunner }"
OF_PROJECT = f"""
query($path: ID!, $first: Int, $after: String) {{
  metadata {{ version }}
  project(fullPath: $path) {{
    runners(type: PROJECT_TYPE, first: $first, after: $after) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ {NODE} }}
    }}
  }}
}}"""
OF_GROUP = f"""
query($path: ID!, $membership: CiRunnerMembershipFilter) {{
  group(fullPath: $path) {{
    runners(type: GROUP_TYPE, membership: $membership) {{ nodes {{ {NODE} }} }}
  }}
}}"""
OF_INSTANCE = f"query {{ runners(type: INSTANCE_TYPE) {{ nodes {{ {NODE} }} }} }}"
NOT_AVAILABLE = (
    "The resource that you are attempting to access does not exist or you don't have permission to perform this action"
)


def ids(nodes: list[dict[str, Any]]) -> list[int]:
    return [int(node["id"].removeprefix("gid://gitlab/Ci::Runner/")) for node in nodes]


def pages(world: World, first: int) -> list[list[int]]:
    """All pages of the project's runners, as ids, by following the cursors."""
    found: list[list[int]] = []
    after = None
    while True:
        reply = world.graphql(OF_PROJECT, "maintainer", path="fleet/pis", first=first, after=after).json()
        runners = reply["data"]["project"]["runners"]
        found.append(ids(runners["nodes"]))
        if not runners["pageInfo"]["hasNextPage"]:
            return found
        after = runners["pageInfo"]["endCursor"]


def test_runners_of_a_project_with_maintenance_notes(world: World) -> None:
    runner = world.runner(description="pi", maintenance_note="key")
    reply = world.graphql(OF_PROJECT, "maintainer", path="fleet/pis")
    assert reply.status_code == 200
    data = reply.json()["data"]
    assert data["project"]["runners"]["pageInfo"].pop("endCursor")
    assert data == {
        "metadata": {"version": world.gitlab.settings.version},
        "project": {
            "runners": {
                "pageInfo": {"hasNextPage": False},
                "nodes": [
                    {
                        "id": f"gid://gitlab/Ci::Runner/{runner.id}",
                        "description": "pi",
                        "maintenanceNote": "key",
                        "userPermissions": {"updateRunner": True},
                    }
                ],
            }
        },
    }


def test_all_other_fields_of_a_runner(world: World) -> None:
    runner = world.runner(tag_list=["b", "a"], paused=True, maximum_timeout=600)
    world.gitlab.heartbeat(runner, "s_1", "10.0.0.1", {"version": "19.4.0", "platform": "linux"})
    query = """query($id: CiRunnerID!) { runner(id: $id) {
      runnerType paused locked runUntagged accessLevel maximumTimeout tagList status jobExecutionStatus
      createdAt contactedAt creationState ownerProject { id name fullPath }
      managers { pageInfo { hasNextPage } nodes {
        systemId contactedAt createdAt status version revision ipAddress
        platformName architectureName jobExecutionStatus
      } }
      userPermissions { readRunner updateRunner deleteRunner assignRunner }
    } }"""
    shown = world.graphql(query, "maintainer", id=f"gid://gitlab/Ci::Runner/{runner.id}").json()["data"]["runner"]
    rest = world.call("GET", f"/runners/{runner.id}", "maintainer").json()
    manager = shown["managers"]["nodes"][0]
    assert (shown["createdAt"], shown["contactedAt"]) == (rest["created_at"], rest["contacted_at"])
    assert manager.pop("contactedAt") == manager.pop("createdAt") == rest["contacted_at"]
    assert {name: value for name, value in shown.items() if not name.endswith("At")} == {
        "runnerType": "PROJECT_TYPE",
        "paused": True,
        "locked": False,
        "runUntagged": True,
        "accessLevel": "NOT_PROTECTED",
        "maximumTimeout": 600,
        "tagList": ["a", "b"],
        "status": "NEVER_CONTACTED",
        "jobExecutionStatus": "IDLE",
        "creationState": "STARTED",
        "ownerProject": {"id": "gid://gitlab/Project/42", "name": "pis", "fullPath": "fleet/pis"},
        "managers": {
            "pageInfo": {"hasNextPage": False},
            "nodes": [
                {
                    "systemId": "s_1",
                    "status": "ONLINE",
                    "version": "19.4.0",
                    "revision": None,
                    "ipAddress": "10.0.0.1",
                    "platformName": "linux",
                    "architectureName": None,
                    "jobExecutionStatus": "IDLE",
                }
            ],
        },
        "userPermissions": {"readRunner": True, "updateRunner": True, "deleteRunner": True, "assignRunner": True},
    }


def test_no_reply_holds_a_runners_token(world: World) -> None:
    runner = world.runner()
    reply = world.graphql('{ project(fullPath: "fleet/pis") { runners { nodes { id token } } } }', "maintainer")
    assert reply.json()["errors"][0]["extensions"]["code"] == "undefinedField"
    assert runner.token not in world.graphql(OF_PROJECT, "maintainer", path="fleet/pis").text


def test_filters_of_runners(world: World) -> None:
    own = world.runner(description="Pi One", tag_list=["a", "b"])
    paused = world.runner(description="pi two", paused=True, tag_list=["a"])
    group = world.gitlab.create_runner("group_type", owner=world.group)
    instance = world.gitlab.create_runner("instance_type")
    everything = {own.id, paused.id, group.id, instance.id}
    for arguments, expected in (
        ("", everything),
        ("(type: GROUP_TYPE)", {group.id}),
        ("(paused: true)", {paused.id}),
        ('(tagList: ["a", "b"])', {own.id}),
        ('(search: "pi")', set()),
        ('(search: "ONE")', {own.id}),
        ('(search: "one two")', set()),
        (f'(search: "{own.token}")', {own.id}),
        ("(status: ONLINE)", set()),
        ("(status: NEVER_CONTACTED)", everything),
    ):
        query = f'{{ project(fullPath: "fleet/pis") {{ runners{arguments} {{ nodes {{ id }} }} }} }}'
        found = ids(world.graphql(query, "owner").json()["data"]["project"]["runners"]["nodes"])
        assert set(found) == expected, arguments


def test_the_membership_filter_of_groups(world: World) -> None:
    gitlab = world.gitlab
    sub = gitlab.add_group("fleet/sub", parent=world.group)
    own = gitlab.create_runner("group_type", owner=world.group)
    below = gitlab.create_runner("group_type", owner=sub)
    world.runner()

    def found(path: str, **variables: str) -> set[int]:
        return set(
            ids(world.graphql(OF_GROUP, "owner", path=path, **variables).json()["data"]["group"]["runners"]["nodes"])
        )

    assert found("fleet", membership="DIRECT") == {own.id}
    assert found("fleet") == found("fleet", membership="DESCENDANTS") == {own.id, below.id}
    assert found("fleet/sub", membership="DIRECT") == {below.id}
    assert found("fleet/sub", membership="ALL_AVAILABLE") == {own.id, below.id}


def test_pages_of_at_most_a_hundred_newest_first(world: World) -> None:
    made = [world.runner().id for _ in range(230)]
    made.reverse()
    assert pages(world, 500) == [made[:100], made[100:200], made[200:]]
    assert pages(world, 100) == pages(world, 500)
    assert [len(page) for page in pages(world, 115)] == [100, 100, 30]


def test_cursors_are_stable_when_runners_are_created_and_deleted(world: World) -> None:
    first, second, third, fourth = (world.runner().id for _ in range(4))
    page = world.graphql(OF_PROJECT, "maintainer", path="fleet/pis", first=2).json()["data"]["project"]["runners"]
    assert ids(page["nodes"]) == [fourth, third]
    world.gitlab.delete_runner(third)
    world.gitlab.delete_runner(fourth)
    world.runner()
    after = page["pageInfo"]["endCursor"]
    rest = world.graphql(OF_PROJECT, "maintainer", path="fleet/pis", first=2, after=after).json()["data"]["project"]
    assert ids(rest["runners"]["nodes"]) == [second, first]
    assert rest["runners"]["pageInfo"]["hasNextPage"] is False


def test_runners_with_equal_created_at_are_neither_skipped_nor_repeated(world: World) -> None:
    world.gitlab.clock.stop()
    made = [world.runner().id for _ in range(5)]
    assert [id_ for page in pages(world, 2) for id_ in page] == made[::-1]


def test_an_invalid_cursor(world: World) -> None:
    reply = world.graphql(OF_PROJECT, "maintainer", path="fleet/pis", after="???")
    assert reply.status_code == 200
    assert reply.json()["errors"][0]["message"] == "Please provide a valid cursor"
    assert reply.json()["data"]["project"]["runners"] is None


def test_maintenance_notes_require_permission_to_update(world: World) -> None:
    world.gitlab.create_runner("instance_type", maintenance_note="secret", description="shared")
    query = f'{{ project(fullPath: "fleet/pis") {{ runners(type: INSTANCE_TYPE) {{ nodes {{ {NODE} }} }} }} }}'
    for user, note in (("maintainer", None), ("root", "secret")):
        [node] = world.graphql(query, user).json()["data"]["project"]["runners"]["nodes"]
        assert (node["maintenanceNote"], node["userPermissions"]["updateRunner"]) == (note, note is not None)
        assert node["description"] == "shared"


def test_invisible_projects_and_groups_are_null_without_an_error(world: World) -> None:
    for user in ("non_member", None):
        for query, path, name in ((OF_PROJECT, "fleet/pis", "project"), (OF_GROUP, "fleet", "group")):
            reply = world.graphql(query, user, path=path).json()
            assert reply["data"][name] is None
            assert "errors" not in reply
    assert world.graphql(OF_PROJECT, "root", path="fleet/none").json()["data"]["project"] is None
    assert world.graphql("{ metadata { version } }").json() == {"data": {"metadata": None}}


def test_runners_that_may_not_be_listed_are_null_with_an_error(world: World) -> None:
    world.runner()
    reply = world.graphql(OF_PROJECT, "developer", path="fleet/pis")
    assert reply.status_code == 200
    assert reply.json()["data"]["project"] == {"runners": None}
    [error] = reply.json()["errors"]
    assert (error["message"], error["path"]) == (NOT_AVAILABLE, ["project", "runners"])
    reply = world.graphql(OF_GROUP, "developer", path="fleet")
    assert reply.json()["errors"][0]["path"] == ["group", "runners"]


def test_instance_runners_require_an_administrator(world: World) -> None:
    runner = world.gitlab.create_runner("instance_type")
    world.runner()
    assert ids(world.graphql(OF_INSTANCE, "root").json()["data"]["runners"]["nodes"]) == [runner.id]
    reply = world.graphql(OF_INSTANCE, "owner").json()
    assert (reply["data"], reply["errors"][0]["message"]) == ({"runners": None}, NOT_AVAILABLE)


def test_admin_mode_is_bypassed(world: World) -> None:
    world.gitlab.settings.admin_mode = True
    assert "errors" not in world.graphql(OF_INSTANCE, "root").json()


@pytest.mark.parametrize("scopes", [["create_runner", "manage_runner"], ["read_user"]])
def test_a_token_with_insufficient_scope_is_invalid(world: World, scopes: list[str]) -> None:
    world.set_scopes("maintainer", *scopes)
    reply = world.graphql(OF_PROJECT, "maintainer", path="fleet/pis")
    assert (reply.status_code, reply.json()) == (401, {"errors": [{"message": "Invalid token"}]})


def test_unknown_expired_and_revoked_tokens_are_invalid(world: World) -> None:
    world.tokens["nobody"] = "glpat-unknown"
    world.gitlab.access_tokens[world.tokens["owner"]].revoked = True
    world.tokens["maintainer"] = world.gitlab.add_token(world.gitlab.add_user("late"), lifetime=60)
    world.gitlab.clock.advance(61)
    for user in ("nobody", "owner", "maintainer"):
        reply = world.graphql(OF_PROJECT, user, path="fleet/pis")
        assert (reply.status_code, reply.json()) == (401, {"errors": [{"message": "Invalid token"}]})


def test_read_api_is_sufficient(world: World) -> None:
    world.set_scopes("maintainer", "read_api")
    assert "errors" not in world.graphql(OF_PROJECT, "maintainer", path="fleet/pis").json()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "{",
        "{ project }",
        '{ project(fullPath: "a") { nonsense } }',
        "query($x: Int!) { runners(first: $x) { nodes { id } } }",
    ],
)
def test_an_invalid_query_is_a_200_with_errors_and_no_data(world: World, query: str) -> None:
    reply = world.graphql(query, "maintainer")
    assert reply.status_code == 200
    assert reply.json()["errors"]
    assert not reply.json().get("data")


def test_invalid_variables_and_oversized_queries_are_422(world: World) -> None:
    headers = {"PRIVATE-TOKEN": world.tokens["maintainer"]}
    for body in ({"query": "{ metadata { version } }", "variables": "no JSON"}, {"query": "#" * 10_001}):
        reply = world.session.post(f"{world.url}/api/graphql", headers=headers, json=body, timeout=5)
        assert reply.status_code == 422
        assert reply.json()["errors"]


def test_queries_are_in_the_journal_but_are_no_writes(world: World) -> None:
    world.graphql(OF_PROJECT, "maintainer", path="fleet/pis")
    [entry] = world.gitlab.journal.matching("POST", "/graphql")
    assert (entry.path, entry.family, entry.user, entry.status) == ("/graphql", "user", "maintainer", 200)
    assert entry.params == ("query", "variables")
    assert world.gitlab.journal.writes() == []


def test_faults_apply_to_graphql(world: World) -> None:
    world.gitlab.faults.add(Fault("POST", "/graphql", reply="graphql_complexity"))
    reply = world.graphql(OF_PROJECT, "maintainer", path="fleet/pis")
    assert reply.status_code == 200
    assert "exceeds max complexity" in reply.json()["errors"][0]["message"]
    assert "errors" not in world.graphql(OF_PROJECT, "maintainer", path="fleet/pis").json()


def test_graphql_behind_a_proxy_that_blocks_it(world: World) -> None:
    world.gitlab.settings.graphql = False
    reply = world.graphql(OF_PROJECT, "maintainer", path="fleet/pis")
    assert reply.status_code == 404
    assert reply.headers["Content-Type"].startswith("text/html")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which manager the role swarm asks, and what it does then. Hosts answer every module with what a test gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drawing import takes
from plays.cores import on_every_core
from plays.play import Play
from swarm_hosts import INACTIVE, Swarm, known, labels, manager, node, worker

pytestmark = [pytest.mark.slow, takes(60, "swarm")]


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


@pytest.fixture
def swarm(play: Play) -> Swarm:
    return Swarm(play)


THREE = {"swarm_managers": ["pi-01", "pi-02", "pi-03"], "swarm_workers": ["pi-04"]}


def test_no_second_swarm_while_a_manager_does_not_answer(swarm: Swarm) -> None:
    """One of three was flashed anew and is run with --limit."""
    swarm.answer("pi-02", INACTIVE)
    output = swarm.run({"pi-01": INACTIVE}, swarm_managers=["pi-01", "pi-02", "pi-03", "pi-04"], swarm_workers=[])
    assert "pi-01 is in no swarm, and whether there is one is not known because of pi-03 (it cannot" in output
    assert "pi-03 (it cannot be reached), pi-04 (it cannot be reached). Run again" in output
    assert "set swarm_new to true" in output
    assert swarm.asked == ["pi-02", "pi-03", "pi-04"], "and nothing is executed on pi-01"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (worker("n2"), "pi-02 (it is a worker of one)"),
        (
            manager("n2", "The swarm does not have a leader"),
            "pi-02 (it manages one without a majority of its managers)",
        ),
        ({**worker("n2"), "LocalNodeState": "pending"}, "pi-02 (its node is pending)"),
        ({**worker("n2"), "LocalNodeState": "locked"}, "pi-02 (its node is locked)"),
    ],
)
def test_no_second_swarm_beside_a_broken_one(swarm: Swarm, state: dict[str, Any], reason: str) -> None:
    swarm.answer("pi-02", state)
    output = swarm.run({"pi-01": INACTIVE}, swarm_managers=["pi-01", "pi-02"], swarm_workers=[])
    assert reason in output
    assert swarm.asked == ["pi-02"]


def test_an_installed_engine_that_does_not_answer_may_manage_a_swarm(swarm: Swarm) -> None:
    swarm.answer("pi-02", None, packages={"docker.io": "26"})
    output = swarm.run({"pi-01": INACTIVE}, swarm_managers=["pi-01", "pi-02"], swarm_workers=[])
    assert "because of pi-02 (Docker Engine does not answer at /x)." in output


def test_no_second_swarm_beside_workers_of_a_lost_manager(swarm: Swarm) -> None:
    output = swarm.run({"pi-01": INACTIVE, "pi-04": worker("n4")}, swarm_managers=["pi-01"], swarm_workers=["pi-04"])
    assert "pi-01 is in no swarm, but pi-04 is in one that no host in swarm_managers manages" in output
    assert "its managers are 10.0.0.1:2377" in output
    assert swarm.asked == []


@pytest.mark.parametrize(
    "variables", [{}, {"swarm_new": True}], ids=["all managers are outside of a swarm", "one is not reached"]
)
def test_a_new_swarm_is_initialised(swarm: Swarm, variables: dict[str, Any]) -> None:
    if not variables:
        swarm.answer("pi-02", INACTIVE)
        swarm.answer("pi-03", None)  # nothing is installed there yet
    swarm.answer("pi-01", manager("n1"), known(node("n1", "manager"), "pi-01"))
    output = swarm.run({"pi-01": INACTIVE}, **THREE, **variables)
    assert "Initialise the swarm" in output
    assert "failed=0" in output, output
    assert swarm.asked.count("pi-01") >= 2


def test_the_swarm_of_an_outside_manager_is_joined(swarm: Swarm) -> None:
    swarm.answer("pi-01", manager("n9"))
    swarm.answer("pi-03", manager("n3"), node("n3", "manager"), known(node("n9"), "pi-01"), ManagerStatus={})
    output = swarm.run({"pi-01": INACTIVE}, swarm_managers=["pi-02", "pi-03"], swarm_workers=["pi-01"])
    assert "TASK [pifleet.ci.swarm : Join the swarm as the role of the node]" in output
    assert "Initialise the swarm on the first manager] *" not in output or "skipping" in output
    assert "failed=0" in output, output
    assert swarm.asked[:3] == ["pi-02", "pi-03", "pi-03"], "pi-02 is not asked again"


def test_an_unchanged_run_asks_one_manager_once(swarm: Swarm) -> None:
    nodes = [known(node(f"n{number}", "manager"), f"pi-0{number}") for number in (1, 2, 3)]
    nodes += [known(node("n4"), "pi-04")]
    for host in ("pi-01", "pi-02", "pi-03"):
        swarm.answer(host, manager("n"), *nodes)
    hosts = {**{f"pi-0{number}": manager(f"n{number}") for number in (1, 2, 3)}, "pi-04": worker("n4")}
    output = swarm.run(hosts, **THREE)
    assert "failed=0" in output, output
    assert "changed=1" not in output
    assert swarm.asked == ["pi-01"]


def test_the_next_manager_is_asked(swarm: Swarm) -> None:
    swarm.answer("pi-02", INACTIVE, failed=True, msg="must run on swarm manager node")
    swarm.answer("pi-03", manager("n3"), node("n3", "manager"), known(node("n4"), "pi-04"))
    output = swarm.run({"pi-04": worker("n4")}, **THREE)
    assert "failed=0" in output, output
    assert swarm.asked == ["pi-01", "pi-02", "pi-03"]


def test_a_worker_goes_on_without_an_answer(swarm: Swarm) -> None:
    output = swarm.run({"pi-04": worker("n4")}, **THREE)
    assert "Role and labels of pi-04 have not been validated, because no manager of the swarm answers" in output
    assert "failed=0" in output, output


def test_a_node_of_another_swarm_is_refused(swarm: Swarm) -> None:
    swarm.answer("pi-01", manager("n1"), known(node("n1", "manager"), "pi-01"))
    hosts = {"pi-01": manager("n1"), "pi-04": worker("other")}
    output = swarm.run(hosts, swarm_managers=["pi-01"], swarm_workers=["pi-04"])
    assert "pi-04 is in another swarm: its node ID other is not among the nodes of pi-01" in output
    assert swarm.asked == ["pi-01"]


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({**worker("n4"), "LocalNodeState": "locked"}, "run `docker swarm unlock` on it"),
        ({**worker("n4"), "LocalNodeState": "error", "Error": "bad"}, "the swarm state of the engine is error (bad)"),
    ],
)
def test_what_is_advised(swarm: Swarm, state: dict[str, Any], sentence: str) -> None:
    swarm.answer("pi-01", manager("n1"), known(node("n1", "manager"), "pi-01"))
    assert sentence in swarm.run({"pi-04": state}, swarm_managers=["pi-01"], swarm_workers=["pi-04"])


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({**worker("n4"), "LocalNodeState": "pending"}, "none of its managers (10.0.0.1:2377) has answered for 4 s"),
        (manager("n4", "no leader"), "manages a swarm, but without a majority of its managers for 4 s (no leader)"),
    ],
)
def test_nothing_drastic_is_advised_before_it_was_waited_for(
    swarm: Swarm, state: dict[str, Any], sentence: str
) -> None:
    swarm.answer("pi-04", state)
    wait = json.dumps({"_swarm_settle_timeout": 4, "_swarm_settle_delay": 1})
    output = swarm.run({"pi-04": state}, "-e", wait, swarm_managers=["pi-01", "pi-04"], swarm_workers=[])
    assert sentence in output
    assert swarm.asked.count("pi-04") > 3


def test_labels_of_ours_leave_and_others_stay(swarm: Swarm) -> None:
    mine = node("n4")
    mine["Spec"]["Labels"] = {**labels("pi-04"), "pifleet-labels": "gitlab_runner,rack", "rack": "a", "theirs": "x"}
    swarm.answer("pi-01", manager("n1"), node("n1", "manager"), mine)
    output = swarm.run({"pi-04": worker("n4")}, "-vvv", swarm_managers=["pi-01"], swarm_workers=["pi-04"])
    assert "TASK [pifleet.ci.swarm : Configure the labels of the node]" in output
    assert swarm.asked == ["pi-01", "pi-01"]


def test_only_our_former_nodes_that_are_down_are_removed(swarm: Swarm) -> None:
    nodes = [
        node("n1", "manager"), known(node("n4"), "pi-04"),
        known(node("old", "manager", "down"), "pi-04"),
        known(node("alive"), "pi-04"), node("theirs", state="down"), known(node("off", state="down"), "pi-03"),
    ]  # fmt: skip
    swarm.answer("pi-01", manager("n1"), *nodes)
    output = swarm.run({"pi-04": worker("n4")}, swarm_managers=["pi-01"], swarm_workers=["pi-04"])
    assert "failed=0" in output, output
    assert "failed=0" in output, output
    assert "(item=old)" in output
    for other in ("alive", "theirs", "off", "n4"):
        assert f"(item={other})" not in output
    assert swarm.asked == ["pi-01"] * 3, "asked, demoted, removed"


def test_a_demotion_that_would_lose_the_majority_is_refused(swarm: Swarm) -> None:
    nodes = [node("n1", "manager"), node("n3", "manager", "down"), known(node("n4", "manager"), "pi-04")]
    swarm.answer("pi-01", manager("n1"), *nodes)
    output = swarm.run({"pi-04": manager("n4")}, swarm_managers=["pi-01", "pi-03"], swarm_workers=["pi-04"])
    assert "pi-04 remains a manager: without it 1 of 2 managers would be reachable" in output
    assert set(swarm.asked) == {"pi-01"}


def test_the_last_manager_is_not_demoted(swarm: Swarm) -> None:
    swarm.answer("pi-04", manager("n4"), known(node("n4", "manager"), "pi-04"))
    output = swarm.run({"pi-04": manager("n4")}, swarm_managers=["pi-01"], swarm_workers=["pi-04"])
    assert "pi-04 cannot be demoted, because no other manager of the swarm answers" in output


def test_dangers_are_reported(swarm: Swarm) -> None:
    nodes = [known(node("n1", "manager"), "pi-01"), known(node("n2", "manager", "down"), "pi-02")]
    swarm.answer("pi-01", manager("n1"), *nodes)
    hosts = {"pi-01": {**manager("n1"), "NodeAddr": "10.0.0.1"}}
    output = swarm.run(hosts, swarm_managers=["pi-01", "pi-02"], swarm_workers=[])
    assert "swarm_managers has 2 hosts, which bear the loss of no more managers than 1 do" in output
    assert "1 of 2 managers of the swarm were reachable" in output
    assert "failed=0" in output, output


@pytest.mark.parametrize(
    ("addresses", "advertised", "reported"),
    [(["10.0.0.7"], "", True), (["10.0.0.7", "10.0.0.1"], "", False), (["192.168.0.7"], "10.0.0.1", False)],
)
def test_a_changed_address_of_a_manager_is_reported(
    swarm: Swarm, addresses: list[str], advertised: str, reported: bool
) -> None:
    swarm.answer("pi-01", manager("n1"), known(node("n1", "manager"), "pi-01"))
    swarm.addresses = addresses
    lists = {"swarm_managers": ["pi-01"], "swarm_workers": [], "swarm_advertise_address": advertised}
    output = swarm.run({"pi-01": manager("n1")}, **lists)
    assert ("pi-01 is known to the swarm as 10.0.0.1, but its addresses are 10.0.0.7" in output) is reported
    assert "failed=0" in output, output


def test_names_outside_of_the_inventory_are_refused(swarm: Swarm) -> None:
    output = swarm.run({"pi-01": INACTIVE}, part="preflight", swarm_managers=["pi-1"], swarm_workers=[])
    assert "swarm_managers and swarm_workers take inventory names, and pi-1 is not in the inventory" in output
    assert swarm.asked == []


def test_a_node_is_removed_by_the_next_manager_that_stays(swarm: Swarm) -> None:
    swarm.answer("pi-04", worker("n4"))
    swarm.answer("pi-02", manager("n2"), node("n1", "manager", "down"), node("n2", "manager"), node("n4"))
    output = swarm.run({"pi-04": worker("n4")}, part="remove", **THREE)
    assert "failed=0" in output, output
    assert swarm.asked == ["pi-04", "pi-01", "pi-02", "pi-02", "pi-04", "pi-04", "pi-02"]


def test_a_node_does_not_leave_while_no_manager_answers(swarm: Swarm) -> None:
    swarm.answer("pi-04", worker("n4"))
    output = swarm.run({"pi-04": worker("n4")}, part="remove", **THREE)
    assert "pi-04 cannot leave the swarm, because none of its managers answers (pi-01: " in output
    assert swarm.asked == ["pi-04", "pi-01", "pi-02", "pi-03"]


def test_a_manager_does_not_leave_with_the_majority(swarm: Swarm) -> None:
    swarm.answer("pi-03", manager("n3"))
    nodes = [node("n1", "manager"), node("n2", "manager", "down"), node("n3", "manager")]
    swarm.answer("pi-01", manager("n1"), *nodes)
    output = swarm.run({"pi-03": manager("n3")}, part="remove", **THREE)
    assert "pi-03 remains a manager: without it 1 of 2 managers would be reachable" in output
    assert swarm.asked == ["pi-03", "pi-01"]


def test_an_interrupted_removal_is_completed(swarm: Swarm) -> None:
    """The host has left the swarm, and its node is still listed."""
    swarm.answer("pi-04", INACTIVE)
    swarm.answer("pi-01", manager("n1"), node("n1", "manager"), known(node("old", state="down"), "pi-04"))
    output = swarm.run({"pi-04": INACTIVE}, part="remove", **THREE)
    assert "failed=0" in output, output
    assert "(item=old)" in output
    assert swarm.asked == ["pi-04", "pi-01", "pi-01"]


def test_the_last_manager_ends_the_swarm(swarm: Swarm) -> None:
    swarm.answer("pi-01", manager("n1"))
    output = swarm.run({"pi-01": manager("n1")}, part="remove", swarm_managers=["pi-01"], swarm_workers=[])
    assert "failed=0" in output, output
    assert swarm.asked == ["pi-01", "pi-01"], "gathered, and left"


def test_a_host_outside_of_swarms_is_left_alone(swarm: Swarm) -> None:
    swarm.answer("pi-01", INACTIVE)
    output = swarm.run({"pi-01": INACTIVE}, part="remove", swarm_managers=[], swarm_workers=[])
    assert "failed=0" in output, output
    assert swarm.asked == ["pi-01"]

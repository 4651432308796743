# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program disk_space decides, from lists as the engine's API returns them."""

from __future__ import annotations

from typing import Any

import disk_space_plan as plan
import pytest
from hypothesis import given
from hypothesis import strategies as st

NOW = 2_000_000_000.0
OLD = NOW - 30 * plan.DAY
GB = 10**9
RUNNER = "gitlab/gitlab-runner:alpine-v19.3.0"
HELPER = "registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper"
MANAGED = {plan.MANAGED_LABEL: "true"}
CACHE = "runner-t1_abc-project-4-concurrent-0-cache-" + "3c3f060a0374fc8bc39395164f415a70"


def settings(**changed: Any) -> plan.Settings:
    values: dict[str, Any] = {
        "cleanup_below": "15%",
        "minimum_free": "5%",
        "unused_days": 14,
        "keep": (),
        "images": (RUNNER,),
        "deployment": "container",
    }
    return plan.Settings(**{**values, **changed})


def container(name: str, state: str = "exited", image: str = "i", volumes: Any = ()) -> dict[str, Any]:
    mounts = [{"Type": "bind", "Source": "/etc"}, *({"Type": "volume", "Name": volume} for volume in volumes)]
    return {"Id": name, "Names": [f"/{name}"], "ImageID": image, "State": state, "Mounts": mounts, "Labels": {}}


def of_job(name: str, job: str, state: str = "exited") -> dict[str, Any]:
    return {**container(name, state), "Labels": {**MANAGED, plan.JOB_LABEL: job}}


def image(name: str, *tags: str, digests: Any = None, **labels: str) -> dict[str, Any]:
    return {"Id": name, "RepoTags": list(tags), "RepoDigests": digests, "Labels": labels or None}


def volume(name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"Name": name, "Labels": labels}


def removed(
    containers: Any = (), images: Any = (), volumes: Any = (), low: bool = True, used: Any = None, **changed: Any
) -> list[str]:
    """The names of what is removed, where all of it was last in use at OLD unless `used` has another time for it."""
    objects = plan.Objects(list(containers), list(images), list(volumes))
    old = plan.known({}, objects, OLD)
    usage = {**old, **(used or {})}
    return [name for removal in plan.removals(objects, settings(**changed), usage, NOW, low) for name in removal.names]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("15%", 2_400_000_000), ("2GB", 2 * GB), ("1.5 GB", 1_500_000_000), ("500MB", GB // 2), ("1TB", 1000 * GB)],
)
def test_limits(text: str, expected: int) -> None:
    assert plan.limit(text, 16 * GB) == expected


@pytest.mark.parametrize("text", ["", "15", "2 gb", "-1GB", "1,5GB", "10%%", "2GiB"])
def test_another_limit_is_refused(text: str) -> None:
    with pytest.raises(plan.SettingsError, match="no percentage such as 15% and no size such as 2GB"):
        plan.limit(text, 16 * GB)


def test_limits_that_the_disk_can_never_keep() -> None:
    card = plan.Space("/var/lib/docker", 10 * GB, 16 * GB)
    plan.check([card], settings())
    with pytest.raises(plan.SettingsError, match="disk_space_cleanup_below is 20GB, but /var/lib/docker is on"):
        plan.check([card], settings(cleanup_below="20GB"))
    with pytest.raises(plan.SettingsError, match=r"disk_space_minimum_free \(3GB\) is not less than"):
        plan.check([card], settings(minimum_free="3GB"))


def test_a_drained_host_takes_jobs_again_with_the_space_from_which_nothing_is_removed() -> None:
    def takes(percent: int, drained: bool) -> bool:
        return plan.takes_jobs([plan.Space("/", percent * GB, 100 * GB)], settings(), drained)

    assert [takes(percent, drained=False) for percent in (4, 5, 14)] == [False, True, True]
    assert [takes(percent, drained=True) for percent in (4, 5, 14, 15)] == [False, False, False, True]


def test_the_fuller_of_two_file_systems_counts() -> None:
    disks = [plan.Space("/mnt/ssd", 90 * GB, 100 * GB), plan.Space("/var/lib/containerd", 1, 16 * GB)]
    assert not plan.takes_jobs(disks, settings(), drained=False)
    assert [space.path for space in plan.below(disks, "15%")] == ["/var/lib/containerd"]


@given(st.lists(st.integers(0, 100), min_size=1), st.booleans())
def test_free_space_that_stays_the_same_changes_nothing(percents: list[int], drained: bool) -> None:
    """From any history of free space: after one decision, a second look at the same space decides the same."""
    for percent in percents:
        disks = [plan.Space("/", percent * GB, 100 * GB)]
        drained = not plan.takes_jobs(disks, settings(), drained)
        assert drained == (not plan.takes_jobs(disks, settings(), drained))
        assert drained or percent >= 5
        assert not drained or percent < 15


def test_what_a_container_uses_stays() -> None:
    others = [container("web", image="i1", volumes=["a" * 64]), container("db", "running", image="i2")]
    assert removed(others, [image("i1", "web:1"), image("i2", "db:1")], [volume("a" * 64)]) == []


def test_only_containers_of_gitlab_runner_go() -> None:
    containers = [of_job("build", "1"), container("web"), container(CACHE), of_job("made", "2", "created")]
    assert removed(containers) == ["build", "made", CACHE]
    assert removed([{**of_job("b", "1"), "State": state} for state in ("running", "paused", "restarting")]) == []


def test_an_ended_container_of_a_running_job_stays() -> None:
    assert removed([of_job("helper", "7"), of_job("build", "7", "running"), of_job("other", "8")]) == ["other"]


def test_images_go_by_their_names_so_that_none_is_forced() -> None:
    images = [image("i1", "debian:12", "debian:bookworm"), image("i2", "<none>:<none>", digests=["<none>@<none>"])]
    assert removed(images=images) == ["debian:12", "debian:bookworm", "i2"]


@pytest.mark.parametrize(
    ("own", "present"),
    [
        pytest.param(RUNNER, image("r", RUNNER), id="the tag"),
        pytest.param("docker.io/gitlab/gitlab-runner:alpine", image("r", RUNNER), id="Docker Hub's name"),
        pytest.param(
            "reg.example.com:5000/ci/runner:1",
            image("r", digests=["reg.example.com:5000/ci/runner@sha256:1"]),
            id="pulled by digest for a service",
        ),
        pytest.param(RUNNER, image("r", "gitlab-runner:previous"), id="kept by the playbook upgrade"),
    ],
)
def test_the_image_of_gitlab_runner_stays_while_it_is_stopped(own: str, present: dict[str, Any]) -> None:
    objects = plan.Objects([], [present, image("other", "debian:12")], [])
    found = plan.removals(objects, settings(images=(own,)), plan.known({}, objects, OLD), NOW, low=True)
    assert [removal.names for removal in found] == [("debian:12",)]


def test_the_helper_image_that_was_used_last_stays() -> None:
    images = [image("h1", f"{HELPER}:arm64-v19.2.0"), image("h2", f"{HELPER}:arm64-v19.3.0")]
    assert removed(images=images, used={"image:h2": OLD + plan.DAY}) == [f"{HELPER}:arm64-v19.2.0"]
    assert removed(images=images) == [], "nobody knows which is in use"


def test_what_somebody_keeps_stays() -> None:
    labels = {plan.KEEP_LABEL: ""}
    images = [
        image("i1", "a:1", **labels),
        image("i2", "reg:5000/ci/base:1"),
        image("i3", "tools:2"),
        image("i4", "b:1"),
    ]
    volumes = [volume(CACHE), volume("b" * 64, labels), volume("c" * 64)]
    kept = ("reg:5000/ci/*", "tools", "runner-*")
    assert removed((), images, volumes, keep=kept) == ["b:1", "c" * 64]
    assert removed([{**container(CACHE), "Labels": labels}]) == []


@pytest.mark.parametrize(
    "kept", ["docker.io/library/postgres", "docker.io/library/postgres:1*", "docker.io/postgres", "docker.io/me/*"]
)
def test_an_image_of_docker_hub_may_be_kept_by_its_long_name(kept: str) -> None:
    names = ["postgres:16", "me/tools:1", "registry.example.com/postgres:16", "localhost:5000/me/tools:1"]
    gone = "me/tools:1" if "postgres" in kept else "postgres:16"
    found = removed(images=[image(f"i{number}", name) for number, name in enumerate(names)], keep=(kept,))
    assert sorted(found) == sorted([gone, *names[2:]])


def test_named_volumes_of_others_stay() -> None:
    volumes = [
        volume("database"),
        volume("a" * 64),
        volume("nameless", {plan.ANONYMOUS_LABEL: ""}),
        volume(CACHE),
        volume(f"{CACHE}-protected"),
        volume("builds", MANAGED),
    ]
    assert removed(volumes=volumes) == sorted(each["Name"] for each in volumes[1:])


def test_the_order_is_that_of_use_and_containers_are_first() -> None:
    used = {"image:i1": OLD + 2, "image:i2": OLD, "volume:" + CACHE: OLD + 1, "container:build": OLD + 3}
    images = [image("i1", "a:1"), image("i2", "b:1")]
    assert removed([of_job("build", "1")], images, [volume(CACHE)], used=used) == ["build", "b:1", CACHE, "a:1"]


def test_with_space_only_what_is_unused_for_long_goes() -> None:
    images = [image("i1", "a:1"), image("i2", "b:1"), image("i3", "c:1")]
    used = {"image:i2": NOW - 13 * plan.DAY, "image:i3": NOW - plan.RECENT + 1}
    assert removed(images=images, used=used, low=False) == ["a:1"]
    assert removed(images=images, used=used, low=False, unused_days=0) == []
    assert removed(images=images, used=used, low=True, unused_days=0) == ["a:1", "b:1"], "c:1 may be about to be used"


def test_what_is_seen_for_the_first_time_counts_as_used_now() -> None:
    objects = plan.Objects([container("c")], [image("i", "a:1")], [volume("v")])
    usage = plan.known({"image:gone": OLD}, objects, NOW)
    assert set(usage) == {"container:c", "image:i", "volume:v"}
    assert min(usage.values()) >= NOW


def test_use_is_seen_in_running_containers_and_in_events() -> None:
    containers = [container("c1", "running", "i1", ["v1"]), container("c2", "exited", "i2", ["v2"])]
    events = [
        {"Type": "container", "Action": "create", "Actor": {"ID": "c3", "Attributes": {"image": "debian:12"}}},
        {"Type": "container", "Action": "start", "Actor": {"ID": "c4", "Attributes": {"image": "sha256:4"}}},
        {"Type": "volume", "Action": "mount", "Actor": {"ID": "v3"}},
    ]
    used = plan.in_use(containers, events)
    assert {"container:c1", "image:i1", "volume:v1", "volume:v3", "container:c3"} <= used
    assert not {"image:i2", "volume:v2"} & used
    usage = plan.seen({"image:i3": OLD, "image:sha256:4": OLD, "image:i5": OLD}, used, NOW)
    images = [image("i3", "debian:12"), image("sha256:4", "x:1"), image("i5", "y:1")]
    now = plan.known(usage, plan.Objects([], images, []), NOW)
    assert now["image:i3"] >= NOW
    assert now["image:sha256:4"] >= NOW
    assert now["image:i5"] == OLD


@pytest.mark.parametrize(
    ("asked_for", "shown"),
    [
        ("debian", "debian:latest"),
        ("docker.io/library/debian:12", "debian:12"),
        ("reg:5000/ci/base", "reg:5000/ci/base:latest"),
        ("reg:5000/ci/base@sha256:1", "reg:5000/ci/base@sha256:1"),
    ],
)
def test_an_image_is_recognised_by_what_was_asked_for(asked_for: str, shown: str) -> None:
    event = {"Type": "container", "Actor": {"ID": "c", "Attributes": {"image": asked_for}}}
    usage = plan.seen({}, plan.in_use([], [event]), OLD)
    image_of_tag = image("i", *([] if "@" in shown else [shown]), digests=[shown] if "@" in shown else None)
    assert plan.known(usage, plan.Objects([], [image_of_tag, image("j", "other:1")], []), NOW)["image:i"] < NOW


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_a_clock_that_is_set_back_makes_nothing_newer_than_now(first: float, second: float) -> None:
    usage = plan.seen(plan.seen({}, ["x", "y"], first), ["y"], second)
    assert second <= usage["y"] < second + plan.HOUR + 1
    assert usage["x"] <= usage["y"]


names = st.sampled_from(["a", "b", "c"])
containers = st.lists(
    st.builds(
        lambda name, state, picture, job: {**of_job(name, job, state), "ImageID": picture},
        names, st.sampled_from(["running", "exited", "created", "paused"]), names, names,
    ),
    unique_by=lambda each: each["Id"],
)  # fmt: skip


@given(containers, st.sets(names), st.dictionaries(names, st.floats(0, 2 * NOW)), st.booleans())
def test_nothing_in_use_ever_goes(
    present: list[dict[str, Any]], images: set[str], times: dict[str, float], low: bool
) -> None:
    objects = plan.Objects(present, [image(name, f"{name}:1") for name in images], [])
    usage = {**plan.known({}, objects, OLD), **{f"image:{name}": time for name, time in times.items()}}
    found = plan.removals(objects, settings(), usage, NOW, low)
    running = {each["Id"] for each in present if each["State"] in ("running", "paused")}
    assert running.isdisjoint(name for removal in found for name in removal.names)
    for each in present:
        assert f"{each['ImageID']}:1" not in [name for removal in found for name in removal.names]
    assert all(removal.last_used <= NOW - plan.RECENT for removal in found)

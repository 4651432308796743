# SPDX-License-Identifier: GPL-3.0-or-later
"""What is removed, and whether the host takes jobs: decisions from what the engine and the file systems say.

Runs on the host itself: standard library only, Python 3.9 and later. Nothing here reads or changes anything.
Objects of the engine are those of its API's lists. Times are seconds since 1970, sizes are bytes.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

HOUR = 3600
DAY = 24 * HOUR
RECENT = HOUR  # what was in use since then stays also when space is low: a job may be about to use it again

KEEP_LABEL = "ci.pifleet.keep"
MANAGED_LABEL = "com.gitlab.gitlab-runner.managed"
JOB_LABEL = "com.gitlab.gitlab-runner.job.id"
ANONYMOUS_LABEL = "com.docker.volume.anonymous"
# GitLab Runner before 15.2 has no label on its cache volumes, and before 10.0 it kept them in containers.
CACHE_NAME = re.compile(r"runner-.+-cache-[0-9a-f]{32}(-.+)?")
ANONYMOUS_NAME = re.compile(r"[0-9a-f]{64}")
HELPER = "gitlab-runner-helper"

UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
LIMIT = re.compile(r"(\d+(?:\.\d+)?) ?(%|MB|GB|TB)")

Usage = dict[str, float]
"""When an object, such as ``volume:cache``, was last seen in use, or was seen for the first time."""


class SettingsError(ValueError):
    """The settings do not fit the host; one sentence says why and what to do."""


@dataclass(frozen=True)
class Space:
    """A file system."""

    path: str
    free: int
    size: int
    engines: bool = True
    """Whether the engine keeps its objects there, so that removing them helps."""

    def __str__(self) -> str:
        return f"{self.free / 10**9:.1f} GB of {self.size / 10**9:.1f} GB are free on {self.path}"


@dataclass(frozen=True)
class Settings:
    """The settings of the role, see its README."""

    cleanup_below: str
    minimum_free: str
    unused_days: int
    keep: tuple[str, ...]
    images: tuple[str, ...]
    """References of GitLab Runner's own images, which no container may be using while the runner is stopped."""
    deployment: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Objects:
    """The lists of the engine's API."""

    containers: list[dict[str, Any]]
    images: list[dict[str, Any]]
    volumes: list[dict[str, Any]]


@dataclass(frozen=True)
class Removal:
    """An object to remove, by its names: an image by each of its references, for the last one removes it."""

    kind: str
    names: tuple[str, ...]
    last_used: float


def limit(text: str, size: int) -> int:
    """The bytes of ``5%`` or ``2GB`` on a file system of that size. Raises SettingsError for another text."""
    found = LIMIT.fullmatch(text)
    if not found:
        raise SettingsError(f"{text} is no percentage such as 15% and no size such as 2GB.")
    number, unit = float(found[1]), found[2]
    return int(size * number / 100 if unit == "%" else number * UNITS[unit])


def check(spaces: Iterable[Space], settings: Settings) -> None:
    """Raises SettingsError for limits that a file system can never keep."""
    for space in spaces:
        cleanup, minimum = limit(settings.cleanup_below, space.size), limit(settings.minimum_free, space.size)
        if cleanup >= space.size:
            raise SettingsError(
                f"disk_space_cleanup_below is {settings.cleanup_below}, but {space.path} is on a file system of "
                f"{space.size / 10**9:.1f} GB: lower it."
            )
        if minimum >= cleanup:
            raise SettingsError(
                f"disk_space_minimum_free ({settings.minimum_free}) is not less than disk_space_cleanup_below "
                f"({settings.cleanup_below}) on {space.path}: GitLab Runner would stop and start all the time."
            )


def below(spaces: Iterable[Space], text: str) -> list[Space]:
    """The file systems with less free space than the limit."""
    return [space for space in spaces if space.free < limit(text, space.size)]


def is_low(spaces: Iterable[Space], settings: Settings) -> bool:
    """Whether what is unused should go, for space is low where that gives some."""
    return any(space.engines for space in below(spaces, settings.cleanup_below))


def takes_jobs(spaces: Iterable[Space], settings: Settings, drained: bool) -> bool:
    """Whether the host takes jobs. Once drained it does again only with the space from which on nothing is removed."""
    return not below(spaces, settings.cleanup_below if drained else settings.minimum_free)


def in_use(containers: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]]) -> set[str]:
    """What running containers use, and what any container has used in the events: keys of Usage."""
    keys: set[str] = set()
    for container in containers:
        if container["State"] in ("running", "paused", "restarting"):
            keys |= {f"container:{container['Id']}", f"image:{container['ImageID']}"}
            keys |= {f"volume:{name}" for name in _volumes_of(container)}
    for event in events:
        actor = event.get("Actor") or {}
        if event.get("Type") == "volume":
            keys.add(f"volume:{actor.get('ID')}")
        elif event.get("Type") == "container":
            keys |= {
                f"container:{actor.get('ID')}",
                f"reference:{_full((actor.get('Attributes') or {}).get('image', ''))}",
            }
    return keys


def seen(usage: Mapping[str, float], used: Iterable[str], now: float) -> Usage:
    """``usage`` with what was used until now.

    Times are rounded up to hours, so that the file is not written every few minutes, and a clock that has been set back
    makes nothing younger than new.
    """
    hour = -(-now // HOUR) * HOUR
    return {**{key: min(time, hour) for key, time in usage.items()}, **dict.fromkeys(used, hour)}


def known(usage: Mapping[str, float], objects: Objects, now: float) -> Usage:
    """The usage of what exists: what is seen for the first time counts as used now, what is gone is left out."""
    new = seen({}, ("now",), now)["now"]
    keys = [f"container:{container['Id']}" for container in objects.containers]
    keys += [f"volume:{volume['Name']}" for volume in objects.volumes]
    found = {key: usage.get(key, new) for key in keys}
    for image in objects.images:
        key = f"image:{image['Id']}"
        names = (key, *(f"reference:{name}" for name in (image["Id"], *map(_full, _references(image)))))
        times = [usage[name] for name in names if name in usage]
        found[key] = max(times, default=new)
    return found


def removals(objects: Objects, settings: Settings, usage: Usage, now: float, low: bool) -> list[Removal]:
    """What may be removed, in this order: containers, then images and volumes, those first that are unused for longest.

    usage: of ``known``. low: whether space is low, so that whatever is not in use may go; else it is what was not
    in use for ``unused_days``.
    """
    if not low and settings.unused_days == 0:
        return []
    before = now - (RECENT if low else settings.unused_days * DAY)
    containers = _unused_containers(objects, settings, usage)
    others = _unused_images(objects, settings, usage) + _unused_volumes(objects, settings, usage)
    return [
        removal
        for group in (containers, others)
        for removal in sorted(group, key=lambda removal: (removal.last_used, removal.kind, removal.names))
        if removal.last_used <= before
    ]


def _unused_containers(objects: Objects, settings: Settings, usage: Usage) -> list[Removal]:
    """Containers of GitLab Runner that have ended, and whose job runs in no other container."""
    running = {_job(container) for container in objects.containers if container["State"] in ("running", "paused")}
    return [
        Removal("container", (container["Id"],), usage[f"container:{container['Id']}"])
        for container in objects.containers
        if container["State"] in ("created", "exited", "dead")
        and (_job(container) is None or _job(container) not in running)
        and _of_runner(container, [name.lstrip("/") for name in container["Names"] or []])
        and not _kept(container, container["Names"] or [], settings)
    ]


def _unused_images(objects: Objects, settings: Settings, usage: Usage) -> list[Removal]:
    """Images without a container, except GitLab Runner's own and the helper image that it used last."""
    used = {container["ImageID"] for container in objects.containers}
    # The repository, not the tag: upgrade.yml keeps the previous image under a tag of its own until the new one runs.
    own = {repository(name) for name in settings.images} | {"gitlab-runner"}
    helpers = [image for image in objects.images if any(_is_helper(name) for name in _references(image))]
    newest = max((usage[f"image:{image['Id']}"] for image in helpers), default=0)
    kept = {image["Id"] for image in helpers if usage[f"image:{image['Id']}"] == newest}
    return [
        Removal("image", tuple(_tags(image)) or (image["Id"],), usage[f"image:{image['Id']}"])
        for image in objects.images
        if image["Id"] not in used | kept
        and own.isdisjoint(repository(name) for name in _references(image))
        and not _kept(image, [name for reference in _references(image) for name in _names(reference)], settings)
    ]


def _unused_volumes(objects: Objects, settings: Settings, usage: Usage) -> list[Removal]:
    """Volumes without a container that GitLab Runner made or that have no name. A named one is somebody's data."""
    used = {name for container in objects.containers for name in _volumes_of(container)}
    return [
        Removal("volume", (volume["Name"],), usage[f"volume:{volume['Name']}"])
        for volume in objects.volumes
        if volume["Name"] not in used
        and (_of_runner(volume, [volume["Name"]]) or _anonymous(volume))
        and not _kept(volume, [volume["Name"]], settings)
    ]


def repository(reference: str) -> str:
    """The repository of an image's reference, as the engine shows it: without tag, digest and Docker Hub's name."""
    name = reference.split("@")[0]
    head, slash, last = name.rpartition("/")
    name = head + slash + last.split(":")[0]
    for prefix in ("docker.io/library/", "docker.io/"):
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def _full(reference: str) -> str:
    """A reference with its tag and without Docker Hub's name, for the engine shows what was asked for."""
    name = repository(reference)
    tagged = "@" in reference or ":" in reference.rpartition("/")[2]
    return name + (reference[reference.rindex(name) + len(name) :] if tagged else ":latest")


def _names(reference: str) -> list[str]:
    """The reference, and what an image of Docker Hub is called as well: the engine leaves its registry out."""
    host, slash, _rest = reference.partition("/")
    if slash and (not {".", ":"}.isdisjoint(host) or host == "localhost"):
        return [reference]
    prefixes = ["docker.io/"] if slash else ["docker.io/", "docker.io/library/"]
    return [reference, *(prefix + name for prefix in prefixes for name in (reference, repository(reference)))]


def _references(image: Mapping[str, Any]) -> list[str]:
    return _tags(image) + [name for name in image.get("RepoDigests") or [] if not name.startswith("<none>")]


def _tags(image: Mapping[str, Any]) -> list[str]:
    return [name for name in image.get("RepoTags") or [] if not name.startswith("<none>")]


def _labels(thing: Mapping[str, Any]) -> Mapping[str, str]:
    return thing.get("Labels") or {}


def _kept(thing: Mapping[str, Any], names: Iterable[str], settings: Settings) -> bool:
    return KEEP_LABEL in _labels(thing) or any(
        fnmatch.fnmatchcase(form, pattern)
        for name in names
        for form in (name.lstrip("/"), repository(name).lstrip("/"))
        for pattern in settings.keep
    )


def _of_runner(thing: Mapping[str, Any], names: Iterable[str]) -> bool:
    return _labels(thing).get(MANAGED_LABEL) == "true" or any(CACHE_NAME.fullmatch(name) for name in names)


def _anonymous(volume: Mapping[str, Any]) -> bool:
    return ANONYMOUS_LABEL in _labels(volume) or ANONYMOUS_NAME.fullmatch(volume["Name"]) is not None


def _is_helper(reference: str) -> bool:
    return repository(reference).rpartition("/")[2] == HELPER


def _job(container: Mapping[str, Any]) -> str | None:
    return _labels(container).get(JOB_LABEL)


def _volumes_of(container: Mapping[str, Any]) -> list[str]:
    return [mount["Name"] for mount in container.get("Mounts") or [] if mount.get("Name")]

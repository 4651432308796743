# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook prepare_card on images and directories, from an inventory."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.pifleet.ci.plugins.action.prepare_card import ARGUMENT_SPEC, WIFI_SPEC
from ansible_collections.pifleet.ci.plugins.modules import prepare_card
from card_fixtures import PASSWORD, public_key
from card_image import BOOKWORM, TRIXIE, make_image, read_image
from plays.cores import on_every_core, on_one_core
from plays.play import ROOT, Play
from plays.processes import ProcessWatcher

pytestmark = pytest.mark.slow

WIFI_PASSWORD = "hush-hush-of-the-wifi"
VARIABLES: dict[str, Any] = {
    "ansible_user": "ci",
    "ansible_become_password": PASSWORD,
    "card_authorized_keys": [public_key()],
    "card_wifi": {"ssid": "Workshop", "password": WIFI_PASSWORD, "country": "GB", "hidden": True},
    "card_timezone": "Europe/London",
}


class CardPlay(Play):
    """The playbook, with an inventory of two hosts."""

    def prepare(self, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        values = {"card_target": "card.img", **VARIABLES, **variables}
        inventory = self.directory / "pis.yml"
        hosts: dict[str, Any] = {"pi-01.example.com": {}, "pi-02.example.com": {}}
        inventory.write_text(json.dumps({"pis": {"hosts": hosts, "vars": values}}))
        limit = [] if "--limit" in arguments else ["--limit", "pi-01.example.com"]
        return subprocess.run(
            [self.program, "pifleet.ci.prepare_card", "-i", str(inventory), *limit, *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=self.environment,
            check=False,
            cwd=self.directory,
        )


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> CardPlay:
    return CardPlay(request.param, tmp_path)


@pytest.fixture
def image(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    return lambda files: make_image(tmp_path / "card.img", files)


def recap(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.split("PLAY RECAP")[-1] if "PLAY RECAP" in done.stdout else done.stdout + done.stderr


def test_trixie(play: CardPlay, image: Callable[[dict[str, str]], Path]) -> None:
    path = image(TRIXIE)
    first = play.prepare()
    assert "changed=1" in recap(first), first.stdout + first.stderr
    card = read_image(path)
    user_data: Any = yaml.safe_load(card["user-data"])
    assert user_data["hostname"] == "pi-01"
    assert user_data["user"]["name"] == "ci"
    assert user_data["user"]["hashed_passwd"].startswith("$6$")
    network: Any = yaml.safe_load(card["network-config"])
    assert network["network"]["wifis"]["wlan0"]["access-points"]["Workshop"]["hidden"] is True
    assert "cfg80211.ieee80211_regdom=GB" in card["cmdline.txt"].split()
    assert {name: card[name] for name in ("config.txt", "issue.txt")} == {
        name: TRIXIE[name] for name in ("config.txt", "issue.txt")
    }
    before = path.read_bytes()
    assert "changed=0" in recap(play.prepare())
    assert path.read_bytes() == before


def test_bookworm_in_a_directory(play: CardPlay, tmp_path: Path) -> None:
    boot = tmp_path / "boot"
    boot.mkdir()
    for name, text in BOOKWORM.items():
        (boot / name).write_text(text)
    assert "changed=1" in recap(play.prepare(card_target=str(boot)))
    document = tomllib.loads((boot / "custom.toml").read_text())
    assert document["user"]["name"] == "ci"
    assert document["locale"] == {"timezone": "Europe/London"}
    assert stat.S_IMODE((boot / "custom.toml").stat().st_mode) == 0o600
    states = {name: (boot / name).stat().st_mtime_ns for name in os.listdir(boot)}
    assert "changed=0" in recap(play.prepare(card_target=str(boot)))
    assert {name: (boot / name).stat().st_mtime_ns for name in os.listdir(boot)} == states


def test_check_mode_shows_and_writes_nothing(play: CardPlay, image: Callable[[dict[str, str]], Path]) -> None:
    path = image(TRIXIE)
    before = path.read_bytes()
    done = play.prepare("--check", "--diff")
    assert "changed=1" in recap(done), done.stdout + done.stderr
    assert "+hostname: pi-01" in done.stdout
    assert path.read_bytes() == before


@on_one_core
def test_no_secret_is_shown_or_in_arguments(play: CardPlay, image: Callable[[dict[str, str]], Path]) -> None:
    path = image(TRIXIE)
    with ProcessWatcher() as watcher:
        done = play.prepare("--diff", "-vvvvv")
    assert "changed=1" in recap(done), done.stdout + done.stderr
    card = read_image(path)
    user_data: Any = yaml.safe_load(card["user-data"])
    network: Any = yaml.safe_load(card["network-config"])
    password_hash = user_data["user"]["hashed_passwd"]
    psk = network["network"]["wifis"]["wlan0"]["access-points"]["Workshop"]["password"]
    assert "prepare_card" in watcher.command_lines
    for secret in (PASSWORD, WIFI_PASSWORD, password_hash, psk):
        assert secret not in done.stdout + done.stderr
        assert secret not in watcher.command_lines
    assert WIFI_PASSWORD not in str(card)


@on_one_core
def test_bad_settings_are_named_before_anything_is_written(
    play: CardPlay, image: Callable[[dict[str, str]], Path]
) -> None:
    path = image(TRIXIE)
    before = path.read_bytes()
    done = play.prepare(
        card_hostname="pi_01",
        card_wifi={**VARIABLES["card_wifi"], "country": "UK"},
        card_timezone="Berlin",
        card_authorized_keys=["ssh-ed25519 AAAA"],
    )
    assert done.returncode
    for option in ("card_hostname", "card_wifi.country", "card_timezone", "card_authorized_keys"):
        assert f"pi-01.example.com: {option}" in done.stdout + done.stderr
    assert path.read_bytes() == before


@on_one_core
def test_two_hosts_and_one_card(play: CardPlay, image: Callable[[dict[str, str]], Path]) -> None:
    path = image(TRIXIE)
    before = path.read_bytes()
    done = play.prepare("--limit", "pis")
    assert done.returncode
    assert "card.img is the card of pi-02.example.com as well" in " ".join(done.stdout.split())
    assert path.read_bytes() == before


@on_one_core
def test_two_hosts_and_two_cards(play: CardPlay, tmp_path: Path) -> None:
    for name in ("pi-01", "pi-02"):
        make_image(tmp_path / f"{name}.img", TRIXIE)
    each = json.dumps({"card_target": "{{ inventory_hostname_short }}.img"})
    done = play.prepare("--limit", "pis", "-e", each)
    assert recap(done).count("changed=1") == 2, done.stdout + done.stderr
    assert "hostname: pi-02\n" in read_image(tmp_path / "pi-02.img")["user-data"]


@on_one_core
def test_somebody_elses_user_data(play: CardPlay, image: Callable[[dict[str, str]], Path]) -> None:
    path = image({**TRIXIE, "user-data": "#cloud-config\nhostname: mine\n"})
    done = play.prepare()
    assert "has a user-data that somebody else wrote" in done.stdout + done.stderr
    assert "hostname: mine" in read_image(path)["user-data"]
    assert "changed=1" in recap(play.prepare(card_replace=True))
    assert "hostname: pi-01" in read_image(path)["user-data"]


@pytest.fixture
def device(image: Callable[[dict[str, str]], Path]) -> Iterator[tuple[str, Path]]:
    """A block device with the image behind it."""
    path = image(TRIXIE)
    made = subprocess.run(["losetup", "--find", "--show", str(path)], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"this machine gives no block device: {made.stderr.strip()}")
    yield made.stdout.strip(), path
    subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


@on_one_core
def test_a_device_is_written_to_only_when_it_is_named_twice(play: CardPlay, device: tuple[str, Path]) -> None:
    name, path = device
    before = path.read_bytes()
    refused = play.prepare(card_target=name)
    assert f"pi-01.example.com: {name} is not removable" in refused.stdout + refused.stderr
    asked = play.prepare(card_target=name, card_fixed_device=True)  # nobody answers
    assert f"{name} is a device and not confirmed" in " ".join((asked.stdout + asked.stderr).split())
    mistaken = play.prepare(card_target=name, card_fixed_device=True, card_confirmed_device="/dev/sdz")
    assert mistaken.returncode
    assert path.read_bytes() == before
    options = {"card_target": name, "card_fixed_device": True, "card_confirmed_device": name}
    assert "changed=1" in recap(play.prepare(**options))
    assert "hostname: pi-01\n" in read_image(path)["user-data"]
    assert "changed=0" in recap(play.prepare(**options))


@on_one_core
def test_no_card(play: CardPlay) -> None:
    done = play.prepare()
    assert f"pi-01.example.com: {play.directory}/card.img cannot be looked at" in done.stdout + done.stderr


@on_one_core
def test_the_password_comes_from_a_vault(play: CardPlay, image: Callable[[dict[str, str]], Path]) -> None:
    path = image(TRIXIE)
    (play.directory / "key").write_text("key\n")
    vault = play.directory / "group_vars" / "pis" / "vault.yml"
    vault.parent.mkdir(parents=True)
    vault.write_text(json.dumps({"vaulted": PASSWORD}))
    tool = Path(play.program).with_name("ansible-vault")
    command = [str(tool), "encrypt", "--vault-password-file", "key", str(vault)]
    subprocess.run(command, check=True, capture_output=True, env=play.environment, cwd=play.directory)
    arguments = ["--vault-password-file", "key"]
    done = play.prepare(*arguments, card_password="{{ vaulted }}", ansible_become_password="")
    assert "changed=1" in recap(done), done.stdout + done.stderr
    assert "$6$" in read_image(path)["user-data"]
    assert "changed=0" in recap(play.prepare(*arguments, card_password="{{ vaulted }}"))


def test_the_documentation_of_the_module_agrees_with_the_action() -> None:
    documented = yaml.safe_load(prepare_card.DOCUMENTATION)["options"]
    for found, specified in ((documented, ARGUMENT_SPEC), (documented["wifi"]["suboptions"], WIFI_SPEC)):
        assert set(found) == set(specified)
        for name, spec in specified.items():
            for aspect in ("type", "default", "choices", "required", "elements"):
                assert found[name].get(aspect) == spec.get(aspect), (name, aspect)


def test_the_role_gives_the_action_every_option() -> None:
    task = yaml.safe_load((ROOT / "roles" / "card" / "tasks" / "write.yml").read_text())[0]
    assert set(task["pifleet.ci.prepare_card"]) == set(ARGUMENT_SPEC)


def test_the_example_of_the_documentation_names_the_options_of_the_role() -> None:
    options = yaml.safe_load((ROOT / "roles" / "card" / "defaults" / "main.yml").read_text())
    text = (ROOT / "docs" / "first-boot.md").read_text()
    named = {word.strip("`:,") for word in text.split() if word.strip("`:,").startswith("card_")}
    assert {name for name in named if name.isidentifier()} <= set(options) | {"card_target"}

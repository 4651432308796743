# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation of a module says of its options."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import yaml

_FRAGMENTS = "ansible_collections.pifleet.ci.plugins.doc_fragments"
ASPECTS = ("type", "default", "choices", "elements", "required")


def documented_options(stub: ModuleType) -> dict[str, dict[str, Any]]:
    """The options of a module with those of its fragments; what it says itself goes before what they say."""
    document = yaml.safe_load(stub.DOCUMENTATION)
    options: dict[str, dict[str, Any]] = document.get("options", {})
    for name in document["extends_documentation_fragment"]:
        file, _, part = name.removeprefix("pifleet.ci.").partition(".")
        fragment = import_module(f"{_FRAGMENTS}.{file}").ModuleDocFragment
        shared = yaml.safe_load(getattr(fragment, part.upper() or "DOCUMENTATION")).get("options", {})
        for option, description in shared.items():
            options[option] = {**description, **options.get(option, {})}
    return options


def documented_aspects(stub: ModuleType) -> dict[str, dict[str, Any]]:
    """What an argument spec says as well, of each option."""
    return {
        name: {aspect: option[aspect] for aspect in ASPECTS if aspect in option}
        for name, option in documented_options(stub).items()
    }

# SPDX-License-Identifier: GPL-3.0-or-later
"""What GitLab's tokens look like: https://docs.gitlab.com/security/tokens/#token-prefixes"""

from __future__ import annotations

import re

CREATED_RUNNER_PREFIX = "glrt-"
"""In the authentication token of a runner that was created by API token or in the web page. One that a registration
token brought has glrtr- or no prefix; an instance may put a prefix of its own in front."""

TOKEN = re.compile(r"\b(?:gl[a-z]{1,8}-|GR1348941)[\w.=-]{4,}")


def mask_tokens(text: str) -> str:
    """The text without anything that looks like a token."""
    return TOKEN.sub("(token)", text)

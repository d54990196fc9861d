"""Show how to send to the sandbox, and how to choose its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audience_sync.sandbox.config import ADDRESS
from audience_sync.sandbox.keys import CONNECT_PAIRS, RUDDERSTACK_KEY, SEGMENT_KEY, WEBHOOK_SECRET
from audience_sync.sandbox.pages.visit import Page, Visit


def setup_values() -> Mapping[str, Any]:
    """Return the sandbox's own keys, and the address to which `init --sandbox` sends."""
    return {
        "usual": ADDRESS,
        "segment_key": SEGMENT_KEY,
        "rudderstack_key": RUDDERSTACK_KEY,
        "pairs": CONNECT_PAIRS,
        "webhook_secret": WEBHOOK_SECRET,
    }


def setup_page(visit: Visit) -> Page:
    return Page("sandbox_setup.html", {"title": "Set up", "here": "setup", **setup_values()})

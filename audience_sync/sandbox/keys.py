"""Name the sandbox's own keys, and find the destination that a key belongs to.

They are the same in every installation, so that a config made by ``init --sandbox`` works at once. They protect
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

from audience_sync.sandbox.values import Service

SEGMENT_KEY = "sandbox-segment"
RUDDERSTACK_KEY = "sandbox-rudderstack"
WEBHOOK_SECRET = "whsec_c2FuZGJveC1zYW5kYm94LXNhbmRib3gt"


class Pair(NamedTuple):
    """The keys of one of Connect's environments: private for servers, public for browsers and phones."""

    environment: str
    private: str
    public: str


CONNECT_PAIRS = (
    Pair("development", "5a4db0c5de7e000000000000000000a1", "5a4db0c5de7e000000000000000000b2"),
    Pair("production", "5a4db0c5b40d000000000000000000a1", "5a4db0c5b40d000000000000000000b2"),
)
_HEX = re.compile(r"(?:pub-)?[0-9a-fA-F]{32}", re.ASCII)
#: Headers whose value may be a secret, by their names.
_SECRET = re.compile(r"auth|cookie|key|password|secret|signature|token")
MASK = "••••"


class ConnectKey(NamedTuple):
    """A key of Connect: its environment (empty for a key that is not the sandbox's), and whether it is public.

    ``is_public`` is None if the key does not show it.
    """

    environment: str
    is_public: bool | None


def connect_key(key: str) -> ConnectKey | None:
    """Return what a key is; None if it has not the form of one: 32 hex digits, after ``pub-`` or without."""
    if not _HEX.fullmatch(key):
        return None
    is_marked = key.startswith("pub-")
    digits = key.removeprefix("pub-").lower()
    for pair in CONNECT_PAIRS:
        if digits == pair.public or (digits == pair.private and not is_marked):
            return ConnectKey(pair.environment, digits == pair.public)
    return ConnectKey("", is_marked or None)


def destination_name(service: Service, key: str) -> str:
    """Return the name under which calls with a write key are shown; a key of others appears as a short digest."""
    if key in ("", SEGMENT_KEY, RUDDERSTACK_KEY):
        return service.value
    return f"{service.value} ({key_digest(key)})"


def key_digest(key: str) -> str:
    """Return ``key 3f9a``: distinguishes keys, and does not give one away."""
    return f"key {blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=2).hexdigest()}"


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with a mask in place of what may be a secret."""
    return {
        name: MASK if _SECRET.search(name) and "idempotency" not in name else value for name, value in headers.items()
    }

"""Which values may appear in no output? What came from the environment or files, and passwords in URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

#: Shorter values (a port, `true`) would mask half of every output. Characters.
SHORTEST = 4
MASK = "***"

_PASSWORD = re.compile(r"://[^:/@\s]*:([^/\s]+)@")
_PARAMETER = re.compile(r"[?&](?:password|passwd|pwd|token|secret)=([^&#\s]+)", re.IGNORECASE)


def secrets_of(values: Iterable[str]) -> tuple[str, ...]:
    """The values and the passwords in them, the longest first, so that none is masked in part only."""
    found = {text for value in values for text in (value, *passwords(value))}
    return tuple(sorted((text for text in found if len(text) >= SHORTEST), key=lambda text: (-len(text), text)))


def passwords(url: str) -> list[str]:
    """The passwords in a URL, as written and as meant."""
    written = _PASSWORD.findall(url) + _PARAMETER.findall(url)
    return [*written, *map(unquote, written)]


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets; these come the longest first."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text

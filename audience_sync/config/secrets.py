"""Which values may appear in no output? What came from the environment or files, and passwords in URLs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

#: Shorter values (a port, `true`) would mask half of every output. Characters.
SHORTEST = 4
MASK = "***"

#: A password may hold a slash or an @: each reading of such a URL is masked.
_PASSWORDS = (re.compile(r"://[^:/@\s]*:([^/\s]+)@"), re.compile(r"://[^:/@\s]*:([^@\s]+)@"))
#: Of services that are called over HTTP, the user or the path may be the key.
_KEYS = (re.compile(r"https?://([^:/@\s]+)@"), re.compile(r"https?://[^/?#\s]+/([^?#\s]{8,})"))
_PARAMETER = re.compile(
    r"[?&][^=&#\s]*(?:pass|pwd|token|secret|key|auth|credential)[^=&#\s]*=([^&#\s]+)", re.IGNORECASE
)


def secrets_of(values: Iterable[str]) -> tuple[str, ...]:
    """The values and the passwords in them, in every spelling that an answer may repeat them in.

    The longest come first, so that none is masked in part only.
    """
    plain = {text for value in values for text in (value, *value.splitlines(), *passwords(value), *keys(value))}
    found = {spelling for text in plain if len(text) >= SHORTEST for spelling in _spellings(text)}
    return tuple(sorted((text for text in found if len(text) >= SHORTEST), key=lambda text: (-len(text), text)))


def _spellings(text: str) -> Iterator[str]:
    """As written, in JSON, in a URL, and in a header of basic authentication (as the user, without a password)."""
    yield text
    yield from (json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    yield from (quote(text, safe=""), quote(text), quote_plus(text))
    yield from (base64.b64encode(each.encode(errors="replace")).decode() for each in (text, f"{text}:"))


def passwords(url: str) -> list[str]:
    """The passwords in a URL, as written and as meant."""
    written = [found for pattern in (*_PASSWORDS, _PARAMETER) for found in pattern.findall(url)]
    return [*written, *map(unquote, written), *map(unquote_plus, written)]


def keys(url: str) -> list[str]:
    """What may be a key in the URL of a service."""
    return [found for pattern in _KEYS for found in pattern.findall(url)]


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets; these come the longest first."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text

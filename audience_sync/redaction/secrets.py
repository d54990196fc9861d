"""Collect secrets (variables, files, keys and passwords in URLs), and mask them in texts."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from urllib.parse import unquote, unquote_plus

from audience_sync.redaction.finder import MASK, Redactor

__all__ = ["MASK", "MIN_LENGTH", "api_keys_in_url", "collect_secrets", "mask_secrets", "passwords_in_url"]

#: Characters. Shorter values (a port, `true`) would mask half of every output, and no service has such keys.
MIN_LENGTH = 4

#: A password may contain a slash or an @: every interpretation of such a URL is masked.
_PASSWORDS = (re.compile(r"://[^:/@\s]*:([^/\s]+)@"), re.compile(r"://[^:/@\s]*:([^@\s]+)@"))
#: For a service with HTTP, the user, the path or the query may be the key.
_KEYS = (
    re.compile(r"https?://([^:/@\s]+)@"),
    re.compile(r"https?://[^/?#\s]+/([^?#\s]{8,})"),
    re.compile(r"https?://[^?#\s]+\?([^#\s]{8,})"),
)
#: Characters; a part of a path or query of this length may be a key by itself.
_MIN_KEY_LENGTH = 8
#: Words of addresses that are not keys. Masked as one, they would be missing from requests and messages.
_WORDS = frozenset(
    {"audience", "audiences", "callback", "customers", "identify", "incoming", "messages", "services", "triggers"}
    | {"webhooks", "workflows"}
)
_PARAMETER = re.compile(
    r"[?&][^=&#\s]*(?:pass|pwd|token|secret|key|auth|credential|sig)[^=&#\s]*=([^&#\s]+)", re.IGNORECASE
)
#: Spark Connect's options stand between semicolons: ``sc://host/;token=...;use_ssl=true``.
_SPARK_PARAMETER = re.compile(r";[^=;\s]*(?:pass|token|secret|key|auth)[^=;\s]*=([^;\s]+)", re.IGNORECASE)
_HEADER = re.compile(r"(?:bearer|basic|token|apikey|digest) +(\S.*)|whsec_(.+)", re.IGNORECASE)


def collect_secrets(values: Iterable[str]) -> tuple[str, ...]:
    """The values, and the keys and passwords within them, the longest first."""
    plain = {part for value in values for text in (value, *value.splitlines()) for part in _secrets_in(text.strip())}
    found = {text for text in plain if len(text) >= MIN_LENGTH}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def _secrets_in(text: str) -> Iterator[str]:
    yield from (text, *passwords_in_url(text), *api_keys_in_url(text))
    if header := _HEADER.fullmatch(text):
        yield (key := (header[1] or header[2]).strip())
        with suppress(ValueError):  # other than a header for basic authentication
            user_and_password = b64decode(key, validate=True).decode()
            if user_and_password.isprintable():
                yield from (user_and_password, user_and_password.partition(":")[2])


def passwords_in_url(url: str) -> list[str]:
    """The passwords in a URL, as written and decoded."""
    return _with_decoded(
        [found for pattern in (*_PASSWORDS, _PARAMETER, _SPARK_PARAMETER) for found in pattern.findall(url)]
    )


def api_keys_in_url(url: str) -> list[str]:
    """Possible keys in the URL of a service: user, path, query, and each part that is long enough."""
    found = [found for pattern in _KEYS for found in pattern.findall(url)]
    return _with_decoded([*found, *(part for each in found for part in re.split("[/&=]", each) if _may_be_key(part))])


def _may_be_key(part: str) -> bool:
    return len(part) >= _MIN_KEY_LENGTH and part.lower() not in _WORDS


def _with_decoded(written: list[str]) -> list[str]:
    return [*written, *map(unquote, written), *map(unquote_plus, written)]


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text with all spellings of the secrets masked."""
    return _redactor(tuple(secrets)).redact(text)


@lru_cache(maxsize=64)
def _redactor(secrets: tuple[str, ...]) -> Redactor:
    return Redactor(secret for secret in secrets if len(secret) >= MIN_LENGTH)

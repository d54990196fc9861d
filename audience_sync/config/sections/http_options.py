"""Validate addresses and keys in the options of services that are reached over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, SecretStr


def base_url(text: str) -> str:
    """Return the address without a slash at its end. Errors never repeat it: it may contain a password."""
    url = _checked_url(text, "the key has an option of its own")
    if url.query or url.fragment or any(letter.isspace() for letter in text):
        raise ValueError("must be an address only, without spaces, `?` and `#`")
    return text.rstrip("/")


def whole_url(text: str) -> str:
    """Return the unchanged address, with path and query. Errors never repeat it: it may contain a secret."""
    url = _checked_url(text, "put them into a header, `Authorization: Basic ...`")
    if url.fragment or any(not "!" <= letter <= "~" for letter in text):
        raise ValueError("must be an address in ASCII, without spaces and `#`: write others as %20, %23 and so on")
    return text


def _checked_url(text: str, instead: str) -> SplitResult:
    """Parse an address. ``instead``: what to do with a user and a password."""
    try:
        url = urlsplit(text)
        _ = url.port  # raises ValueError for a port that is not a number
    except ValueError:
        raise ValueError("is not an address") from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must be an address like https://host or http://127.0.0.1:8080")
    if url.username is not None or url.password is not None:
        raise ValueError(f"must not carry a user or a password: {instead}")
    return url


def without_path(url: str, paths: Iterable[str]) -> str:
    """Return an address. Raises ValueError if it has one of the paths that each request adds to it."""
    path = f"{urlsplit(url).path.rstrip('/').lower()}/"
    for each in paths:
        if f"{each}/" in path:
            raise ValueError(f"must end before `{each}`, which each request adds itself: leave it out")
    return url


def usable_key(key: SecretStr) -> SecretStr:
    """Return a key that fits a header: visible ASCII only."""
    text = key.get_secret_value()
    if not text:
        raise ValueError("is empty: is its environment variable set?")
    if any(not "!" <= letter <= "~" for letter in text):
        raise ValueError("has a space or another character that no key has: was it copied whole?")
    return key


BaseUrl = Annotated[str, AfterValidator(base_url)]
WholeUrl = Annotated[str, AfterValidator(whole_url)]
Key = Annotated[SecretStr, AfterValidator(usable_key)]

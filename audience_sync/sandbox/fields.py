"""Read numbers of forms and addresses."""

from __future__ import annotations

from audience_sync.web.errors import WrongQueryError


def number_of(name: str, text: str, least: int, most: int) -> int:
    """Return the whole number of a field. Raises WrongQueryError with what is valid."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise WrongQueryError(f"`{name}` is {text[:40]!r}: it has to be a number from {least} to {most:,}.")
    return int(text)

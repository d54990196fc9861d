"""What was meant by an unknown name? "Did you mean", in one wording."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(what: str, name: str, known: Iterable[str], *, listed: bool = True) -> str:
    """The problem with ``name``, the nearest known one, and (``listed``) all of them."""
    names = sorted(known)
    nearest = _nearest(name, names)
    meant = f"; did you mean `{nearest}`?" if nearest else ""
    if not listed:
        return f"unknown {what} `{name}`{meant}"
    return f"unknown {what} `{name}`{meant} ({_known(names)})"


def there_is_no(what: str, names: Iterable[str], known: Iterable[str]) -> str:
    """What a person typed and nothing has, with the nearest name there is: one or two sentences for each."""
    there = sorted(known)
    return " ".join(
        f"there is no {what} '{name}'." + (f" Did you mean '{nearest}'?" if (nearest := _nearest(name, there)) else "")
        for name in sorted(names)
    )


def _nearest(name: str, names: list[str]) -> str | None:
    by_lower = {known.lower(): known for known in names}
    matches = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def _known(names: list[str]) -> str:
    return f"known here: {', '.join(names)}" if names else "none is known here"

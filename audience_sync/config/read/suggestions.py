"""Write messages about unknown names, with "Did you mean" or the list of valid names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown_name_message(what: str, name: str, known: Iterable[str], *, listed: bool = True) -> str:
    """An unknown name, with the nearest valid one; without a near one, with all of them if ``listed``."""
    return _unknown(f"unknown {what} `{name}`", name, known, _plural_heading(what) if listed else "")


def unknown_option(name: str, known: Iterable[str]) -> str:
    """The same for an option, whose name is part of the problem's path."""
    return _unknown("unknown option", name, known, "Options")


def _unknown(what: str, name: str, known: Iterable[str], heading: str) -> str:
    names = sorted(known)
    if nearest := _nearest(name, names):
        return f"{what}. Did you mean `{nearest}`?"
    return f"{what}. {heading}: {', '.join(names) or 'none yet'}" if heading else what


def _plural_heading(what: str) -> str:
    """``Types of destination`` for ``type of destination``."""
    first, *others = what.split(" ")
    return " ".join([f"{first.capitalize()}s", *others])


def not_found_message(what: str, names: Iterable[str], known: Iterable[str]) -> str:
    """One or two sentences for each name that does not exist, with the nearest name."""
    there = sorted(known)
    return " ".join(
        f"there is no {what} '{name}'." + (f" Did you mean '{nearest}'?" if (nearest := _nearest(name, there)) else "")
        for name in sorted(names)
    )


def _nearest(name: str, names: list[str]) -> str | None:
    by_lower = {known.lower(): known for known in names}
    matches = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None

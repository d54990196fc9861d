"""Write numbers for people: counts, shares and durations."""

from __future__ import annotations

_IRREGULAR = {"entry": "entries", "query": "queries", "is": "are", "was": "were", "has": "have"}


def pluralize(count: int, thing: str) -> str:
    """``1 call``, ``1,234 calls``."""
    return f"{count:,} {form(count, thing)}"


def form(count: int, thing: str) -> str:
    """The word in the form for this count: ``call`` or ``calls``, ``is`` or ``are``."""
    return thing if count == 1 else _IRREGULAR.get(thing, f"{thing}s")


def share_of(part: int, whole: int) -> str:
    """``64%``. A share of some is at least ``< 1%``, a share of less than all at most ``> 99%``."""
    if whole <= 0:
        return "-"
    if 0 < part < whole:
        return "< 1%" if part * 100 < whole else "> 99%" if (whole - part) * 200 < whole else f"{part / whole:.0%}"
    return f"{part / whole:.0%}"


def duration(seconds: float) -> str:
    """``< 1 s``, ``9 s``, ``2 min 5 s``, ``3 h 20 min``: for forecasts, to the second."""
    if 0 < seconds < 1:
        return "< 1 s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours:,} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if not hours else ""]
    return " ".join(part for part in parts if part and (part != "0 s" or not minutes))


def seconds_text(seconds: float) -> str:
    """``0.3 s``, for the duration of a run."""
    return f"{seconds:,.1f} s"

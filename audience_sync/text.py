"""Write texts for people: numbers, times, lists, names with the nearest valid one, paths."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

_IRREGULAR = {"is": "are", "was": "were", "has": "have"}
_CONSONANT_AND_Y = re.compile(r"(?<=[^aeiou])y\Z")
#: The size of a value in a reason: of what a destination takes less of, or of a message.
_SIZE = re.compile(r"\b\d[\d,]* (?=(?:bytes|characters|items|keys) and \S.* takes )|, at a message of [\d,]+ bytes")


def pluralize(count: int, thing: str) -> str:
    """``1 call``, ``1,234 calls``."""
    return f"{count:,} {form(count, thing)}"


def form(count: int, thing: str) -> str:
    """The word in the form for this count: ``call`` or ``calls``, ``is`` or ``are``."""
    return thing if count == 1 else _IRREGULAR.get(thing, f"{_CONSONANT_AND_Y.sub('ie', thing)}s")


def without_size(reason: str) -> str:
    """``'bio' has too many bytes and Braze takes 1,000``: a reason of many users, whose values have other sizes."""
    return _SIZE.sub(lambda size: "" if size[0].startswith(",") else "too many ", reason)


def by_reason(reasons: Iterable[str]) -> dict[str, list[str]]:
    """Group different reasons that differ only in a size. A group of one keeps its size."""
    groups: dict[str, list[str]] = {}
    for each in reasons:
        groups.setdefault(without_size(each), []).append(each)
    return {shared if len(set(each)) > 1 else each[0]: each for shared, each in groups.items()}


def ordinal(number: int) -> str:
    """``first``, ``second``, ... ``12th``."""
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def share_of(part: int, whole: int) -> str:
    """``64%``. A share of some is at least ``< 1%``, a share of less than all at most ``> 99%``."""
    if whole <= 0:
        return "-"
    if 0 < part < whole:
        return "< 1%" if part * 100 < whole else "> 99%" if (whole - part) * 200 <= whole else f"{part / whole:.0%}"
    return f"{part / whole:.0%}"


def duration(seconds: float) -> str:
    """``< 1 s``, ``9 s``, ``2 min 5 s``, ``3 h 20 min``: for forecasts, to the second."""
    if 0 < seconds < 1:
        return "< 1 s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours:,} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if not hours else ""]
    return " ".join(part for part in parts if part and (part != "0 s" or not minutes))


def ago(seconds: float) -> str:
    """``3 h ago`` within two days; empty for longer times, and for times in the future."""
    if not 0 <= seconds < 48 * 3600:
        return ""
    if seconds < 60:
        return "now" if seconds < 1 else f"{seconds:.0f} s ago"
    return f"{seconds // 60:.0f} min ago" if seconds < 3600 else f"{seconds // 3600:.0f} h ago"


def seconds_text(seconds: float) -> str:
    """``0.3 s``, for the duration of a run."""
    return f"{seconds:,.1f} s"


def iso_time(moment: datetime, timespec: str = "milliseconds") -> str:
    """``2018-11-02T09:30:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def utc_time(moment: datetime) -> str:
    """``2018-11-02 09:30:00 UTC``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def and_more(count: int, before: str = "", after: str = "") -> list[str]:
    """The last line of a shortened list, ``and 3 more``; no line if nothing is left out."""
    return [f"{before}and {count:,} more{after}"] if count > 0 else []


def listed(items: Sequence[str], *, most: int | None = None, count: int | None = None, separator: str = ", ") -> str:
    """``a, b and 3 more``. ``count``: the number of all items, if ``items`` are only some of them."""
    shown = items[:most]
    more = and_more((len(items) if count is None else count) - len(shown)) if shown else []
    return " ".join([separator.join(shown), *more])


def join_names(names: Sequence[str]) -> str:
    """``log``, ``log and segment``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The valid name that a misspelled one probably means; None if none is near."""
    from difflib import get_close_matches

    by_lower = {valid.lower(): valid for valid in names}
    matches = get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[matches[0]] if matches else None


def unknown_name_message(what: str, name: str, names: Iterable[str], *, with_list: bool = True) -> str:
    """An unknown name, with the nearest valid one; without a near one, with all of them if ``with_list``."""
    kinds, of, rest = what.partition(" of ")  # ``Types of destination`` for ``type of destination``
    plural = " or ".join(f"{kind}s" for kind in kinds.split(" or "))
    return _unknown(f"unknown {what} `{name}`", name, names, f"{plural}{of}{rest}".capitalize() if with_list else "")


def unknown_option_message(name: str, names: Iterable[str]) -> str:
    """The same for an option, whose name is part of the problem's path."""
    return _unknown("unknown option", name, names, "Options")


def _unknown(what: str, name: str, names: Iterable[str], heading: str) -> str:
    valid = sorted(names)
    if meant := nearest(name, valid):
        return f"{what}. Did you mean `{meant}`?"
    return f"{what}. {heading}: {', '.join(valid) or 'none yet'}" if heading else what


def not_found_message(what: str, unknown: Iterable[str], names: Iterable[str]) -> str:
    """One or two sentences for each name that does not exist, with the nearest name."""
    valid = sorted(names)
    return " ".join(
        f"there is no {what} '{name}'." + (f" Did you mean '{meant}'?" if (meant := nearest(name, valid)) else "")
        for name in sorted(unknown)
    )


def shortened(text: str, most: int) -> str:
    """The first characters of a text, at most ``most``."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def storable(text: str) -> str:
    """The text without characters that PostgreSQL can't store: NUL and lone surrogates are written as escapes."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def display_path(path: str) -> str:
    """The path relative to the working directory if it is below it, else the absolute path."""
    full, here = Path(os.path.abspath(path)), Path(os.path.realpath("."))
    return str(full.relative_to(here)) if here in full.parents else str(full)


def path_text(text: str) -> str:
    """Make a path relative to the present folder if it lies within it; addresses stay the same."""
    here = os.path.relpath(text)
    return text if "://" in text or here.startswith("..") else here

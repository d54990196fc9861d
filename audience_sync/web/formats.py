"""Write numbers, durations, times and ids for a page, as plain text.

Pure functions: the templates put their results into markup. What is not known is ``None``, and is written as a dash.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

#: The sign for what is not known, or can't apply.
NOTHING = "–"
MINUS = "−"
#: Ids of up to this many characters are never broken into lines; longer ones than ``LONGEST_ID`` are shortened.
SHORT_ID, LONGEST_ID = 24, 80
#: Counts from here on are shortened where there is little room.
MANY = 10_000_000
#: A relative time is shown only below this distance.
NEAR = timedelta(hours=48)


def count(value: int | None) -> str:
    """``1,505``."""
    return NOTHING if value is None else f"{value:,}".replace("-", MINUS)


def short_count(value: int | None) -> str:
    """``1,505``; from 10 million on ``12.3 M``. A table has the whole number."""
    if value is None or abs(value) < MANY:
        return count(value)
    return f"{value / 1_000_000:,.1f} M".replace("-", MINUS)


def change(value: int | None) -> str:
    """``+72``, ``−34``, ``0``."""
    if not value:
        return count(value)
    return f"+{value:,}" if value > 0 else f"{MINUS}{-value:,}"


def share(part: float, whole: float) -> str:
    """``46%``; below 10% with one decimal: ``3.7%``. Some is never ``0%``, and less than all never ``100%``."""
    if whole <= 0:
        return NOTHING
    percent = part / whole * 100
    if 0 < percent < 0.1:
        return "< 0.1%"
    if percent < 9.95:
        return f"{percent:.1f}%" if percent else "0%"
    return "> 99%" if 99.5 <= percent < 100 else f"{percent:.0f}%"


def rate(value: float | None) -> str:
    """A number per second: ``411``; below 10 with one decimal: ``3.7``."""
    if value is None:
        return NOTHING
    return f"{value:.1f}" if 0 < value < 9.95 else f"{value:,.0f}"


def seconds(value: float | None) -> str:
    """The duration of a run: ``0.8 s``, ``48.2 s``; from a minute on as ``duration``."""
    if value is None:
        return NOTHING
    return f"{value:.1f} s" if value < 59.95 else duration(value)


def duration(value: float | timedelta | None) -> str:
    """``< 1 ms``, ``22 ms``, ``3.5 s``, ``12 min``, ``4 h 5 min``, ``3 d 2 h``, from seconds."""
    if value is None:
        return NOTHING
    number = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if number < 0.0005:
        return "< 1 ms"
    if number < 0.9995:
        return f"{number * 1000:.0f} ms"
    if number < 9.95:
        return f"{number:.1f} s"
    if number < 59.5:
        return f"{number:.0f} s"
    minutes, rest = divmod(round(number), 60)
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(number / 60), 60)
    if hours < 48:
        return " ".join(part for part in (f"{hours} h" * bool(hours), f"{minutes} min" * bool(minutes)) if part)
    days, hours = divmod(round(number / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def moment(value: datetime | None, zone: ZoneInfo, now: datetime, *, with_seconds: bool = False) -> str:
    """``Sun 29 Nov 06:00`` in a zone; with its year where it is not this one's."""
    if value is None:
        return NOTHING
    local = value.astimezone(zone)
    year = "" if local.year == now.astimezone(zone).year else f" {local.year}"
    time = f"{local:%H:%M:%S}" if with_seconds else f"{local:%H:%M}"
    return f"{local:%a} {local.day} {local:%b}{year} {time}"


def day(value: datetime, zone: ZoneInfo) -> str:
    """``29 Nov``, in a zone."""
    local = value.astimezone(zone)
    return f"{local.day} {local:%b}"


def relative(value: datetime | None, now: datetime) -> str:
    """``3 h ago``, ``in 8 h 46 min``; empty from 48 hours on."""
    if value is None or abs(value - now) >= NEAR:
        return ""
    apart = abs((value - now).total_seconds())
    if value > now:
        return "in less than a minute" if apart < 60 else f"in {duration(apart // 60 * 60)}"
    if apart < 60:
        return "just now"
    return f"{apart // 60:.0f} min ago" if apart < 3600 else f"{apart // 3600:.0f} h ago"


def iso(value: datetime) -> str:
    """``2026-11-29T05:00:00Z``: for ``<time datetime>``, and for JSON."""
    utc = value.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").replace("+00:00", "Z")


def stored_time(value: datetime) -> str:
    """``2026-11-29 05:00:00``, in UTC: as a query shows it, and for CSV."""
    utc = value.astimezone(UTC)
    return utc.isoformat(" ", "microseconds" if utc.microsecond else "seconds").removesuffix("+00:00")


@dataclass(frozen=True, slots=True)
class ShownId:
    """An id as a page shows it: ``start``, and of a shortened one its ``end`` and its whole length in characters."""

    start: str
    end: str = ""
    length: int = 0

    @property
    def is_short(self) -> bool:
        """Whether it fits into a cell without a break."""
        return not self.end and len(self.start) <= SHORT_ID


def shown_id(user_id: str) -> ShownId:
    """The id, whole up to 80 characters; of a longer one the first 24, the last 8 and its length.

    The cuts don't part a character from its accents, joiners or skin tone.
    """
    if len(user_id) <= LONGEST_ID:
        return ShownId(visible(user_id))
    start, end = SHORT_ID, len(user_id) - 8
    while start > 1 and _continues(user_id, start):
        start -= 1
    while end < len(user_id) - 1 and _continues(user_id, end):
        end += 1
    return ShownId(visible(user_id[:start]), visible(user_id[end:]), len(user_id))


def _continues(text: str, index: int) -> bool:
    """Whether the character at the index belongs to the one before it."""
    sign, before = text[index], text[index - 1]
    joins = "\u200d" in (sign, before) or "\ufe00" <= sign <= "\ufe0f" or "\U0001f3fb" <= sign <= "\U0001f3ff"
    return joins or unicodedata.combining(sign) != 0


def visible(text: str) -> str:
    """The text with control and formatting characters as escapes, ``\\n`` and ``\\u202e``; joiners of emoji stay."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\u200d" else _escape(sign) for sign in text)


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def cell(value: Any) -> str:
    """A value of a row for CSV: times in UTC, true and false as in JSON, nothing for what is not known."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return stored_time(value)
        case _:
            return str(value)

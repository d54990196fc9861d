"""Read values of PostgreSQL that Python does not support: infinity, years before 1 and after 9999, long JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.adapt import Buffer, Loader
from psycopg.pq import Format
from psycopg.types.json import set_json_loads
from psycopg.types.string import TextLoader

from audience_sync.sources.base import Unsendable
from audience_sync.sources.database.parse_json import parse_json
from audience_sync.sources.values.json_sql import OUT_OF_YEARS, UNREADABLE

#: Types whose loader fails for some values that are valid in PostgreSQL.
_TIME_TYPES = ("timestamp", "timestamptz", "date")
#: The same, for types that are read as text then (24:00:00).
_CLOCK_TYPES = ("time", "timetz")
#: Range types, read as text: their bounds may be infinite or of any year.
_RANGES = ("int4", "int8", "num", "ts", "tstz", "date")
_RANGE_TYPES = (*(f"{kind}range" for kind in _RANGES), *(f"{kind}multirange" for kind in _RANGES))
_TIME = re.compile(
    r"(?P<year>\d{4,})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?: (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<part>\d+))?"
    r"(?P<zone>(?P<sign>[+-])(?P<hours>\d\d)(?::(?P<minutes>\d\d))?(?::(?P<seconds>\d\d))?)?)?(?P<bc> BC)?"
)
#: The calendar repeats after 400 years, which have 146,097 days.
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097


def accept_unsupported_values(connection: Connection[Any]) -> None:
    """Read values that Python does not support as None or ``Unsendable``, instead of failing the whole answer."""
    for name in (*_TIME_TYPES, *_CLOCK_TYPES):
        oid = connection.adapters.types[name].oid
        loader = connection.adapters.get_loader(oid, Format.TEXT)
        if loader is not None:
            connection.adapters.register_loader(
                oid, _lenient_loader(loader, unsupported_time if name in _TIME_TYPES else str)
            )
    for name in _RANGE_TYPES:
        connection.adapters.register_loader(name, TextLoader)
    connection.adapters.register_loader("interval", _IntervalLoader)
    set_json_loads(parse_json, connection)


class _IntervalLoader(TextLoader):
    """Loads an interval as PostgreSQL's text (``1 mon 2 days 03:04:05``), since Python has no months."""

    def load(self, data: Buffer) -> str | None:  # type: ignore[override]  # None for infinity
        text = bytes(data).decode()
        return None if text.lstrip("-") == "infinity" else text


def _lenient_loader(loader: Callable[..., Any], fallback: Callable[[str], Any]) -> type[Loader]:
    class LenientLoader(Loader):
        """The driver's own loader, with a fallback for values that it refuses."""

        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self._load = loader(oid, context).load

        def load(self, data: Buffer) -> Any:
            try:
                return self._load(data)
            except Exception:  # psycopg's DataError, and OverflowError of Python's own arithmetic
                return fallback(bytes(data).decode(errors="replace"))

    return LenientLoader


def unsupported_time(text: str) -> datetime | Unsendable | None:
    """A time that psycopg refuses: None for infinity, the time in UTC, or Unsendable outside of years 1 to 9999."""
    if text.lstrip("-") == "infinity":
        return None
    found = _TIME.fullmatch(text)
    return _time_in_utc(found) if found else Unsendable(UNREADABLE)


def _time_in_utc(found: re.Match[str]) -> datetime | Unsendable:
    year = int(found["year"]) if not found["bc"] else 1 - int(found["year"])
    if not -1 <= year <= 10_001:
        return Unsendable(OUT_OF_YEARS)
    local_parts = {name: int(found[name] or 0) for name in ("month", "day", "hour", "minute", "second")}
    microseconds = int((found["part"] or "0").ljust(6, "0")[:6])
    # Compute in years that Python supports, then move back by whole cycles of the calendar.
    cycles = 5 if year < _CYCLE_YEARS else -5
    local = datetime(year + cycles * _CYCLE_YEARS, **local_parts, microsecond=microseconds, tzinfo=UTC)
    offset = timedelta(**{name: int(found[name] or 0) for name in ("hours", "minutes", "seconds")})
    moment = local + offset if found["sign"] == "-" else local - offset
    try:
        return moment - timedelta(days=cycles * _CYCLE_DAYS)
    except OverflowError:
        return Unsendable(OUT_OF_YEARS)

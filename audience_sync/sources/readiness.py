"""Check that a source is ready: recent enough, and complete according to its marker file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from audience_sync.errors import IncompleteError
from audience_sync.sources.base import Expectations, Unsendable
from audience_sync.sources.storage.locate import FileMtime
from audience_sync.text import utc_time

#: Characters of an invalid time that a message shows.
MAX_SHOWN = 40


def not_ready_reason(expected: Expectations, files: Sequence[FileMtime], marker: Sequence[FileMtime]) -> str | None:
    """The reason why these files are not ready, or None. ``marker``: the marker file, or empty if it does not exist."""
    newest = max(files, key=lambda file: file.at or 0)
    if expected.since:
        if newest.at is None:
            return f"the storage does not report when {newest.name} was written, so `max_age` can't be checked"
        if reason := stale_reason(newest.name, datetime.fromtimestamp(newest.at, UTC), expected.since):
            return reason
    if expected.marker is None:
        return None
    if not marker:
        return f"there is no {expected.marker}, which marks the files as complete"
    if (marker[0].at or 0) < (newest.at or 0):
        return f"{newest.name} was written after {expected.marker}: it may not be complete"
    return None


def stale_reason(what: str, at: datetime, since: datetime) -> str | None:
    if at >= since:
        return None
    return f"{what} is of {utc_time(at)}; it must be of {utc_time(since)} or later"


def too_old_reason(expected: Expectations, ask: Callable[[str], Sequence[Any]]) -> str | None:
    """The reason why a database's rows are too old, or None. ``ask``: the first rows of the answer of a query."""
    if expected.since is None or expected.modified is None:
        return None
    rows = ask(expected.modified)
    return stale_reason("the newest change", parse_time(rows[0][0] if rows else None), expected.since)


def parse_time(value: Any) -> datetime:
    """The time that a database returns: one without a zone is UTC, a number is seconds since 1970.

    Raises IncompleteError for other values, such as infinity.
    """
    try:
        found = _to_datetime(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ArithmeticError, ValueError, OSError):  # not a number, or a year that Python does not support
        raise _invalid_answer(f"{str(value)[:MAX_SHOWN]!r}, which is not a valid time") from None


def _to_datetime(value: Any) -> datetime:
    match value:
        case datetime():
            return value
        case date():
            return datetime.combine(value, time.min, UTC)
        case int() | float() | Decimal() if not isinstance(value, bool):
            return datetime.fromtimestamp(float(value), UTC)
        case str():
            return datetime.fromisoformat(value)
        case None:
            raise _invalid_answer("no time (NULL or infinity)")
        case Unsendable():
            raise _invalid_answer(f"a value that {value.reason}")
        case _:
            raise _invalid_answer(f"a value of the type {type(value).__name__}, which is not a time")


def _invalid_answer(what: str) -> IncompleteError:
    return IncompleteError(f"the query `modified` returns {what}")

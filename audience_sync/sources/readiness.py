"""Check that a source is ready: recent enough, and complete according to its marker file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from audience_sync.errors import IncompleteError
from audience_sync.sources.base import Expectations, Unsendable
from audience_sync.sources.storage.locate import FileMtime

#: Characters of an invalid time that a message shows.
MAX_SHOWN = 40


def not_ready_reason(expected: Expectations, files: Sequence[FileMtime], marker: Sequence[FileMtime]) -> str | None:
    """The reason why these files are not ready, or None. ``marker``: the marker file, or empty if it does not exist."""
    newest = max(files, key=lambda file: file.at or 0)
    if expected.since:
        problem = _too_old_reason(newest, expected.since)
        if problem:
            return problem
    if expected.marker is None:
        return None
    if not marker:
        return f"there is no {expected.marker}, which marks the files as complete"
    if (marker[0].at or 0) < (newest.at or 0):
        return f"{newest.name} was written after {expected.marker}: it may not be complete"
    return None


def _too_old_reason(newest: FileMtime, since: datetime) -> str | None:
    if newest.at is None:
        return f"the storage does not report when {newest.name} was written, so `max_age` can't be checked"
    return stale_reason(newest.name, datetime.fromtimestamp(newest.at, UTC), since)


def stale_reason(what: str, at: datetime, since: datetime) -> str | None:
    if at >= since:
        return None
    return f"{what} is of {_format_time(at)}; it must be of {_format_time(since)} or later"


def _format_time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def parse_time(value: Any) -> datetime:
    """The time that a database returns: one without a zone is UTC, a number is seconds since 1970.

    Raises IncompleteError for other values, such as infinity.
    """
    try:
        found = _to_datetime(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ArithmeticError, ValueError, OSError):  # not a number, or a year that Python does not support
        raise IncompleteError(_invalid_answer(f"{str(value)[:MAX_SHOWN]!r}, which is not a valid time")) from None


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
            raise IncompleteError(_invalid_answer("no time (NULL or infinity)"))
        case Unsendable():
            raise IncompleteError(_invalid_answer(f"a value that {value.reason}"))
        case _:
            raise IncompleteError(_invalid_answer(f"a value of the type {type(value).__name__}, which is not a time"))


def _invalid_answer(what: str) -> str:
    return f"the query `modified` returns {what}"

"""Parse the times of arguments: ISO 8601, whole or in part, in UTC without a zone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from audience_sync.errors import WrongValueError

#: A time of day to the minute, with or without a zone.
_TO_THE_MINUTE = re.compile(r".+[Tt ]\d{2}:?\d{2}(Z|z|[+-].+)?")


def parse_time(text: str) -> datetime:
    """Parse a time; without a zone it is UTC. Raises ValueError.

    A time to the second means the end of that second. Runs start at fractions of a second, so a time copied from
    ``history`` includes that run.
    """
    found = in_utc(datetime.fromisoformat(text.strip()))
    return found if found.microsecond else found.replace(microsecond=999_999)


def parse_past_time(text: str) -> datetime:
    """Parse like ``parse_time``; a time to the minute means its end, since ``history`` lists runs by the minute."""
    found = parse_time(text)
    return found + timedelta(seconds=59) if _TO_THE_MINUTE.fullmatch(text.strip()) else found


def in_utc(moment: datetime) -> datetime:
    """The time in UTC; one without a zone is that already."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def past_time(argument: str, value: str | date | None) -> datetime | None:
    """The time of an argument: a text as ``parse_past_time``, a time, or a day. Raises WrongValueError."""
    return _time(argument, value, parse_past_time)


def future_time(argument: str, value: str | date | None) -> datetime | None:
    """The same for a time to come, by ``parse_time``."""
    return _time(argument, value, parse_time)


def _time(argument: str, value: str | date | None, parse: Callable[[str], datetime]) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return in_utc(value)
    try:
        return parse(value if isinstance(value, str) else value.isoformat())
    except (ValueError, OverflowError, AttributeError):
        message = f"'{value}' is not a valid time. Examples: 2026-05-01, 2026-05-01T12:00, 2026-05-01T12:00:00Z"
        raise WrongValueError(argument, message) from None

"""Check values that several services read the same way: times, time zones, device tokens, addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from audience_sync.sandbox.values import Problem

ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)", re.ASCII)
_NO_ZONE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)
#: A clock may be this much ahead before a time counts as wrong.
AHEAD = timedelta(days=1)
#: Seconds since 1970 after which a number must be milliseconds.
_MILLISECONDS = 100_000_000_000
MOST_TOKEN_CHARACTERS = 4_096


def iso_problem(field: str, value: Any, now: datetime) -> Problem | None:
    """Return what is wrong with an ISO 8601 time: not a text, no zone, not a date, or in the future."""
    if not isinstance(value, str):
        return Problem("timestamp_not_text", f"`{field}` is not a text: an ISO 8601 time is expected", False)
    if not ISO_TIME.fullmatch(value):
        if _NO_ZONE.fullmatch(value):
            return Problem(
                "timestamp_without_zone", f"`{field}` has no time zone ({value}): add `Z` or an offset", False
            )
        return Problem("timestamp_invalid", f"`{field}` is not an ISO 8601 time ({value[:40]})", False)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return Problem("timestamp_invalid", f"`{field}` is not a date of the calendar ({value})", False)
    return _future_problem(field, moment, now)


def epoch_problem(field: str, value: Any, now: datetime) -> Problem | None:
    """Return what is wrong with a time in seconds (or milliseconds) since 1970."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Problem("timestamp_not_number", f"`{field}` is not a number: seconds since 1970 are expected")
    try:
        moment = datetime.fromtimestamp(value / 1000 if value > _MILLISECONDS else value, UTC)
    except (OverflowError, ValueError, OSError):
        return Problem("timestamp_invalid", f"`{field}` is outside of the calendar ({value})", False)
    return _future_problem(field, moment, now)


def _future_problem(field: str, moment: datetime, now: datetime) -> Problem | None:
    if moment - now <= AHEAD:
        return None
    return Problem("timestamp_in_future", f"`{field}` is in the future: {moment:%Y-%m-%d %H:%M} UTC", False)


def property_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with a user's properties: times without a zone, an unknown time zone, half a device."""
    for name, value in values.items():
        if value.__class__ is str and len(value) > 15 and value[4] == "-" and _NO_ZONE.fullmatch(value):
            text = f"`{name}` is a time without a zone ({value}): services read it in different zones, or drop it"
            yield Problem("date_without_zone", text, False)
    if "timezone" in values and (found := timezone_problem(values["timezone"])):
        yield found
    if ("device_token" in values) != ("device_type" in values):
        yield Problem("half_a_device", "`device_token` and `device_type` are needed together", False)


def timezone_problem(value: Any) -> Problem | None:
    if value is None or (isinstance(value, str) and value in _zones()):
        return None
    shown = value[:40] if isinstance(value, str) else type(value).__name__
    return Problem("unknown_timezone", f"`timezone` is not a name of the tz database ({shown})", False)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def object_of(item: Mapping[str, Any], field: str, problems: list[Problem]) -> Mapping[str, Any]:
    """Return the object in a field; an empty one, with a problem, if it is something else."""
    found = item.get(field)
    if found is None:
        return {}
    if isinstance(found, dict):
        return found
    problems.append(Problem(f"{field}_not_object", f"`{field}` is not an object"))
    return {}


def token_problem(field: str, token: Any) -> Problem | None:
    """Return what is wrong with a device token; a fatal problem if it is not a text."""
    if not isinstance(token, str):
        return Problem("token_not_text", f"`{field}` has a token that is not a text")
    if not token.strip():
        return Problem("token_empty", f"`{field}` has an empty token")
    if len(token) > MOST_TOKEN_CHARACTERS or any(each.isspace() for each in token):
        return Problem("token_malformed", f"`{field}` has a token with spaces or over 4,096 characters", False)
    return None


def address_problem(value: Any) -> Problem | None:
    """Return what is wrong with an e-mail address, as far as its form shows it."""
    if not isinstance(value, str) or not value:
        return None
    name, at, host = value.rpartition("@")
    if at and name and "." in host and not any(each.isspace() for each in value):
        return None
    return Problem("email_malformed", "`email` is not an e-mail address", False)

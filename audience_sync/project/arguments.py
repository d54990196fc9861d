"""Check the arguments of calls: keys, user ids, run numbers, counts, rates and times."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from operator import index
from typing import TypeVar

from audience_sync.errors import UnknownNameError, WrongValueError
from audience_sync.model import MAX_RUN, RunId

#: The largest number of runs or calls.
LARGEST_COUNT = 2**31 - 1
Item = TypeVar("Item")
#: A time of day to the minute, with or without a zone.
_TO_THE_MINUTE = re.compile(r".+[Tt ]\d{2}:?\d{2}(Z|z|[+-].+)?")


def given_keys(argument: str, keys: str | Iterable[str]) -> tuple[str, ...]:
    """The keys; one text is one key, and not its letters. Raises WrongValueError for what is not text."""
    found = several(argument, keys)
    if wrong := [each for each in found if not isinstance(each, str)]:
        raise WrongValueError(argument, f"{wrong[0]!r} is not a key: keys are texts, such as 'vip'")
    return found


def several(argument: str, values: str | Iterable[Item]) -> tuple[str | Item, ...]:
    """The values; one text is one value. Raises WrongValueError for anything else."""
    try:
        return (values,) if isinstance(values, str) else tuple(values)
    except TypeError:
        raise WrongValueError(argument, f"{values!r} is neither a text nor a list") from None


def user_ids(users: str | Iterable[str]) -> list[str]:
    """The ids, each once. Raises WrongValueError without any, and for one that no snapshot can have."""
    given = several("users", users)
    if not given:
        raise WrongValueError("users", "there is no id")
    return list(dict.fromkeys(_ids("users", given)))


def one_user_id(argument: str, user: str) -> str:
    """The id of one user. Raises WrongValueError for one that no snapshot can have."""
    return _ids(argument, [user])[0]


def _ids(argument: str, users: Sequence[str]) -> Sequence[str]:
    from audience_sync.sources.values.user_ids import python_ids

    if wrong := [each for each in users if not isinstance(each, str)]:
        raise WrongValueError(argument, f"{wrong[0]!r} is not a user id: ids are texts, such as '42'")
    if problem := next(filter(None, python_ids(users)[1]), None):
        raise WrongValueError(argument, problem)
    return users


def run_number(run: int) -> RunId:
    """The number of a run, also as an integer of numpy. Raises WrongValueError, and UnknownNameError out of range."""
    try:
        number = index(run)
    except TypeError:
        raise WrongValueError("run", f"{run!r} is not the number of a run, such as 42") from None
    if not 0 < number <= MAX_RUN:
        raise UnknownNameError(f"There is no run {number}. The last ones: audience-sync history")
    return RunId(number)


def count(argument: str, number: int) -> int:
    """A number of things, from 1. Raises WrongValueError."""
    try:
        found = index(number)
    except TypeError:
        found = 0
    if not 0 < found <= LARGEST_COUNT:
        raise WrongValueError(argument, f"{number!r} is not a whole number from 1 to {LARGEST_COUNT:,}")
    return found


def users_per_second(rate: str | float | None) -> float | None:
    """The rate of a seed: users a second, or a text such as ``500/s``. Raises WrongValueError."""
    from audience_sync.config.read.units import parse_rate

    if rate is None:
        return None
    try:
        return parse_rate(rate if isinstance(rate, str) else f"{rate}/s")
    except ValueError as error:
        raise WrongValueError("rate", str(error)) from None


def past_time(argument: str, value: str | date | None) -> datetime | None:
    """The time of an argument: a text, a time or a day, in UTC without a zone. Raises WrongValueError.

    A time to the second means the end of that second, and a text to the minute the end of that minute: runs start at
    fractions of a second, so a time copied from ``history`` or ``members`` includes that run.
    """
    return _time(argument, value, _parse_past_time)


def future_time(argument: str, value: str | date | None) -> datetime | None:
    """The same for a time to come; one to the minute means its first second."""
    return _time(argument, value, _parse_time)


def _time(argument: str, value: str | date | None, parse: Callable[[str], datetime]) -> datetime | None:
    if value is None:
        return None
    try:
        return parse(value.isoformat() if isinstance(value, date) else str(value))
    except (ValueError, OverflowError):
        message = f"'{value}' is not a valid time. Examples: 2026-05-01, 2026-05-01T12:00, 2026-05-01T12:00:00Z"
        raise WrongValueError(argument, message) from None


def _parse_time(text: str) -> datetime:
    found = datetime.fromisoformat(text.strip())
    found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return found if found.microsecond else found.replace(microsecond=999_999)


def _parse_past_time(text: str) -> datetime:
    found = _parse_time(text)
    return found + timedelta(seconds=59) if _TO_THE_MINUTE.fullmatch(text.strip()) else found

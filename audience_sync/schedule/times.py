"""Compute the times of a schedule: a crontab in its time zone, or an interval.

Intervals are counted from 1970, UTC, so that all hosts and all restarts agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from audience_sync.config.read.units import duration_text
from audience_sync.config.sections.guard import Schedule
from audience_sync.schedule.crontab import crontab_times

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Times that are counted one by one. For more, ``Due.missed`` is this number.
MAX_COUNTED = 10_000


class Due(NamedTuple):
    """The newest due time, and the number of ``missed`` ones before it, from ``since`` on."""

    at: datetime
    missed: int
    since: datetime | None


def schedule_name(schedule: Schedule) -> str:
    """The name for people and for the store: `cron 0 6 * * * Europe/Berlin`, `every 15m`."""
    if schedule.every is not None:
        return f"every {duration_text(schedule.every)}"
    return f"cron {schedule.cron} {schedule.timezone}"


def times_after(schedule: Schedule, moment: datetime) -> Iterator[datetime]:
    """All times later than a moment, in UTC, without end."""
    if schedule.every is not None:
        count = (moment - EPOCH) // schedule.every
        while True:
            count += 1
            yield EPOCH + count * schedule.every
    yield from crontab_times(schedule.cron or "", ZoneInfo(schedule.timezone or "UTC"), moment)


def first_after(schedule: Schedule, moment: datetime) -> datetime:
    return next(times_after(schedule, moment))


def find_due(schedule: Schedule, after: datetime, now: datetime) -> Due | None:
    """The times later than ``after``, up to ``now``, as one Due, or None."""
    found: list[datetime] = []
    for each in islice(times_after(schedule, after), MAX_COUNTED + 1):
        if each > now:
            break
        found.append(each)
    if not found:
        return None
    newest = found[-1] if len(found) <= MAX_COUNTED else _last_until(schedule, now)
    return Due(newest, len(found) - 1, found[0] if len(found) > 1 else None)


def _last_until(schedule: Schedule, now: datetime) -> datetime:
    """The last time up to ``now``, found by searching back in growing steps: quick for frequent schedules."""
    if schedule.every is not None:
        return EPOCH + (now - EPOCH) // schedule.every * schedule.every
    back = timedelta(minutes=2)
    while first_after(schedule, now - back) > now:
        back *= 2
    return list(takewhile(lambda each: each <= now, times_after(schedule, now - back)))[-1]

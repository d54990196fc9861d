"""Choose the ticks of a time axis: round hours, days, Mondays or months in the zone of the config."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

#: The most ticks of an axis, so that labels never touch.
MOST_TICKS = 9
_HOUR_STEPS = (1, 2, 3, 6, 12)
_DAY_STEPS = (1, 2)
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60)


@dataclass(frozen=True, slots=True)
class Tick:
    """A point of a time axis with its label."""

    at: datetime
    label: str


def time_ticks(start: datetime, end: datetime, zone: ZoneInfo, most: int = MOST_TICKS) -> list[Tick]:
    """Return at most ``most`` ticks between two times: the finest steps that fit."""
    for step in _HOUR_STEPS:
        if (end - start) / timedelta(hours=step) <= most:
            return [Tick(each, f"{each.astimezone(zone):%H:%M}") for each in _hours(start, end, zone, step)]
    for step in _DAY_STEPS:
        if (end - start) / timedelta(days=step) <= most:
            return [_day_tick(each, zone) for each in _days(start, end, zone, step)]
    if (end - start) / timedelta(days=7) <= most:
        days = _days(start, end, zone, 1)
        return [_day_tick(each, zone) for each in days if each.astimezone(zone).weekday() == 0]
    months = list(_months(start, end, zone))
    step = next((each for each in _MONTH_STEPS if len(months) / each <= most), _MONTH_STEPS[-1])
    chosen = [each for each in months if (each.year * 12 + each.month - 1) % step == 0]
    return [
        Tick(each.astimezone(UTC), f"{each:%b %Y}" if each.month == 1 or step >= 12 else f"{each:%b}")
        for each in chosen
    ]


def _day_tick(at: datetime, zone: ZoneInfo) -> Tick:
    local = at.astimezone(zone)
    return Tick(at, f"{local.day} {local:%b}")


def _hours(start: datetime, end: datetime, zone: ZoneInfo, step: int) -> Iterator[datetime]:
    local = start.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    at = local.astimezone(UTC)
    while at <= end:
        if at >= start and at.astimezone(zone).hour % step == 0:
            yield at
        at += timedelta(hours=1)


def _days(start: datetime, end: datetime, zone: ZoneInfo, step: int) -> Iterator[datetime]:
    """Yield midnights: a day of 23 or 25 hours is one day."""
    day = start.astimezone(zone).date()
    while (at := datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)) <= end:
        if at >= start and day.toordinal() % step == 0:
            yield at
        day += timedelta(days=1)


def _months(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    local = start.astimezone(zone)
    year, month = local.year, local.month
    while (at := datetime(year, month, 1, tzinfo=zone)) <= end:
        if at >= start:
            yield at
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)

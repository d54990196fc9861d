"""Compute the times of a crontab in a time zone, with the rules of Debian's cron where the clocks change.

A job at a fixed time that is skipped runs right after the gap; one whose time comes twice runs once. A job with `*` in
minutes or hours follows elapsed time. cronsim parses the crontab and runs on a clock without a zone: its own rule
assumes gaps of one hour. Some zones change by half an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

#: No clock was ever changed by more (Samoa left out a whole day), and none twice in that time.
LONGEST_CHANGE = timedelta(days=1)


def crontab_times(text: str, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """All times later than a moment, in UTC, without end. ``text``: the five fields of a crontab."""
    minutes, hours, *_ = text.split()
    passing = minutes.startswith("*") or hours.startswith("*")
    return _by_elapsed_time(text, zone, moment) if passing else _by_wall_clock(text, zone, moment)


def _by_elapsed_time(text: str, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """Times by elapsed time: an hour that the clock shows twice has its runs twice."""
    begin = moment
    while True:
        offset = _offset(zone, begin)
        for shown in CronSim(text, _just_before(begin + offset)):
            at = shown.replace(tzinfo=UTC) - offset
            change = _first_clock_change(zone, begin, at)
            if change is not None:
                begin = change
                break
            if at > moment:
                yield at
            begin = max(begin, at)


def _just_before(moment: datetime) -> datetime:
    """A microsecond earlier, without the zone, so that cronsim includes the moment itself."""
    return moment.replace(tzinfo=None) - timedelta(microseconds=1)


def _by_wall_clock(text: str, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """Times by the wall clock: at its first showing of each time, or right after a gap that skips it."""
    near = any(
        _first_clock_change(zone, moment + away, moment + away + LONGEST_CHANGE)
        for away in (-LONGEST_CHANGE, timedelta(0))
    )
    begin = moment.astimezone(zone) - (LONGEST_CHANGE if near else timedelta(0))
    last = moment
    for shown in CronSim(text, _just_before(begin)):
        at = shown.replace(tzinfo=zone).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None) != shown:
            at = _first_clock_change(zone, at - LONGEST_CHANGE, at) or at
        if at > last:
            yield at
            last = at


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _first_clock_change(zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """The first clock change after one moment and up to another, to the second, or None."""
    offset = _offset(zone, after)
    while after < until:
        step = min(after + LONGEST_CHANGE / 2, until)
        if _offset(zone, step) != offset:
            return _bisect_change(zone, after, step, offset)
        after = step
    return None


def _bisect_change(zone: ZoneInfo, before: datetime, after: datetime, offset: timedelta) -> datetime:
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, datetime.fromtimestamp(middle, UTC)) == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)

"""A crontab has the times that cron gives it, on every day of the year in every zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from audience_sync.config.sections.guard import Schedule
from audience_sync.schedule.times import MAX_COUNTED, Due, find_due, first_after, times_after

#: Where clocks change by an hour, by half an hour, at midnight, by a whole day, and not at all; in years when they do.
ZONES = {
    "Europe/Berlin": (2024, 2026),
    "America/New_York": (2023, 2026),
    "Australia/Lord_Howe": (2025,),
    "America/Sao_Paulo": (2017, 2018),
    "Africa/Cairo": (2024,),
    "Pacific/Apia": (2011,),
    "Asia/Kolkata": (2026,),
    "UTC": (2026,),
}
YEARS = [(zone, year) for zone, years in ZONES.items() for year in years]


def cron(text: str, zone: str = "UTC") -> Schedule:
    return Schedule(cron=text, timezone=zone)


def local(schedule: Schedule, after: str, count: int) -> list[str]:
    """The next times after a moment (UTC), as a clock in the zone shows them."""
    found = times_after(schedule, datetime.fromisoformat(after).replace(tzinfo=UTC))
    zone = ZoneInfo(schedule.timezone or "UTC")
    return [f"{next(found).astimezone(zone):%a %d %H:%M %Z}" for _ in range(count)]


def in_year(schedule: Schedule, zone: str, year: int) -> list[datetime]:
    begin, end = (datetime(each, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC) for each in (year, year + 1))
    return list(takewhile(lambda each: each < end, times_after(schedule, begin - timedelta(seconds=1))))


def test_half_past_two_on_both_days_on_which_the_clocks_change() -> None:
    berlin = cron("30 2 * * *", "Europe/Berlin")
    assert local(berlin, "2026-03-28", 3) == ["Sat 28 02:30 CET", "Sun 29 03:00 CEST", "Mon 30 02:30 CEST"]
    assert local(berlin, "2026-10-24", 3) == ["Sat 24 02:30 CEST", "Sun 25 02:30 CEST", "Mon 26 02:30 CET"]
    new_york = cron("30 2 * * *", "America/New_York")
    assert local(new_york, "2026-03-08", 2) == ["Sun 08 03:00 EDT", "Mon 09 02:30 EDT"]
    assert local(cron("30 1 * * *", "America/New_York"), "2026-11-01", 2) == ["Sun 01 01:30 EDT", "Mon 02 01:30 EST"]


def test_what_runs_every_quarter_goes_by_the_time_that_passes() -> None:
    found = in_year(cron("*/15 * * * *", "Europe/Berlin"), "Europe/Berlin", 2026)
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=15)}
    assert len(found) == 365 * 96


@pytest.mark.parametrize(("zone", "year"), YEARS)
@pytest.mark.parametrize("at", ["00:00", "00:30", "01:30", "02:00", "02:30", "03:15"])
def test_a_fixed_time_comes_once_a_day(zone: str, year: int, at: str) -> None:
    """At that time, the first of the two where it comes twice; right after the gap where it is left out."""
    hour, minute = map(int, at.split(":"))
    expected = sorted({_moment(day, time(hour, minute), ZoneInfo(zone)) for day in _days(year)})
    assert in_year(cron(f"{minute} {hour} * * *", zone), zone, year) == expected


def _days(year: int) -> Iterator[date]:
    day = date(year, 1, 1)
    while day.year == year:
        yield day
        day += timedelta(days=1)


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    moment = datetime.combine(day, at, zone)
    while moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment.replace(tzinfo=None):
        moment += timedelta(minutes=1)  # a gap: no clock shows this
    return moment.astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("0 6 * * 1", ["Mon 02 06:00 UTC", "Mon 09 06:00 UTC"], id="1 is Monday"),
        pytest.param("0 6 * * 0", ["Sun 01 06:00 UTC", "Sun 08 06:00 UTC"], id="0 is Sunday"),
        pytest.param("0 6 * * 7", ["Sun 01 06:00 UTC", "Sun 08 06:00 UTC"], id="so is 7"),
        pytest.param("0 6 * * sat", ["Sat 07 06:00 UTC", "Sat 14 06:00 UTC"], id="a name"),
        pytest.param("0 0 3 * fri", ["Tue 03 00:00 UTC", "Fri 06 00:00 UTC"], id="a day of either kind"),
        pytest.param("@daily", ["Mon 02 00:00 UTC", "Tue 03 00:00 UTC"], id="a nickname"),
        pytest.param("5-10/5 3 * * *", ["Sun 01 03:05 UTC", "Sun 01 03:10 UTC"], id="steps of a range"),
    ],
)
def test_a_crontab_is_read_as_cron_reads_it(text: str, expected: list[str]) -> None:
    assert local(cron(text), "2026-02-01", 2) == expected


def test_every_so_long_is_counted_from_the_same_moment_everywhere() -> None:
    often = Schedule(every=timedelta(minutes=15))
    assert local(often, "2026-02-01 10:07", 2) == ["Sun 01 10:15 UTC", "Sun 01 10:30 UTC"]
    assert local(Schedule(every=timedelta(days=1)), "2026-02-01 10:07", 2) == ["Mon 02 00:00 UTC", "Tue 03 00:00 UTC"]
    assert local(often, "2026-02-01 10:15", 1) == ["Sun 01 10:30 UTC"]


@pytest.mark.parametrize("schedule", [Schedule(every=timedelta(minutes=1)), cron("* * * * *")])
def test_what_came_meanwhile_is_one_time_that_counts_the_others(schedule: Schedule) -> None:
    noon = datetime(2026, 2, 1, 12, tzinfo=UTC)
    minute = timedelta(minutes=1)
    assert find_due(schedule, noon, noon + 0.9 * minute) is None
    assert find_due(schedule, noon, noon + minute) == Due(noon + minute, 0, None)
    assert find_due(schedule, noon, noon + 3.5 * minute) == Due(noon + 3 * minute, 2, noon + minute)
    years = timedelta(days=900)
    assert find_due(schedule, noon, noon + years + 0.5 * minute) == Due(noon + years, MAX_COUNTED, noon + minute)


@given(st.integers(1_577_836_800, 1_893_456_000), st.sampled_from(sorted(ZONES)))
def test_no_time_is_given_twice_or_passed_over(moment: int, zone: str) -> None:
    after = datetime.fromtimestamp(moment, UTC)
    for schedule in (cron("*/20 1-3 * * *", zone), cron("30 2 * * *", zone), Schedule(every=timedelta(minutes=7))):
        first = first_after(schedule, after)
        assert first > after
        assert first_after(schedule, first - timedelta(microseconds=1)) == first


#: Zones with odd changes: by half an hour or two hours, at midnight, the other way round, at a quarter to three.
ODD = (
    *("Australia/Lord_Howe", "Antarctica/Troll", "Africa/Cairo", "America/Havana", "Africa/Casablanca"),
    *("Europe/Dublin", "Pacific/Chatham", "America/Santiago", "Asia/Gaza", "America/Scoresbysund"),
)
MINUTE = timedelta(minutes=1)


@given(
    st.sampled_from(ODD),
    st.sampled_from(["{m} {h} * * *", "*/7 {h} * * *", "{m} */2 * * *", "{m} * * * *", "0,15,45 {h} * * *"]),
    st.integers(0, 59),
    st.integers(-3, 2),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_around_a_change_it_is_what_debians_cron_does(zone: str, form: str, m: int, away: int, first: bool) -> None:
    change = _changes(ZoneInfo(zone), 2026)[0 if first else -1]
    text = form.format(m=m, h=(change.astimezone(ZoneInfo(zone)) + timedelta(hours=away)).hour)
    begin, end = change - timedelta(hours=30), change + timedelta(hours=30)
    found = list(takewhile(lambda each: each < end, times_after(cron(text, zone), begin - timedelta(microseconds=1))))
    assert found == _as_debian(text, ZoneInfo(zone), begin, end)


def _changes(zone: ZoneInfo, year: int) -> list[datetime]:
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=number / 4) for number in range(4 * 8760)]
    offsets = [each.astimezone(zone).utcoffset() for each in hours]
    return [at for at, (before, after) in zip(hours[1:], pairwise(offsets), strict=True) if before != after]


def _as_debian(text: str, zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """Minute by minute. A fixed time is due when the clock comes by it, or jumps over it; not when it comes again."""
    start = begin.astimezone(zone).replace(tzinfo=None)
    shown = set(takewhile(lambda each: each < start + timedelta(days=4), CronSim(text, start - MINUTE)))
    passing, reached, found, now = any(each.startswith("*") for each in text.split()[:2]), start - MINUTE, [], begin
    while now < end:
        clock = now.astimezone(zone).replace(tzinfo=None)
        passed = {clock} if passing else {reached + n * MINUTE for n in range(1, (clock - reached) // MINUTE + 1)}
        reached = max(reached, clock)
        found += [now] if passed & shown else []
        now += MINUTE
    return found

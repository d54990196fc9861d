"""The scheduler's waits are short, whatever the wall clock says, and a clock that is set is logged."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from audience_sync.schedule.timer import ClockReading, Timer, clock_jump, wait_seconds

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("most", "seconds"),
    [
        pytest.param(None, 30, id="until something is due, however far away that seems"),
        pytest.param(2.0, 2, id="no longer than the pause after a busy store"),
        pytest.param(300.0, 30, id="less than the pause after many failures"),
    ],
)
def test_no_wait_is_long(most: float | None, seconds: float) -> None:
    assert wait_seconds(most) == seconds


def test_a_wait_ends_when_something_is_due() -> None:
    due = datetime.now(UTC) + timedelta(seconds=0.3)
    with Timer(lambda after: due if after < due else due + HOUR) as clock:
        clock.wait()
        ended = datetime.now(UTC)

    assert due <= ended < due + timedelta(seconds=25)


def test_after_a_jump_the_next_time_counts_from_the_present() -> None:
    """Set back by two hours, it would wake for the time in two hours; the schedule has an earlier one again."""
    begun = datetime.now(UTC)
    soon = begun + timedelta(seconds=0.3)
    moments = iter([ClockReading(begun + 2 * HOUR, 0.0), ClockReading(begun, 1.0)])
    times = iter([begun + 2 * HOUR])
    with Timer(lambda after: next(times, soon if after < soon else soon + HOUR), lambda: next(moments)) as clock:
        clock.read_clock()
        clock.wait()
        ended = datetime.now(UTC)

    assert soon <= ended < soon + timedelta(seconds=25)


@pytest.mark.parametrize(
    ("wall", "steady", "by"),
    [
        pytest.param(60, 60.0, None, id="both clocks agree"),
        pytest.param(61, 60.0, None, id="it is kept in step"),
        pytest.param(64, 60.0, None, id="four seconds are no jump"),
        pytest.param(7200 + 60, 60.0, 2 * HOUR, id="two hours forward"),
        pytest.param(-7200 + 60, 60.0, -2 * HOUR, id="two hours back"),
        pytest.param(-86_400 * 365 + 60, 60.0, timedelta(days=-365), id="a year back"),
        pytest.param(50, 60.0, -10 * SECOND, id="ten seconds back"),
        pytest.param(3600, 3600.0, None, id="a machine that slept for an hour"),
    ],
)
def test_a_clock_that_was_set_is_found_by_the_steady_one(wall: float, steady: float, by: timedelta | None) -> None:
    assert clock_jump(ClockReading(NOON, 0.0), ClockReading(NOON + timedelta(seconds=wall), steady)) == by


def test_a_clock_that_is_set_ends_a_wait_within_seconds() -> None:
    begun = ClockReading(NOON, 0.0)
    moments = iter([begun, ClockReading(NOON - 2 * HOUR + SECOND, 1.0)])
    with Timer(lambda after: datetime.now(UTC) + HOUR, lambda: next(moments)) as clock:
        waited_from = time.monotonic()
        clock.wait()

    assert time.monotonic() - waited_from < 15


@pytest.mark.parametrize(
    ("wall", "sizes"),
    [
        pytest.param(1 - 7200, [2 * HOUR], id="two hours back"),
        pytest.param(1 - 30, [30 * SECOND], id="half a minute back"),
        pytest.param(1 + 7200, [], id="forward"),
        pytest.param(1, [], id="not set"),
    ],
)
def test_the_size_of_a_jump_back_is_passed_on(wall: int, sizes: list[timedelta]) -> None:
    moments = iter([ClockReading(NOON, 0.0), ClockReading(NOON + wall * SECOND, 1.0)])
    found: list[timedelta] = []
    clock = Timer(lambda after: after + HOUR, lambda: next(moments), found.append)
    clock.read_clock()
    assert found == sizes


def looks(*instants: ClockReading) -> Timer:
    """A clock of a schedule that comes round every hour."""
    coming: Iterator[ClockReading] = iter(instants)
    return Timer(lambda after: after.replace(minute=0, second=0) + HOUR, lambda: next(coming))


def test_a_jump_is_logged_once_with_both_times_and_the_next_one(caplog: pytest.LogCaptureFixture) -> None:
    clock = looks(
        ClockReading(NOON, 0.0),
        ClockReading(NOON - 2 * HOUR + SECOND, 1.0),
        ClockReading(NOON - 2 * HOUR + 2 * SECOND, 2.0),
        ClockReading(NOON + 3 * SECOND, 3.0),
    )

    with caplog.at_level(logging.WARNING, "audience_sync.schedule"):
        times = [clock.read_clock(), clock.read_clock(), clock.read_clock()]

    assert times == [NOON - 2 * HOUR + SECOND, NOON - 2 * HOUR + 2 * SECOND, NOON + 3 * SECOND]
    assert caplog.messages == [
        "the clock was set back by 2 h: it was 2026-02-01 12:00:00 UTC, it is 2026-02-01 10:00:01 UTC. Times run "
        "again, by the present clock. The next time is 2026-02-01 11:00:00 UTC",
        "the clock was set forward by 2 h: it was 2026-02-01 10:00:02 UTC, it is 2026-02-01 12:00:03 UTC. One run "
        "makes up for the times in between. The next time is 2026-02-01 13:00:00 UTC",
    ]

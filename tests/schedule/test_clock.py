"""The scheduler's waits are short, whatever the wall clock says, and a clock that is set is logged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from audience_sync.schedule.clock import Clock, Instant, jump, pause

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("due", "most", "seconds"),
    [
        pytest.param(NOON + 5 * SECOND, None, 5.001, id="soon"),
        pytest.param(NOON + 2 * HOUR, None, 30, id="in hours, as after a clock that was set back"),
        pytest.param(NOON + timedelta(days=365), None, 30, id="in a year"),
        pytest.param(NOON - 2 * HOUR, None, 0, id="long ago, as after a clock that was set forward"),
        pytest.param(NOON + 2 * HOUR, 2.0, 2, id="no longer than the pause after a busy store"),
        pytest.param(NOON + 2 * HOUR, 300.0, 30, id="less than the pause after many failures"),
        pytest.param(NOON + 5 * SECOND, 300.0, 5.001, id="until it is due, before such a pause is over"),
    ],
)
def test_a_wait_lasts_until_something_is_due_and_never_for_long(
    due: datetime, most: float | None, seconds: float
) -> None:
    assert pause(due, NOON, most) == pytest.approx(seconds)


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
    assert jump(Instant(NOON, 0.0), Instant(NOON + timedelta(seconds=wall), steady)) == by


def looks(*instants: Instant) -> Clock:
    """A clock of a schedule that comes round every hour."""
    coming: Iterator[Instant] = iter(instants)
    return Clock(lambda after: after.replace(minute=0, second=0) + HOUR, lambda: next(coming))


def test_a_jump_is_logged_once_with_both_times_and_the_next_one(caplog: pytest.LogCaptureFixture) -> None:
    clock = looks(
        Instant(NOON, 0.0),
        Instant(NOON - 2 * HOUR + SECOND, 1.0),
        Instant(NOON - 2 * HOUR + 2 * SECOND, 2.0),
        Instant(NOON + 3 * SECOND, 3.0),
    )

    with caplog.at_level(logging.WARNING, "audience_sync.schedule"):
        times = [clock.look(), clock.look(), clock.look()]

    assert times == [NOON - 2 * HOUR + SECOND, NOON - 2 * HOUR + 2 * SECOND, NOON + 3 * SECOND]
    assert caplog.messages == [
        "the clock was set back by 2 h: it was 2026-02-01 12:00:00 UTC, it is 2026-02-01 10:00:01 UTC. Times that had "
        "their run do not run again. The next time is 2026-02-01 11:00:00 UTC",
        "the clock was set forward by 2 h: it was 2026-02-01 10:00:02 UTC, it is 2026-02-01 12:00:03 UTC. One run "
        "makes up for the times in between. The next time is 2026-02-01 13:00:00 UTC",
    ]

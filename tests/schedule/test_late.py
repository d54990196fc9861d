"""A schedule is late when its time came long enough ago and no run has begun for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from audience_sync.config.sections.guard import Schedule
from audience_sync.history.concerns import LateSchedule
from audience_sync.schedule.entries import ScheduleEntry
from audience_sync.schedule.late import late_schedules
from audience_sync.store.runs.schedule_slots import LastSlot

SIX = ScheduleEntry(Schedule(cron="0 6 * * *", timezone="UTC"), ())
NAME = "cron 0 6 * * * UTC"


def at(day: int, hour: int = 6, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def late(last: LastSlot | None, now: datetime, *, running: int | None = None) -> list[LateSchedule]:
    slots = {NAME: last} if last else {}
    return list(late_schedules([SIX], slots, now, tolerance=timedelta(minutes=15), running=running))


@pytest.mark.parametrize(
    ("last", "now", "found"),
    [
        pytest.param(None, at(9), [], id="no scheduler has ever run it"),
        pytest.param(LastSlot(at(2), 1, True), at(3, 5), [], id="it is not due"),
        pytest.param(LastSlot(at(2), 1, True), at(3, 6, 15), [], id="it is due for a quarter of an hour"),
        pytest.param(LastSlot(at(2), 1, True), at(3, 6, 16), [LateSchedule(NAME, at(3), 1)], id="it is late"),
        pytest.param(LastSlot(at(2), 1, True), at(5, 12), [LateSchedule(NAME, at(3), 3)], id="three times were missed"),
        pytest.param(LastSlot(at(2), 1, False), at(2, 7), [LateSchedule(NAME, at(2), 1)], id="its run was killed"),
        pytest.param(
            LastSlot(at(2), 1, False, 2, at(1, 0)),
            at(2, 7),
            [LateSchedule(NAME, at(1, 0), 3)],
            id="its run was killed and was to make up for others",
        ),
    ],
)
def test_a_schedule_is_late_if_no_run_has_begun_for_its_time(
    last: LastSlot | None, now: datetime, found: list[LateSchedule]
) -> None:
    assert late(last, now) == found


def test_a_run_in_progress_serves_its_time() -> None:
    slot = LastSlot(at(2), 7, False)
    assert late(slot, at(2, 8), running=7) == []
    assert late(slot, at(2, 8), running=6) == [LateSchedule(NAME, at(2), 1)]

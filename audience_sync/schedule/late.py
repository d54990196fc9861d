"""Find schedules whose time has come without a run: no scheduler runs, or it waits for another run to end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from audience_sync.history.attention import LateSchedule
from audience_sync.schedule.entries import ScheduleEntry
from audience_sync.schedule.times import find_due
from audience_sync.store.runs.schedule_slots import LastSlot

_MOMENT = timedelta(microseconds=1)


def late_schedules(
    entries: Sequence[ScheduleEntry],
    last: Mapping[str, LastSlot],
    now: datetime,
    *,
    tolerance: timedelta,
    running: int | None = None,
) -> Iterator[LateSchedule]:
    """Yield the schedules that are due for longer than ``tolerance``.

    ``last``: the last slot of each schedule, by name; one without a slot was never run by a scheduler and is not late.
    ``running``: the run in progress, which serves its slots.
    """
    for each in entries:
        before = last.get(each.name)
        if before is None:
            continue
        is_served = before.is_over or (running is not None and before.run == running)
        due = find_due(each.schedule, before.at if is_served else before.at - _MOMENT, now)
        if due is None:
            continue
        first, missed = due.since or due.at, due.missed
        if not is_served and before.since is not None:
            first, missed = before.since, missed + before.missed
        if now - first > tolerance:
            yield LateSchedule(each.name, first, missed + 1)

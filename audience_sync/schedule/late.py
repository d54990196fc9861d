"""Find schedules whose time has come without a run: no scheduler runs, or it waits for another run to end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from audience_sync.config.models import Settings
from audience_sync.history.concerns import LateSchedule
from audience_sync.schedule.entries import ScheduleEntry, schedule_entries
from audience_sync.schedule.times import find_due
from audience_sync.store.connection.lease import is_run_in_progress
from audience_sync.store.runs.runs import last_run_started_by
from audience_sync.store.runs.schedule_slots import LastSlot, last_slots

_MOMENT = timedelta(microseconds=1)


def find_late(connection: Connection, settings: Settings, now: datetime) -> list[LateSchedule]:
    """The schedules that are late now, by `notify.late`. Raises ConfigError if the config has no schedule."""
    entries = schedule_entries(settings)
    last = last_slots(connection, [each.name for each in entries], now)
    running = last_run_started_by(connection, now) if is_run_in_progress(connection) else None
    return list(late_schedules(entries, last, now, tolerance=settings.notify.late, running=running))


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

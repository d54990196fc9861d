"""Keep which times of which schedules had a run, so that several schedulers run each time once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from audience_sync.errors import SlotsClaimedError
from audience_sync.store.tables import schedule_slots

#: How far the clocks of two hosts may differ.
MAX_CLOCK_DIFFERENCE = timedelta(minutes=1)


class Slot(NamedTuple):
    """A scheduled time that one run serves.

    ``missed``: the number of earlier times without a run, from ``since`` on; the same run makes up for them.
    """

    schedule: str
    due_at: datetime
    missed: int = 0
    since: datetime | None = None


class LastSlot(NamedTuple):
    """The last slot of a schedule that had a run; with ``run`` None, the time since which the schedule counts.

    ``is_over`` is False if the run was killed or interrupted. Then the ``missed`` earlier times, from ``since`` on,
    are open too.
    """

    at: datetime
    run: int | None
    is_over: bool
    missed: int = 0
    since: datetime | None = None


def last_slots(connection: Connection, schedules: Collection[str], now: datetime) -> dict[str, LastSlot]:
    """The last slot by schedule. Slots in the future come from a wrong clock and are ignored."""
    table = schedule_slots.c
    newest = select(table.schedule, func.max(table.due_at).label("due_at")).where(
        table.schedule.in_(schedules), table.due_at <= now + MAX_CLOCK_DIFFERENCE
    )
    last = newest.group_by(table.schedule).subquery()
    both = (table.schedule == last.c.schedule) & (table.due_at == last.c.due_at)
    found = connection.execute(select(schedule_slots).join(last, both)).all()
    return {row.schedule: _last_slot(row) for row in found}


def _last_slot(row: Row[Any]) -> LastSlot:
    if row.ended_at is not None:
        return LastSlot(row.due_at, row.run_id, True)
    return LastSlot(row.due_at, row.run_id, False, row.missed, row.missed_since)


def latest_other_slots(connection: Connection, schedules: Collection[str], now: datetime) -> dict[str, datetime]:
    """By schedule, the newest slot that another schedule had a run for, or that an unlisted schedule has."""
    table = schedule_slots.c
    counts = table.run_id.is_not(None) | table.schedule.not_in(schedules)
    query = select(table.schedule, func.max(table.due_at)).where(counts, table.due_at <= now + MAX_CLOCK_DIFFERENCE)
    rows = [(row[0], row[1]) for row in connection.execute(query.group_by(table.schedule))]
    found = {each: [at for other, at in rows if other != each] for each in schedules}
    return {each: max(times) for each, times in found.items() if times}


def delete_later_slots(connection: Connection, schedules: Collection[str], now: datetime) -> None:
    """Delete slots later than ``now``: the clock was set back and reaches these times again, so they run again."""
    later = schedule_slots.c.schedule.in_(schedules) & (schedule_slots.c.due_at > now)
    connection.execute(delete(schedule_slots).where(later))


def start_schedules(connection: Connection, schedules: Collection[str], now: datetime) -> None:
    """Let the times of these schedules count from now on, and none before."""
    rows = [{"schedule": each, "due_at": now, "ended_at": now, "missed": 0} for each in schedules]
    if rows:
        connection.execute(insert(schedule_slots), rows)


def free_slots(connection: Connection, slots: Sequence[Slot]) -> Sequence[Slot]:
    """The slots that had no run. Raises SlotsClaimedError if all of them had one."""
    now = max([datetime.now(UTC), *(each.due_at for each in slots)])
    last = last_slots(connection, [each.schedule for each in slots], now)
    free = [each for each in slots if not _had_run(last.get(each.schedule), each)]
    if slots and not free:
        raise SlotsClaimedError("Another scheduler has run for this time.")
    return free


def claim_slots(connection: Connection, slots: Sequence[Slot], run: int) -> None:
    """Record that this run serves these slots."""
    for each in slots:
        key = (schedule_slots.c.schedule == each.schedule) & (schedule_slots.c.due_at == each.due_at)
        connection.execute(delete(schedule_slots).where(key))
        row = {"schedule": each.schedule, "due_at": each.due_at, "run_id": run}
        connection.execute(insert(schedule_slots).values(**row, missed=each.missed, missed_since=each.since))


def _had_run(last: LastSlot | None, slot: Slot) -> bool:
    return last is not None and (last.at > slot.due_at or (last.at == slot.due_at and last.is_over))


def end_slots(connection: Connection, run: int) -> None:
    """Record that the run has ended, so that its slots need no other run."""
    mine = schedule_slots.c.run_id == run
    connection.execute(update(schedule_slots).where(mine).values(ended_at=datetime.now(UTC)))

"""For which times of which schedules was there a run? What makes two schedulers run each once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from audience_sync.errors import SlotsClaimedError
from audience_sync.store.tables import schedule_slots

#: So much may the clocks of two hosts differ.
MAX_CLOCK_DIFFERENCE = timedelta(minutes=1)


class Slot(NamedTuple):
    """A time at which a schedule came round. ``missed``: how many came before it, from ``since`` on, that nobody ran
    for: this run makes up for them."""

    schedule: str
    due_at: datetime
    missed: int = 0
    since: datetime | None = None


class LastSlot(NamedTuple):
    """The last time for which there was a run, or (``run`` None) since which the schedule is known. ``is_over`` is
    False where the run was killed or interrupted; then ``missed`` times before it, from ``since`` on, are open, too."""

    at: datetime
    run: int | None
    is_over: bool
    missed: int = 0
    since: datetime | None = None


def last_slots(connection: Connection, schedules: Collection[str], now: datetime) -> dict[str, LastSlot]:
    """By schedule; of those that the store doesn't know, nothing. What lies ahead, a wrong clock has written."""
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
    """Of each schedule: when another one last came round for a run, or was taken up in its place."""
    table = schedule_slots.c
    witness = table.run_id.is_not(None) | table.schedule.not_in(schedules)
    query = select(table.schedule, func.max(table.due_at)).where(witness, table.due_at <= now + MAX_CLOCK_DIFFERENCE)
    rows = [(row[0], row[1]) for row in connection.execute(query.group_by(table.schedule))]
    found = {each: [at for other, at in rows if other != each] for each in schedules}
    return {each: max(times) for each, times in found.items() if times}


def delete_later_slots(connection: Connection, schedules: Collection[str], now: datetime) -> None:
    """Delete the times ahead of a clock that was set back: the clock comes to them again, and so does their run."""
    later = schedule_slots.c.schedule.in_(schedules) & (schedule_slots.c.due_at > now)
    connection.execute(delete(schedule_slots).where(later))


def start_schedules(connection: Connection, schedules: Collection[str], now: datetime) -> None:
    """From now on the times of these schedules count, and none before."""
    rows = [{"schedule": each, "due_at": now, "ended_at": now, "missed": 0} for each in schedules]
    if rows:
        connection.execute(insert(schedule_slots), rows)


def free_slots(connection: Connection, slots: Sequence[Slot]) -> Sequence[Slot]:
    """Those of the times for which there was no run. Raises SlotsTakenError where there was one for all of them."""
    now = max([datetime.now(UTC), *(each.due_at for each in slots)])
    last = last_slots(connection, [each.schedule for each in slots], now)
    free = [each for each in slots if not _had_run(last.get(each.schedule), each)]
    if slots and not free:
        raise SlotsClaimedError("Another scheduler has run for this time.")
    return free


def claim_slots(connection: Connection, slots: Sequence[Slot], run: int) -> None:
    """Note that this run is for these times."""
    for each in slots:
        key = (schedule_slots.c.schedule == each.schedule) & (schedule_slots.c.due_at == each.due_at)
        connection.execute(delete(schedule_slots).where(key))
        row = {"schedule": each.schedule, "due_at": each.due_at, "run_id": run}
        connection.execute(insert(schedule_slots).values(**row, missed=each.missed, missed_since=each.since))


def _had_run(last: LastSlot | None, slot: Slot) -> bool:
    return last is not None and (last.at > slot.due_at or (last.at == slot.due_at and last.is_over))


def end_slots(connection: Connection, run: int) -> None:
    """The run has come to its end: no other is needed for its times."""
    mine = schedule_slots.c.run_id == run
    connection.execute(update(schedule_slots).where(mine).values(ended_at=datetime.now(UTC)))

"""Which history is no longer kept, and how does it go? In small steps, each a short transaction of its own.

Of the changes only those go that a newer one, itself old enough, has replaced. So the newest change of each user and
property stays for ever: what a user is and has, since when, and what any destination is still to be told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, exists, func, insert, or_, select, tuple_, update

from audience_sync.model import HistoryKind
from audience_sync.store.tables import (
    alerts,
    changes,
    delivery_cursors,
    destinations,
    held_snapshots,
    hold_samples,
    missed_alerts,
    pruned_history,
    refusals,
    rejected_calls,
    rejections,
    requests,
    run_audiences,
    run_destinations,
    schedule_slots,
    withheld_values,
)

#: What goes whole, run by run.
_TABLES_BY_RUN: Mapping[HistoryKind, tuple[Table, ...]] = {
    HistoryKind.REQUESTS: (requests,),
    HistoryKind.REJECTED_ROWS: (rejections,),
    HistoryKind.RUNS: (run_audiences, run_destinations),
}


def pruned_through(connection: Connection) -> dict[HistoryKind, int]:
    """The last run of which not all is kept any more; 0 where everything is."""
    query = select(pruned_history.c.history, pruned_history.c.through_run)
    return dict.fromkeys(HistoryKind, 0) | {
        HistoryKind(row.history): row.through_run for row in connection.execute(query)
    }


def delivered_through(connection: Connection, names: Collection[str], otherwise: int) -> int:
    """The run up to which the named destinations have been told everything; ``otherwise`` where there are none."""
    mine = destinations.c.name.in_(names)
    lowest = select(func.min(delivery_cursors.c.position)).join_from(delivery_cursors, destinations).where(mine)
    found: int | None = connection.execute(lowest).scalar()
    return otherwise if found is None else found


def mark_pruned(connection: Connection, history: HistoryKind, through: int) -> None:
    """Note, before anything is deleted, that up to this run not all is kept any more."""
    known = connection.execute(select(pruned_history).where(pruned_history.c.history == history.value)).first()
    if known is None:
        row = {"history": history.value, "through_run": through, "next_run": 0, "after_user": ""}
        connection.execute(insert(pruned_history).values(row))
    elif known.through_run < through:
        _update_state(connection, history, through_run=through)


def prune(connection: Connection, history: HistoryKind, rows: int) -> bool:
    """Delete some of what may go, for about so many ``rows``. Returns whether there is more."""
    state = connection.execute(select(pruned_history).where(pruned_history.c.history == history.value)).first()
    if state is None:
        return False
    if history is HistoryKind.CHANGES:
        return _prune_changes(connection, state, rows)
    more = [_prune_table(connection, table, state.through_run, rows) for table in _TABLES_BY_RUN[history]]
    if history is HistoryKind.RUNS:
        _prune_samples(connection, state.through_run)
        _prune_slots(connection, state.through_run)
        _prune_alerts(connection, state.through_run)
    return any(more)


def _prune_changes(connection: Connection, state: Row[Any], rows: int) -> bool:
    """Take the next ``rows`` changes that are old enough, and delete those that they replaced."""
    if state.next_run > state.through_run:
        return False
    place = tuple_(changes.c.run_id, changes.c.user_id)
    waiting = (place > tuple_(state.next_run, state.after_user)) & (changes.c.run_id <= state.through_run)
    last = connection.execute(
        select(changes.c.run_id, changes.c.user_id)
        .where(waiting)
        .order_by(changes.c.run_id, changes.c.user_id)
        .offset(rows - 1)
        .limit(1)
    ).first()
    newer = select(changes.c.run_id, changes.c.user_id, changes.c.property_id).where(waiting)
    if last is not None:
        newer = newer.where(place <= tuple_(last.run_id, last.user_id))
    by, old = newer.subquery("newer"), changes.alias("old")
    replaced = (old.c.user_id == by.c.user_id) & (old.c.property_id == by.c.property_id) & (old.c.run_id < by.c.run_id)
    gone = select(old.c.run_id, old.c.user_id, old.c.property_id).join_from(by, old, replaced)
    connection.execute(delete(changes).where(_key(changes).in_(gone)))
    if last is None:
        _update_state(connection, HistoryKind.CHANGES, next_run=state.through_run + 1, after_user="")
    else:
        _update_state(connection, HistoryKind.CHANGES, next_run=last.run_id, after_user=last.user_id)
    return last is not None


def _prune_table(connection: Connection, table: Table, through: int, rows: int) -> bool:
    old = table.c.run_id <= through
    if table is requests:
        old &= ~exists().where(rejected_calls.c.request_id == requests.c.id, _is_call_pending())
    oldest = select(*table.primary_key).where(old).order_by(table.c.run_id).limit(rows)
    return connection.execute(delete(table).where(_key(table).in_(oldest))).rowcount >= rows


def _is_call_pending() -> ColumnElement[bool]:
    """Whether a call that was not taken is still refused or withheld: the request says why."""
    return or_(
        *(
            exists().where(
                kept.c.destination_id == requests.c.destination_id, kept.c.user_id == rejected_calls.c.user_id
            )
            for kept in (refusals, withheld_values)
        )
    )


def _prune_samples(connection: Connection, through: int) -> None:
    """The users named by holds that were decided; the holds themselves stay."""
    over = held_snapshots.c.decided_at.is_not(None) & (held_snapshots.c.last_run_id <= through)
    mine = held_snapshots.c.id == hold_samples.c.hold_id
    connection.execute(delete(hold_samples).where(exists().where(mine, over)))


def _prune_slots(connection: Connection, through: int) -> None:
    """The times of schedules; not the last of each, which says from when on the next count."""
    newer = schedule_slots.alias("newer")
    later = (newer.c.schedule == schedule_slots.c.schedule) & (newer.c.due_at > schedule_slots.c.due_at)
    old = schedule_slots.c.run_id <= through
    connection.execute(delete(schedule_slots).where(old, exists().where(later)))


def _prune_alerts(connection: Connection, through: int) -> None:
    old = alerts.c.ended_run <= through
    connection.execute(delete(missed_alerts).where(missed_alerts.c.alert_id.in_(select(alerts.c.id).where(old))))
    connection.execute(delete(alerts).where(old))


def _key(table: Table) -> ColumnElement[Any]:
    columns = tuple(table.primary_key)
    return columns[0] if len(columns) == 1 else tuple_(*columns)


def _update_state(connection: Connection, history: HistoryKind, **values: object) -> None:
    connection.execute(update(pruned_history).where(pruned_history.c.history == history.value).values(values))

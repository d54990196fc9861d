"""Delete history that `retention` no longer keeps, in small steps, each a short transaction of its own.

A change is deleted only if a newer change, itself old enough, replaced it. So the newest change of each user and
property stays for ever: the current value, its run, and every value that is still pending.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, exists, func, insert, or_, select, tuple_, update

from audience_sync.model import NO_RUN, HistoryKind, RunId, WebhookStatus
from audience_sync.store.tables import (
    alert_log,
    changes,
    delivery_cursors,
    delivery_destinations,
    delivery_requests,
    held_snapshots,
    hold_samples,
    missed_notifications,
    open_refusals,
    pruned_history,
    request_attempts,
    run_audiences,
    run_destinations,
    run_invalid_rows,
    run_webhook_log,
    schedule_slots,
    stage_log,
    unaccepted_calls,
    withheld_values,
)

#: Tables whose rows are deleted by run.
_TABLES_BY_RUN: Mapping[HistoryKind, tuple[Table, ...]] = {
    HistoryKind.REQUESTS: (delivery_requests, request_attempts),
    HistoryKind.INVALID_ROWS: (run_invalid_rows,),
    HistoryKind.RUNS: (run_audiences, run_destinations, stage_log, run_webhook_log),
}


def pruned_through(connection: Connection) -> dict[HistoryKind, RunId]:
    """By kind of history, the last run whose history may be incomplete; 0 = all is kept."""
    query = select(pruned_history.c.history, pruned_history.c.through_run)
    return dict.fromkeys(HistoryKind, NO_RUN) | {
        HistoryKind(row.history): row.through_run for row in connection.execute(query)
    }


def delivered_through(connection: Connection, names: Collection[str], otherwise: RunId) -> RunId:
    """The lowest position of the named destinations; ``otherwise`` if the store has none of them."""
    mine = delivery_destinations.c.name.in_(names)
    lowest = select(func.min(delivery_cursors.c.position)).select_from(delivery_cursors.join(delivery_destinations))
    found: RunId | None = connection.execute(lowest.where(mine)).scalar()
    return otherwise if found is None else found


def mark_pruned(connection: Connection, history: HistoryKind, through: int) -> None:
    """Record, before anything is deleted, that the history up to this run may be incomplete."""
    known = connection.execute(select(pruned_history).where(pruned_history.c.history == history.value)).first()
    if known is None:
        row = {"history": history.value, "through_run": through, "next_run": 0, "after_user": ""}
        connection.execute(insert(pruned_history).values(row))
    elif known.through_run < through:
        _update_state(connection, history, through_run=through)


def prune(connection: Connection, history: HistoryKind, rows: int) -> bool:
    """Delete a part of the expired history, about ``rows`` rows. Returns whether more is left to delete."""
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
    """Read the next ``rows`` changes that are old enough, and delete the ones they replaced."""
    if state.next_run > state.through_run:
        return False
    order = tuple_(changes.c.run_id, changes.c.user_id)
    unread = (order > tuple_(state.next_run, state.after_user)) & (changes.c.run_id <= state.through_run)
    last = connection.execute(
        select(changes.c.run_id, changes.c.user_id)
        .where(unread)
        .order_by(changes.c.run_id, changes.c.user_id)
        .offset(rows - 1)
        .limit(1)
    ).first()
    newer = select(changes.c.run_id, changes.c.user_id, changes.c.property_id).where(unread)
    if last is not None:
        newer = newer.where(order <= tuple_(last.run_id, last.user_id))
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
    if table is delivery_requests:
        old &= ~exists().where(unaccepted_calls.c.request_id == delivery_requests.c.id, _is_call_pending())
    if table is run_webhook_log:
        old &= run_webhook_log.c.status != WebhookStatus.WAITING.value
    oldest = select(*table.primary_key).where(old).order_by(table.c.run_id).limit(rows)
    return connection.execute(delete(table).where(_key(table).in_(oldest))).rowcount >= rows


def _is_call_pending() -> ColumnElement[bool]:
    """Whether a call is still refused or withheld: then its request is kept, which has the reason."""
    destination, user = delivery_requests.c.destination_id, unaccepted_calls.c.user_id
    kept = (open_refusals.c, withheld_values.c)
    return or_(*(exists().where(each.destination_id == destination, each.user_id == user) for each in kept))


def _prune_samples(connection: Connection, through: int) -> None:
    """Delete the sample users of decided holds; the holds themselves stay."""
    over = held_snapshots.c.decided_at.is_not(None) & (held_snapshots.c.last_run_id <= through)
    mine = held_snapshots.c.id == hold_samples.c.hold_id
    connection.execute(delete(hold_samples).where(exists().where(mine, over)))


def _prune_slots(connection: Connection, through: int) -> None:
    """Delete the slots of schedules, except the last of each, from which the next is counted."""
    newer = schedule_slots.alias("newer")
    later = (newer.c.schedule == schedule_slots.c.schedule) & (newer.c.due_at > schedule_slots.c.due_at)
    old = schedule_slots.c.run_id <= through
    connection.execute(delete(schedule_slots).where(old, exists().where(later)))


def _prune_alerts(connection: Connection, through: int) -> None:
    old = alert_log.c.ended_run <= through
    missed = missed_notifications.c.alert_id.in_(select(alert_log.c.id).where(old))
    connection.execute(delete(missed_notifications).where(missed))
    connection.execute(delete(alert_log).where(old))


def _key(table: Table) -> ColumnElement[Any]:
    columns = tuple(table.primary_key)
    return columns[0] if len(columns) == 1 else tuple_(*columns)


def _update_state(connection: Connection, history: HistoryKind, **values: object) -> None:
    connection.execute(update(pruned_history).where(pruned_history.c.history == history.value).values(values))

"""Record the deliveries of a run: the planned ones, then what the answers or its report have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from audience_sync.model import RunId
from audience_sync.store.tables import (
    delivery_cursors,
    delivery_destinations,
    delivery_requests,
    run_destinations,
    unaccepted_calls,
    view_prefix,
)


def plan_deliveries(connection: Connection, run: RunId, planned: Mapping[int, int]) -> None:
    """Write the numbers of calls to deliver, by destination's id, in the transaction that commits the run.

    Until the run ends, the pending calls are these minus the answered ones.
    """
    none = dict.fromkeys(("delivered", "refused", "retries", "requests"), 0)
    rows = [
        {"run_id": run, "destination_id": destination, "calls": calls, "pending": calls, **none, "seconds": 0.0}
        for destination, calls in planned.items()
    ]
    if rows:
        connection.execute(insert(run_destinations), rows)


class CursorCalls(Struct, frozen=True, kw_only=True):
    """The calls that a run is to send from one cursor of a destination.

    ``since``: the run since which some are pending. ``seeding``: the key of the audience that a person seeds from it.
    ``waiting``: calls to users whom that seed has not reached; None if the run is the seed, which sends them.
    """

    destination: str
    seeding: str | None
    calls: int
    since: RunId
    waiting: int | None = None


def plan_pending(connection: Connection, run: RunId, planned: Mapping[int, CursorCalls]) -> None:
    """Write the calls that are pending, by cursor's id, in the transaction that commits the run.

    Until the run has ended, or ``settle_pending`` has counted, its answered calls are to be subtracted.
    """
    rows = [
        {
            "cursor": cursor,
            "pending_calls": each.calls,
            "pending_run": run,
            "pending_since_run": each.since,
            "waiting_calls": each.waiting,
        }
        for cursor, each in planned.items()
    ]
    if rows:
        connection.execute(update(delivery_cursors).where(delivery_cursors.c.id == bindparam("cursor")), rows)


def settle_pending(connection: Connection, run: RunId) -> None:
    """Subtract the calls that the run has had answers to, or has withheld, from those pending."""
    request, cursor = delivery_requests.c, delivery_cursors.c
    mine = (
        (request.run_id == run)
        & (request.destination_id == cursor.destination_id)
        & (func.coalesce(request.seeded_property_id, 0) == func.coalesce(cursor.seeded_property_id, 0))
    )
    answered = select(func.coalesce(func.sum(request.calls), 0)).where(mine)
    withheld = select(func.count()).select_from(delivery_requests.join(unaccepted_calls))
    withheld = withheld.where(mine, unaccepted_calls.c.reason.is_(None))
    counts = (each.correlate(delivery_cursors).scalar_subquery() for each in (answered, withheld))
    left = cursor.pending_calls - sum(counts)
    settled = update(delivery_cursors).where(cursor.pending_run == run).values(pending_calls=left, pending_run=None)
    connection.execute(settled)


def replace_deliveries(connection: Connection, run: RunId, rows: Sequence[Mapping[str, object]]) -> None:
    """Replace the rows of a run's deliveries."""
    connection.execute(delete(run_destinations).where(run_destinations.c.run_id == run))
    if rows:
        connection.execute(insert(run_destinations), rows)


def count_answers(connection: Connection, run: RunId) -> None:
    """Write what the newest run, which broke off, has delivered: as the view shows it until its end is recorded."""
    prefix = view_prefix(connection)
    found = connection.execute(text(f"select * from {prefix}deliveries where run = :run"), {"run": run}).mappings()
    ids = {row.name: row.id for row in connection.execute(select(delivery_destinations))}
    rows = [
        {name: each[name] for name in each if name in run_destinations.c}
        | {"run_id": run, "destination_id": ids[each["destination"]]}
        for each in found
    ]
    replace_deliveries(connection, run, rows)
    settle_pending(connection, run)

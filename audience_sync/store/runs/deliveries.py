"""Record the deliveries of a run: the planned ones, then what the answers or its report have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from audience_sync.model import RunId
from audience_sync.store.tables import (
    delivery_cursors,
    delivery_requests,
    run_destinations,
    runs,
    unaccepted_calls,
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
    """Replace the planned deliveries of a run that broke off by what its requests show as delivered and pending."""
    planned = {
        row.destination_id: row.calls
        for row in connection.execute(
            select(run_destinations.c.destination_id, run_destinations.c.calls).where(run_destinations.c.run_id == run)
        )
    }
    withheld = _withheld(connection, run)
    committed = connection.execute(select(runs.c.committed_at).where(runs.c.id == run)).scalar()
    found = {
        row.destination_id: row
        for row in connection.execute(
            select(
                delivery_requests.c.destination_id,
                func.sum(delivery_requests.c.calls).label("calls"),
                func.sum(delivery_requests.c.refused).label("refused"),
                func.sum(delivery_requests.c.attempts).label("attempts"),
                func.count().label("answered"),
                func.max(delivery_requests.c.answered_at).label("last_at"),
            )
            .where(delivery_requests.c.run_id == run)
            .group_by(delivery_requests.c.destination_id)
        )
    }
    rows = []
    for destination in sorted(planned.keys() | found.keys()):
        each = found.get(destination)
        answered, refused = (int(each.calls), int(each.refused)) if each else (0, 0)
        calls = planned.get(destination, answered) - withheld.get(destination, 0)
        took = (each.last_at - committed).total_seconds() if each and committed else 0.0
        rows.append(
            {
                "run_id": run,
                "destination_id": destination,
                "calls": calls,
                "delivered": answered - refused,
                "refused": refused,
                "pending": calls - answered,
                "retries": int(each.attempts - each.answered) if each else 0,
                "requests": int(each.attempts) if each else 0,
                "seconds": round(max(took, 0.0), 3),
            }
        )
    replace_deliveries(connection, run, rows)
    settle_pending(connection, run)


def _withheld(connection: Connection, run: RunId) -> dict[int, int]:
    """By destination's id, the calls not sent because their users were suppressed during the run."""
    query = (
        select(delivery_requests.c.destination_id, func.count().label("calls"))
        .join_from(delivery_requests, unaccepted_calls)
        .where(delivery_requests.c.run_id == run, unaccepted_calls.c.reason.is_(None))
        .group_by(delivery_requests.c.destination_id)
    )
    return {row.destination_id: row.calls for row in connection.execute(query)}

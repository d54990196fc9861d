"""What is written when answers have come? The position, one row a request, and the calls that were refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from audience_sync.delivery.feeds import Feed, move
from audience_sync.delivery.ranges import Range, mark
from audience_sync.delivery.sender import Outcome, Refusal
from audience_sync.model import RunId
from audience_sync.store.lease import Lease
from audience_sync.store.tables import refusals, refused_values, requests


def acknowledge(
    lease: Lease,
    feed: Feed,
    destination: int,
    run: RunId,
    outcomes: Sequence[Outcome],
    property_ids: Mapping[str, int],
) -> Feed:
    """Make the answers durable, in one transaction; a batch without a full answer moves nothing."""
    answered = [outcome for outcome in outcomes if outcome.answered]
    if not answered:
        return feed
    ranges = feed.ranges
    for outcome in answered:
        ranges = mark(ranges, Range(outcome.batch.after, outcome.batch.through, run))
    with lease.transaction() as connection:
        connection.execute(insert(requests), [_request(outcome, destination, run) for outcome in answered])
        for outcome in answered:
            earlier = _forget_refusals(connection, destination, outcome)
            _keep_refusals(connection, destination, run, outcome.refusals, property_ids, earlier)
        return move(connection, feed, ranges)


def _request(outcome: Outcome, destination: int, run: RunId) -> dict[str, Any]:
    return {
        "destination_id": destination,
        "run_id": run,
        "after_user": outcome.batch.after,
        "through_user": outcome.batch.through,
        "calls": len(outcome.batch.calls),
        "refused": len(outcome.refusals),
        "attempts": outcome.requests,
        "http_status": outcome.http_status,
        "answer": outcome.reason or None,
        "answered_at": datetime.now(UTC),
    }


def _forget_refusals(connection: Connection, destination: int, outcome: Outcome) -> dict[str, int]:
    """Calls that were refused before and have an answer now, with how often they had been tried.

    The ones refused again are written anew.
    """
    here = (
        (refusals.c.destination_id == destination)
        & (refusals.c.user_id > outcome.batch.after)
        & (refusals.c.user_id <= outcome.batch.through)
    )
    waiting = connection.execute(select(refusals.c.user_id, refusals.c.attempts).where(here)).all()
    sent = {call.call.user_id for call in outcome.batch.calls}
    gone = {user: attempts for user, attempts in waiting if user in sent}
    for table in (refused_values, refusals) if gone else ():
        condition = (table.c.destination_id == destination) & (table.c.user_id == bindparam("gone"))
        connection.execute(delete(table).where(condition), [{"gone": user} for user in gone])
    return gone


def _keep_refusals(
    connection: Connection,
    destination: int,
    run: RunId,
    found: Sequence[Refusal],
    property_ids: Mapping[str, int],
    earlier: Mapping[str, int],
) -> None:
    if not found:
        return
    now = datetime.now(UTC)
    rows = [
        {
            "destination_id": destination,
            "user_id": refusal.call.call.user_id,
            "run_id": run,
            "reason": refusal.reason,
            "http_status": refusal.http_status,
            "attempts": earlier.get(refusal.call.call.user_id, 0) + 1,
            "refused_at": now,
        }
        for refusal in found
    ]
    connection.execute(insert(refusals), rows)
    values = [value for refusal in found for value in _values(destination, refusal, property_ids)]
    connection.execute(insert(refused_values), values)


def _values(destination: int, refusal: Refusal, property_ids: Mapping[str, int]) -> list[dict[str, Any]]:
    call = refusal.call.call
    runs = dict(version.rsplit("@", 1) for version in call.versions.split(","))
    return [
        {
            "destination_id": destination,
            "user_id": call.user_id,
            "property_id": property_ids[key],
            "value": None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":")),
            "run_id": int(runs[key]),
        }
        for key, value in call.traits.items()
    ]

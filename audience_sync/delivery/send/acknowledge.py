"""Record the answers to requests in one transaction: cursor, requests, refused and withheld calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, exists, func, insert, select, update

from audience_sync.delivery.send.results import BatchResult, RefusedCall, partial_refusal_reason
from audience_sync.delivery.send.withheld import delete_withheld, withheld_users
from audience_sync.delivery.state.cursors import DeliveryCursor, save_ranges
from audience_sync.delivery.state.ranges import Range, intersect, merge_range
from audience_sync.model import IdentifyCall, RunId
from audience_sync.store.audiences.suppressions import withhold
from audience_sync.store.connection.lease import Lease
from audience_sync.store.tables import refusals, refused_values, rejected_calls, requests, withheld_values

CallsOf = Callable[[Collection[str]], Mapping[str, IdentifyCall]]


def acknowledge(
    lease: Lease,
    cursor: DeliveryCursor,
    destination: int,
    run: RunId,
    results: Sequence[BatchResult],
    property_ids: Mapping[str, int],
    find_calls: CallsOf,
    *,
    includes_everyone: bool = True,
    releases: bool = False,
    retries: bool = False,
) -> DeliveryCursor:
    """Write the answers in one transaction and return the new cursor. A batch without a full answer moves nothing.

    ``find_calls`` reads the calls of a few users. ``includes_everyone`` is false if the batches hold only users inside
    the cursor's ranges: users between them do not move. ``releases``: some calls carry values that were withheld
    earlier. ``retries``: some calls were refused before.
    """
    answered = [outcome for outcome in results if outcome.answered]
    if not answered:
        return cursor
    ranges = cursor.ranges
    for outcome in answered:
        sent = Range(outcome.batch.after, outcome.batch.through, run)
        for part in [sent] if includes_everyone else intersect(sent, cursor.ranges):
            ranges = merge_range(ranges, part)

    def write(connection: Connection) -> DeliveryCursor:
        _record_requests(connection, cursor, destination, run, answered, property_ids, find_calls, retries)
        for outcome in answered:
            if releases:
                _release_withheld(connection, destination, outcome, property_ids, find_calls)
            earlier = _clear_refusals(connection, destination, run, outcome, property_ids, find_calls)
            _record_refusals(connection, destination, run, outcome.refusals, property_ids, earlier, find_calls)
            if outcome.withheld:
                calls = find_calls([each.user_id for each in outcome.withheld]).values()
                withhold(connection, [row for call in calls for row in _value_rows(destination, call, property_ids)])
        return save_ranges(connection, cursor, ranges)

    def done(connection: Connection) -> DeliveryCursor | None:
        known = _is_recorded(connection, cursor, destination, run, answered[0], property_ids)
        return replace(cursor, ranges=ranges) if known else None

    return lease.transact(write, done)


def _is_recorded(
    connection: Connection,
    cursor: DeliveryCursor,
    destination: int,
    run: RunId,
    result: BatchResult,
    property_ids: Mapping[str, int],
) -> bool:
    """Return whether the store has this request already."""
    seeding = property_ids[cursor.seeding] if cursor.seeding else None
    mine = (requests.c.destination_id == destination) & (requests.c.run_id == run)
    same = (requests.c.after_user == result.batch.after) & (requests.c.through_user == result.batch.through)
    query = select(requests.c.id).where(mine, same, requests.c.seeding_id.is_not_distinct_from(seeding))
    return connection.execute(query).first() is not None


def _record_requests(
    connection: Connection,
    cursor: DeliveryCursor,
    destination: int,
    run: RunId,
    answered: Sequence[BatchResult],
    property_ids: Mapping[str, int],
    find_calls: CallsOf,
    retries: bool,
) -> None:
    """Insert a row for each request and each call that was not accepted: `explain` derives all calls from them."""
    terms = {
        "seeding_id": property_ids[cursor.seeding] if cursor.seeding else None,
        "position": cursor.position,
        "attempted_run": cursor.attempted_run,
        "retried": retries,
    }
    rows = [{**_request_row(outcome, destination, run), **terms} for outcome in answered]
    numbered = insert(requests).returning(requests.c.id, sort_by_parameter_order=True)
    numbers = connection.execute(numbered, rows).scalars().all()
    rejected = [
        row
        for number, each in zip(numbers, answered, strict=True)
        for row in _rejection_rows(number, each, property_ids, find_calls)
    ]
    if rejected:
        connection.execute(insert(rejected_calls), rejected)


def _rejection_rows(
    request: int, result: BatchResult, property_ids: Mapping[str, int], find_calls: CallsOf
) -> list[dict[str, Any]]:
    parts = _refused_properties(result.refusals, find_calls)
    ids = {user: json.dumps(sorted(property_ids[key] for key in keys)) for user, keys in parts.items()}
    row = {"request_id": request, "reason": None, "http_status": None, "refused_properties": None}
    withheld = {each.user_id: {**row, "user_id": each.user_id} for each in result.withheld}
    refused = {
        user: {
            **row,
            "user_id": user,
            "reason": _reason(each, parts),
            "http_status": each.http_status,
            "refused_properties": ids.get(user),
        }
        for each in result.refusals
        for user in [each.call.user_id]
    }
    return list({**withheld, **refused}.values())


def _refused_properties(refused: Sequence[RefusedCall], find_calls: CallsOf) -> dict[str, frozenset[str]]:
    """Return the refused properties by user, of calls whose other properties were sent."""
    parts = {each.call.user_id: each.properties for each in refused if each.properties}
    calls = find_calls(parts.keys()) if parts else {}
    return {user: keys for user, keys in parts.items() if calls[user].traits.keys() - keys}


def _reason(refusal: RefusedCall, parts: Mapping[str, frozenset[str]]) -> str:
    user = refusal.call.user_id
    return partial_refusal_reason(refusal.reason, parts[user]) if user in parts else refusal.reason


def _request_row(result: BatchResult, destination: int, run: RunId) -> dict[str, Any]:
    return {
        "destination_id": destination,
        "run_id": run,
        "after_user": result.batch.after,
        "through_user": result.batch.through,
        "calls": len(result.batch.calls) - len(result.withheld),
        "refused": len(result.refusals),
        "attempts": result.requests,
        "http_status": result.http_status,
        "answer": result.reason or None,
        "answered_at": datetime.now(UTC),
    }


def _clear_refusals(
    connection: Connection,
    destination: int,
    run: RunId,
    result: BatchResult,
    property_ids: Mapping[str, int],
    find_calls: CallsOf,
) -> dict[str, int]:
    """Delete the refused values that these calls carried. Return the number of earlier refusals by user.

    A refusal stays while it has values that no call carried: those of another cursor, or of a property without an
    active subscription. A call that is refused again gets a new row.
    """
    earlier = _refused_before(connection, destination, result)
    if not earlier:
        return {}
    calls = find_calls(earlier.keys() & _answered_users(result)).values()
    if not calls:
        return {}
    carried = [{"user": call.user_id, "property": property_ids[key]} for call in calls for key in call.traits]
    mine = (refused_values.c.destination_id == destination) & (refused_values.c.user_id == bindparam("user"))
    value = mine & (refused_values.c.property_id == bindparam("property"))
    connection.execute(delete(refused_values).where(value), carried)
    again = {refusal.call.user_id for refusal in result.refusals}
    remaining = _users_with_refused_values(connection, destination, result) - again
    _delete_refusals(connection, destination, [call.user_id for call in calls if call.user_id not in remaining])
    accepted = [call.user_id for call in calls if call.user_id not in remaining | again]
    _record_acceptance(connection, destination, run, accepted)
    return {call.user_id: earlier[call.user_id] for call in calls}


def _answered_users(result: BatchResult) -> set[str]:
    """Return the users whose calls were answered, without those suppressed meanwhile."""
    return {each.user_id for each in result.batch.calls}.difference(each.user_id for each in result.withheld)


def _release_withheld(
    connection: Connection, destination: int, result: BatchResult, property_ids: Mapping[str, int], find_calls: CallsOf
) -> None:
    user = withheld_values.c.user_id
    between = (user > result.batch.after) & (user <= result.batch.through)
    waiting = withheld_users(connection, destination, between) & _answered_users(result)
    delete_withheld(connection, destination, list(find_calls(waiting).values()), between, property_ids)


def _refused_before(connection: Connection, destination: int, result: BatchResult) -> dict[str, int]:
    query = select(refusals.c.user_id, refusals.c.attempts).where(_in_batch(refusals, destination, result))
    return {row.user_id: row.attempts for row in connection.execute(query)}


def _users_with_refused_values(connection: Connection, destination: int, result: BatchResult) -> set[str]:
    query = select(refused_values.c.user_id).where(_in_batch(refused_values, destination, result))
    return set(connection.execute(query).scalars())


def _delete_refusals(connection: Connection, destination: int, users: Sequence[str]) -> None:
    if users:
        mine = (refusals.c.destination_id == destination) & (refusals.c.user_id == bindparam("user"))
        connection.execute(delete(refusals).where(mine), [{"user": user} for user in users])


def _record_acceptance(connection: Connection, destination: int, run: RunId, users: Sequence[str]) -> None:
    """Mark the earlier refusals of these users as accepted in this run."""
    if not users:
        return
    here = exists().where(requests.c.id == rejected_calls.c.request_id, requests.c.destination_id == destination)
    open_ones = rejected_calls.c.reason.is_not(None) & rejected_calls.c.accepted_run.is_(None)
    mine = update(rejected_calls).where(rejected_calls.c.user_id == bindparam("user"), open_ones, here)
    connection.execute(mine.values(accepted_run=run), [{"user": user} for user in users])


def _in_batch(table: Table, destination: int, result: BatchResult) -> ColumnElement[bool]:
    user = table.c.user_id
    return (table.c.destination_id == destination) & (user > result.batch.after) & (user <= result.batch.through)


def _record_refusals(
    connection: Connection,
    destination: int,
    run: RunId,
    found: Sequence[RefusedCall],
    property_ids: Mapping[str, int],
    earlier: Mapping[str, int],
    find_calls: CallsOf,
) -> None:
    if not found:
        return
    now, parts = datetime.now(UTC), _refused_properties(found, find_calls)
    rows = [
        {
            "destination_id": destination,
            "user_id": refusal.call.user_id,
            "run_id": run,
            "reason": _reason(refusal, parts),
            "http_status": refusal.http_status,
            "attempts": earlier.get(refusal.call.user_id, 0) + 1,
            "refused_at": now,
        }
        for refusal in found
    ]
    connection.execute(insert(refusals), rows)
    calls = find_calls([refusal.call.user_id for refusal in found])
    values = [
        value
        for refusal in found
        for value in _value_rows(destination, calls[refusal.call.user_id], property_ids, refusal.properties)
    ]
    connection.execute(insert(refused_values), values)


def _value_rows(
    destination: int, call: IdentifyCall, property_ids: Mapping[str, int], only: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Return a row for each property of a call; ``only`` limits the properties."""
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
        if only is None or key in only
    ]


def count_refused(connection: Connection, destination: int) -> int:
    """Count the calls that the destination refused and has not accepted since."""
    query = select(func.count()).select_from(refusals).where(refusals.c.destination_id == destination)
    return connection.execute(query).scalar_one()

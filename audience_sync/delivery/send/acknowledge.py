"""Record the answers to requests in one transaction: cursor, requests, refused and withheld calls."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Table,
    Update,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from audience_sync.delivery.send.batches import Attempt, BatchResult, RefusedCall, partial_refusal_reason
from audience_sync.delivery.state.cursors import DeliveryCursor, save_ranges
from audience_sync.delivery.state.ranges import Range, intersect, merge_range
from audience_sync.model import DestinationId, IdentifyCall, PropertyId, RunId, UserId
from audience_sync.store.audiences.suppressions import withhold
from audience_sync.store.connection.lease import Lease
from audience_sync.store.tables import (
    delivery_requests,
    open_refusals,
    refused_values,
    request_attempts,
    unaccepted_calls,
    withheld_values,
)


def acknowledge(
    lease: Lease, cursor: DeliveryCursor, results: Sequence[BatchResult], recorder: AnswerRecorder
) -> DeliveryCursor:
    """Write the answers in one transaction and return the new cursor. A batch without a full answer moves nothing.

    The attempts before them are written too; without an answer they wait for the next transaction.
    """
    answered = [result for result in results if result.answered]
    if not answered:
        return cursor
    attempts = recorder.pop_attempts()
    ranges = cursor.ranges
    for result in answered:
        sent = Range(result.batch.after, result.batch.through, recorder.run)
        for part in [sent] if recorder.includes_everyone else intersect(sent, cursor.ranges):
            ranges = merge_range(ranges, part)

    def write(connection: Connection) -> DeliveryCursor:
        recorder.record(connection, cursor, answered)
        recorder.record_attempts(connection, cursor, attempts)
        return save_ranges(connection, cursor, ranges)

    def done(connection: Connection) -> DeliveryCursor | None:
        return replace(cursor, ranges=ranges) if recorder.has_recorded(connection, cursor, answered[0]) else None

    return lease.transact(write, done)


class AnswerRecorder(Struct, frozen=True, kw_only=True):
    """Record the answers of one destination in a run: `explain` derives all calls from them.

    ``find_calls`` reads the calls of a few users. ``includes_everyone`` is false if the batches hold only users inside
    the cursor's ranges: users between them do not move. ``releases``: some calls carry values that were withheld
    earlier. ``retries``: some calls were refused before. ``attempts``: requests without a final answer that are not
    recorded yet; threads add some.
    """

    destination: DestinationId
    run: RunId
    property_ids: Mapping[str, PropertyId]
    find_calls: Callable[[Collection[UserId]], Mapping[UserId, IdentifyCall]]
    includes_everyone: bool = True
    releases: bool = False
    retries: bool = False
    attempts: deque[Attempt] = field(default_factory=deque)

    def pop_attempts(self) -> list[Attempt]:
        """Return the attempts that are not recorded yet, and forget them. Two threads may call it at once."""
        found = list[Attempt]()
        with suppress(IndexError):
            while True:
                found.append(self.attempts.popleft())
        return found

    def record_attempts(self, connection: Connection, cursor: DeliveryCursor, found: Sequence[Attempt]) -> None:
        """Insert a row for each request without a final answer."""
        if found:
            connection.execute(insert(request_attempts), [self._attempt_row(each, cursor) for each in found])

    def record_waiting(self, connection: Connection, cursor: DeliveryCursor) -> None:
        """Record the attempts so far, in a transaction that is not repeated: if it fails, they wait for the next."""
        found = self.pop_attempts()
        try:
            self.record_attempts(connection, cursor, found)
        except SQLAlchemyError:
            self.attempts.extendleft(reversed(found))
            raise

    def _attempt_row(self, each: Attempt, cursor: DeliveryCursor) -> dict[str, Any]:
        return {
            "destination_id": self.destination,
            "run_id": self.run,
            "seeded_property_id": self._seeding_id(cursor),
            "after_user": each.batch.after,
            "through_user": each.batch.through,
            "attempt": each.number,
            "calls": each.calls,
            "sent_at": each.sent_at,
            "seconds": round(each.seconds, 3),
            "http_status": each.http_status,
            "answer": each.answer or None,
        }

    def has_recorded(self, connection: Connection, cursor: DeliveryCursor, result: BatchResult) -> bool:
        """Return whether the store has this request already."""
        request, batch = delivery_requests.c, result.batch
        mine = (request.destination_id == self.destination) & (request.run_id == self.run)
        same = (request.after_user == batch.after) & (request.through_user == batch.through)
        seeding = request.seeded_property_id.is_not_distinct_from(self._seeding_id(cursor))
        return connection.execute(select(request.id).where(mine, same, seeding)).first() is not None

    def _seeding_id(self, cursor: DeliveryCursor) -> PropertyId | None:
        return self.property_ids[cursor.seeding] if cursor.seeding else None

    def record(self, connection: Connection, cursor: DeliveryCursor, answered: Sequence[BatchResult]) -> None:
        """Insert a row for each request, and what follows from its refused and withheld calls."""
        cursor_columns = {
            "seeded_property_id": self._seeding_id(cursor),
            "position": cursor.position,
            "attempted_run": cursor.attempted_run,
            "retried": self.retries,
        }
        rows = [{**self._request_row(result), **cursor_columns} for result in answered]
        has_refusals = self._has_refusals(connection, answered)
        inserted = insert(delivery_requests).returning(delivery_requests.c.id, sort_by_parameter_order=True)
        for request, result in zip(connection.execute(inserted, rows).scalars().all(), answered, strict=True):
            if self.releases:
                self._release_withheld(connection, result)
            attempts = self._clear_refusals(connection, result) if has_refusals else {}
            self._record_refusals(connection, request, result.refusals, attempts)
            self._withhold(connection, request, result)

    def _request_row(self, result: BatchResult) -> dict[str, Any]:
        return {
            "destination_id": self.destination,
            "run_id": self.run,
            "after_user": result.batch.after,
            "through_user": result.batch.through,
            "calls": len(result.batch.calls) - len(result.withheld),
            "refused": len(result.refusals),
            "attempts": result.requests,
            "http_status": result.http_status,
            "answer": result.reason or None,
            "answered_at": datetime.now(UTC),
            "sent_at": result.sent_at,
            "seconds": None if result.sent_at is None else round(result.seconds, 3),
        }

    def _has_refusals(self, connection: Connection, answered: Sequence[BatchResult]) -> bool:
        """Return whether a call to any of these users may have been refused earlier."""
        user = open_refusals.c.user_id
        first, last = min(each.batch.after for each in answered), max(each.batch.through for each in answered)
        mine = (open_refusals.c.destination_id == self.destination) & (user > first) & (user <= last)
        return connection.execute(select(user).where(mine).limit(1)).first() is not None

    def _release_withheld(self, connection: Connection, result: BatchResult) -> None:
        """Delete the withheld values that these calls carried."""
        between = self._between(withheld_values, result)
        waiting = set(connection.execute(select(withheld_values.c.user_id).where(between).distinct()).scalars())
        calls = self.find_calls(_answered_users(result, waiting)).values()
        self._delete_carried(connection, withheld_values, calls)

    def _clear_refusals(self, connection: Connection, result: BatchResult) -> dict[str, int]:
        """Delete the refused values that these calls carried. Return the number of earlier refusals by user.

        A refusal stays while it has values that no call carried: those of another cursor, or of a property without an
        active subscription. A call that is refused again gets a new row.
        """
        query = select(open_refusals.c.user_id, open_refusals.c.attempts).where(self._between(open_refusals, result))
        earlier = {row.user_id: row.attempts for row in connection.execute(query)}
        calls = self.find_calls(_answered_users(result, earlier.keys()))
        if not calls:
            return {}
        self._delete_carried(connection, refused_values, calls.values())
        again = {refusal.call.user_id for refusal in result.refusals}
        left = select(refused_values.c.user_id).where(self._between(refused_values, result))
        remaining = set(connection.execute(left).scalars()) - again
        mine = (open_refusals.c.destination_id == self.destination) & (open_refusals.c.user_id == bindparam("user"))
        _for_users(connection, delete(open_refusals).where(mine), calls.keys() - remaining)
        self._record_acceptance(connection, calls.keys() - remaining - again)
        return {user: earlier[user] for user in calls}

    def _record_acceptance(self, connection: Connection, users: Collection[UserId]) -> None:
        """Mark the earlier refusals of these users as accepted in this run."""
        request, call = delivery_requests.c, unaccepted_calls.c
        here = exists().where(request.id == call.request_id, request.destination_id == self.destination)
        is_open = call.reason.is_not(None) & call.accepted_run.is_(None)
        mine = update(unaccepted_calls).where(call.user_id == bindparam("user"), is_open, here)
        _for_users(connection, mine.values(accepted_run=self.run), users)

    def _record_refusals(
        self, connection: Connection, request: int, found: Sequence[RefusedCall], earlier: Mapping[str, int]
    ) -> None:
        if not found:
            return
        calls = self.find_calls([each.call.user_id for each in found])
        unaccepted, refused, values = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
        for each in found:
            user, reason, ids = each.call.user_id, each.reason, None
            own = calls[user].traits.keys() & (each.properties or ())  # else an identifier, which is in every call
            if each.properties and calls[user].traits.keys() - each.properties:  # the rest of the call was sent
                reason = partial_refusal_reason(reason, each.properties)
                ids = json.dumps(sorted(self.property_ids[key] for key in own)) if own else None
            elif unnamed := [f"'{key}'" for key in sorted(each.properties or ()) if f"'{key}'" not in reason]:
                reason = f"{', '.join(unnamed)}: {reason}"
            answer = {"user_id": user, "reason": reason, "http_status": each.http_status}
            unaccepted.append({**answer, "request_id": request, "refused_properties": ids})
            attempts = earlier.get(user, 0) + 1
            place = {"destination_id": self.destination, "run_id": self.run}
            refused.append({**answer, **place, "attempts": attempts, "refused_at": datetime.now(UTC)})
            values += self._value_rows(calls[user], own or None)
        connection.execute(insert(unaccepted_calls), unaccepted)
        connection.execute(insert(open_refusals), refused)
        connection.execute(insert(refused_values), values)

    def _withhold(self, connection: Connection, request: int, result: BatchResult) -> None:
        """Keep the values of calls that were not sent, because their users had just been suppressed."""
        refused = {each.call.user_id for each in result.refusals}
        users = [each.user_id for each in result.withheld]
        rows = [{"request_id": request, "user_id": user} for user in users if user not in refused]
        if rows:
            connection.execute(insert(unaccepted_calls), rows)
        if users:
            withhold(connection, [row for call in self.find_calls(users).values() for row in self._value_rows(call)])

    def _between(self, table: Table, result: BatchResult) -> ColumnElement[bool]:
        """Return the condition, which an index supports, for rows of the batch's users."""
        user, batch = table.c.user_id, result.batch
        return (table.c.destination_id == self.destination) & (user > batch.after) & (user <= batch.through)

    def _delete_carried(self, connection: Connection, table: Table, calls: Iterable[IdentifyCall]) -> None:
        """Delete the values of refused or withheld properties that these calls carried."""
        carried = [{"user": call.user_id, "property": self.property_ids[key]} for call in calls for key in call.traits]
        if carried:
            mine = (table.c.destination_id == self.destination) & (table.c.user_id == bindparam("user"))
            connection.execute(delete(table).where(mine, table.c.property_id == bindparam("property")), carried)

    def _value_rows(self, call: IdentifyCall, only: Collection[str] | None = None) -> list[dict[str, Any]]:
        """Return a row for each property of a call; ``only`` limits the properties."""
        runs = dict(version.rsplit("@", 1) for version in call.versions.split(","))
        former: dict[str, list[str]] = {}
        for key, name in call.former:
            former.setdefault(key, []).append(name)
        return [
            {
                "destination_id": self.destination,
                "user_id": call.user_id,
                "property_id": self.property_ids[key],
                "value": None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":")),
                "run_id": int(runs[key]),
                "former_names": json.dumps(former[key], ensure_ascii=False) if key in former else None,
            }
            for key, value in call.traits.items()
            if only is None or key in only
        ]


def _answered_users(result: BatchResult, among: Collection[UserId]) -> set[UserId]:
    """Return those of some users whose calls were answered, without those suppressed meanwhile."""
    if not among:
        return set()
    calls = {each.user_id for each in result.batch.calls}
    return calls.intersection(among).difference(each.user_id for each in result.withheld)


def _for_users(connection: Connection, statement: Delete | Update, users: Collection[UserId]) -> None:
    if users:
        connection.execute(statement, [{"user": user} for user in users])


def count_refused(connection: Connection, destination: DestinationId) -> int:
    """Count the calls that the destination refused and has not accepted since."""
    query = select(func.count()).select_from(open_refusals).where(open_refusals.c.destination_id == destination)
    return connection.execute(query).scalar_one()

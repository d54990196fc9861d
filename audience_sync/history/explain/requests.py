"""Find the requests with a user in their range, and the runs that withheld the user's values.

Only a few of ten thousand runs had values for one user. The runs at which a value or a subscription changed are
listed first, and only the first request after each is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, Select, func, literal, select

from audience_sync.delivery.state.subscription_history import SubscriptionVersion, version_at
from audience_sync.history.explain.calls import RETRY, SEED, Request, Suppression, UnacceptedCall
from audience_sync.model import NO_RUN, DestinationId, RunId, RunStatus, UserId
from audience_sync.store.tables import (
    delivery_requests,
    properties,
    run_audiences,
    run_destinations,
    runs,
    unaccepted_calls,
)

#: The statuses of completed runs. An interrupted run has no count of pending calls.
_ENDED = (RunStatus.SUCCEEDED.value, RunStatus.PARTIAL.value, RunStatus.HELD.value)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class RequestQuery(Struct, frozen=True, kw_only=True):
    """A query for the requests of a destination with a user in their range, until a moment.

    ``forgotten``: the run up to which requests were deleted. ``seeded``: by key, the ids of audiences that were ever
    seeded.
    """

    connection: Connection
    destination: DestinationId
    user: UserId
    until: datetime
    forgotten: RunId
    subscriptions: Mapping[str, Sequence[SubscriptionVersion]]
    seeded: Mapping[str, int]


class _CursorRequests(Struct, frozen=True):
    """The requests of the main cursor (``seeding`` None) or of a seeded audience."""

    seeding: str | None
    requests: ColumnElement[bool]


def read_requests(
    query: RequestQuery, change_runs: Collection[RunId], suppressions: Sequence[Suppression]
) -> list[Request]:
    """Read the requests in order of time. ``change_runs``: the runs at which a value or subscription changed."""
    connection, here = query.connection, delivery_requests.c.destination_id == query.destination
    found, repeats = list[Request](), _repeat_runs(query, suppressions)
    for seeding, audience in [(None, None), *query.seeded.items()]:
        cursor = _CursorRequests(seeding, here & delivery_requests.c.seeded_property_id.is_not_distinct_from(audience))
        starts = sorted({*change_runs, *repeats, *(_runs_by(connection, SEED) if seeding else ())})
        found += _first_after_each(starts, partial(_sent_request, query, cursor))
        for each in suppressions:
            found += _first_after_each(starts, partial(_withheld_request, query, cursor, each))
    return sorted(found, key=lambda each: (each.run, each.id or 0))


def _repeat_runs(query: RequestQuery, suppressions: Sequence[Suppression]) -> set[RunId]:
    """Return the runs that may have sent refused or withheld values again, without a change."""
    connection = query.connection
    first = select(func.min(runs.c.id))
    freed = {
        connection.execute(first.where(runs.c.committed_at >= each.until)).scalar()
        for each in suppressions
        if each.until
    }
    refused = select(unaccepted_calls.c.user_id).where(unaccepted_calls.c.user_id == query.user).limit(1)
    retries = _runs_by(connection, RETRY) if connection.execute(refused).first() else ()
    return {run for run in (*freed, *retries) if run is not None}


def _runs_by(connection: Connection, command: str) -> Sequence[RunId]:
    return connection.execute(select(runs.c.id).where(runs.c.command == command)).scalars().all()


def _first_after_each(starts: Sequence[RunId], first: Callable[[RunId], Request | None]) -> list[Request]:
    """Return the first request at or after each run. ``first`` reads one."""
    found = list[Request]()
    for run in starts:
        if found and run <= found[-1].run:
            continue
        request = first(run)
        if request is None:
            break
        found.append(request)
    return found


def _sent_request(query: RequestQuery, cursor: _CursorRequests, run: RunId) -> Request | None:
    row = query.connection.execute(_in_range(query, cursor).where(runs.c.id >= run)).first()
    if row is None:
        return None
    return Request(
        id=row.id,
        run=row.run_id,
        command=row.command,
        committed_at=row.committed_at,
        answered_at=row.answered_at,
        seeding=cursor.seeding,
        position=row.position or NO_RUN,
        attempted_run=row.attempted_run,
        retried=bool(row.retried),
        refused=row.refused,
        http_status=row.http_status,
        answer=row.answer,
        unaccepted=_unaccepted_call(query, row) if row.unaccepted_user is not None else None,
    )


def _unaccepted_call(query: RequestQuery, row: Row[Any]) -> UnacceptedCall:
    if not row.refused_properties:
        return UnacceptedCall(row.reason, row.their_status)
    ids = json.loads(row.refused_properties)
    keys = query.connection.execute(select(properties.c.key).where(properties.c.id.in_(ids))).scalars()
    return UnacceptedCall(row.reason, row.their_status, frozenset(keys))


def _in_range(query: RequestQuery, cursor: _CursorRequests) -> Select[Any]:
    """Return a query for the first request of each run that ends at the user or later: only it can include the user."""
    candidate = (
        select(delivery_requests.c.id)
        .where(delivery_requests.c.run_id == runs.c.id, cursor.requests, delivery_requests.c.through_user >= query.user)
        # After an erasure two requests may have the same end.
        .order_by(delivery_requests.c.through_user, delivery_requests.c.after_user)
        .limit(1)
        .correlate(runs)
        .scalar_subquery()
    )
    theirs = (unaccepted_calls.c.request_id == delivery_requests.c.id) & (unaccepted_calls.c.user_id == query.user)
    unaccepted = (
        unaccepted_calls.c.user_id.label("unaccepted_user"),
        unaccepted_calls.c.http_status.label("their_status"),
    )
    return (
        select(delivery_requests, runs.c.command, runs.c.committed_at, unaccepted_calls.c.reason, *unaccepted)
        .add_columns(unaccepted_calls.c.refused_properties)
        .select_from(runs)
        .join(delivery_requests, delivery_requests.c.id == candidate)
        .outerjoin(unaccepted_calls, theirs)
        .where(delivery_requests.c.after_user < query.user, delivery_requests.c.answered_at <= query.until)
        .where((runs.c.id > query.forgotten) | unaccepted_calls.c.user_id.is_not(None))
        .order_by(runs.c.id)
        .limit(1)
    )


def _withheld_request(
    query: RequestQuery, cursor: _CursorRequests, suppression: Suppression, run: RunId
) -> Request | None:
    """Return the first run that withheld the user's values, for this cursor and suppression."""
    while row := query.connection.execute(
        _while_suppressed(query, cursor, suppression).where(runs.c.id >= run)
    ).first():
        if cursor.seeding in _cursor_keys(row, query.subscriptions):
            since = row.attempted_run if row.attempted_run and row.attempted_run <= row.id else None
            at = row.committed_at
            return Request(
                id=None,
                run=row.id,
                command=row.command,
                committed_at=at,
                answered_at=at,
                seeding=cursor.seeding,
                position=row.position or NO_RUN,
                attempted_run=since,
            )
        run = row.id + 1
    return None


def _while_suppressed(query: RequestQuery, cursor: _CursorRequests, suppression: Suppression) -> Select[Any]:
    """Return a query for the runs that delivered during a suppression.

    The next request of the cursor has its ``attempted_run``. ``position``: the run up to which every user had been sent
    everything.
    """
    known = select(delivery_requests.c.attempted_run).where(cursor.requests, delivery_requests.c.run_id >= runs.c.id)
    attempted = known.order_by(delivery_requests.c.run_id).limit(1).correlate(runs).scalar_subquery()
    committed = runs.c.committed_at
    return (
        select(runs.c.id, runs.c.command, committed, run_audiences.c.audience_key, attempted.label("attempted_run"))
        .add_columns((_last_complete_run(query) if cursor.seeding is None else literal(0)).label("position"))
        .join_from(runs, run_destinations, run_destinations.c.run_id == runs.c.id)
        .outerjoin(run_audiences, (run_audiences.c.run_id == runs.c.id) & (runs.c.command == SEED))
        .where(run_destinations.c.destination_id == query.destination, committed <= query.until)
        .where(committed >= suppression.since, committed < (suppression.until or _END_OF_TIME))
        .where(runs.c.id > query.forgotten, _has_delivered())
        .order_by(runs.c.id)
        .limit(1)
    )


def _has_delivered() -> ColumnElement[bool]:
    """Return a condition for runs that began to deliver; an interrupted one may only have planned it."""
    planned = run_destinations.c
    return (planned.requests > 0) | (planned.pending == 0) | runs.c.status.in_(_ENDED)


def _last_complete_run(query: RequestQuery) -> ScalarSelect[Any]:
    """Return a query for the last earlier run that left nothing pending at this destination."""
    earlier, delivered = runs.alias("earlier"), run_destinations.alias("delivered")
    whole = (delivered.c.pending == 0) & delivered.c.error.is_(None) & earlier.c.status.in_(_ENDED)
    return (
        select(earlier.c.id)
        .join_from(earlier, delivered, delivered.c.run_id == earlier.c.id)
        .where(delivered.c.destination_id == query.destination, earlier.c.id < runs.c.id, earlier.c.command != SEED)
        .where(whole)
        .order_by(earlier.c.id.desc())
        .limit(1)
        .correlate(runs)
        .scalar_subquery()
    )


def _cursor_keys(row: Row[Any], subscriptions: Mapping[str, Sequence[SubscriptionVersion]]) -> list[str | None]:
    """Return the cursors that a run delivers: that of the audience it seeds, or all."""
    open_seeds = [key for key, history in subscriptions.items() if (now := version_at(history, row.id)) and now.seeding]
    if row.command == SEED:
        return [row.audience_key if row.audience_key in open_seeds else None]
    return [None, *open_seeds]

"""Read and write the state of each destination: its delivery cursors and subscriptions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict, replace
from sqlalchemy import Connection, Row, delete, insert, select, update

from audience_sync.delivery.state.ranges import Range
from audience_sync.delivery.state.sent_form import SentForm
from audience_sync.model import NO_RUN, DestinationId, PropertyId, RunId
from audience_sync.store.tables import (
    delivered_ranges,
    delivery_cursors,
    delivery_destinations,
    properties,
    subscriptions,
)


class Subscription(Struct, frozen=True, kw_only=True):
    """A destination receives a property, from ``since_run`` on.

    ``backfill``: current members (values) are sent first; if false, only later changes are.
    ``previously_delivered_run``: the run up to which the property was sent when an earlier subscription ended. Changes
    after it are pending again. ``sent_as``: see ``SentForm``; None is the property under its key.
    """

    key: str
    since_run: RunId
    backfill: bool = True
    previously_delivered_run: RunId | None = None
    ended_run: RunId | None = None
    sent_as: str | None = None

    @property
    def form(self) -> SentForm:
        return SentForm.of(self.sent_as)

    def is_sent_by(self, seeding: str | None, *, is_seeded: bool) -> bool:
        """Return whether a cursor sends the property: the main one, or that of the audience ``seeding``.

        ``is_seeded``: a person is seeding the property's audience.
        """
        return self.ended_run is None and (self.key == seeding if is_seeded else seeding is None)


class DeliveryCursor(Struct, frozen=True, kw_only=True):
    """How far a delivery has come. An audience that a person seeds has a cursor of its own (``seeding``: its key).

    ``position``: every user has been sent everything up to this run. ``ranges``: users who are further.
    ``attempted_run``: from this run on, calls may have been sent without an answer. ``pending_since``: the run since
    which some calls are pending; None if none was when the last run ended.
    """

    position: RunId = NO_RUN
    id: int | None = None
    attempted_run: RunId | None = None
    ranges: tuple[Range, ...] = ()
    seeding: str | None = None
    pending_since: RunId | None = None

    @property
    def low_watermark(self) -> RunId:
        """The run up to which every user has been sent everything, in the position and in all ranges."""
        return min([self.position, *(each.run for each in self.ranges)])


class DestinationState(Struct, frozen=True, kw_only=True):
    """The stored rows on one destination. ``id`` is None before the first commit."""

    name: str
    id: DestinationId | None = None
    cursor: DeliveryCursor = DeliveryCursor()
    seeds: Mapping[str, DeliveryCursor] = field(default_factory=dict)
    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)

    def active(self) -> list[Subscription]:
        """The subscriptions in force, without audiences that a person is seeding."""
        return [each for each in self.subscriptions.values() if each.is_sent_by(None, is_seeded=each.key in self.seeds)]


def read_destination_states(connection: Connection, names: Iterable[str]) -> dict[str, DestinationState]:
    """Read the states by name. A destination that is not stored yet has an empty state."""
    ids = {row.name: row.id for row in connection.execute(select(delivery_destinations))}
    return {
        name: _read_state(connection, name, ids[name]) if name in ids else DestinationState(name=name) for name in names
    }


def _read_state(connection: Connection, name: str, destination: DestinationId) -> DestinationState:
    found = _read_cursors(connection, destination)
    main = next(cursor for cursor in found if cursor.seeding is None)
    seeds = {cursor.seeding: cursor for cursor in found if cursor.seeding is not None}
    return DestinationState(
        name=name, id=destination, cursor=main, seeds=seeds, subscriptions=_read_subscriptions(connection, destination)
    )


def _read_cursors(connection: Connection, destination: DestinationId) -> list[DeliveryCursor]:
    query = (
        select(delivery_cursors, properties.c.key)
        .join_from(delivery_cursors, properties, delivery_cursors.c.seeded_property_id == properties.c.id, isouter=True)
        .where(delivery_cursors.c.destination_id == destination)
    )
    return [
        DeliveryCursor(
            id=row.id,
            position=row.position,
            attempted_run=row.attempted_run,
            ranges=_read_ranges(connection, row.id),
            seeding=row.key,
            pending_since=row.pending_since_run if row.pending_calls or row.waiting_calls else None,
        )
        for row in connection.execute(query).all()
    ]


def _read_ranges(connection: Connection, cursor: int) -> tuple[Range, ...]:
    query = (
        select(delivered_ranges).where(delivered_ranges.c.cursor_id == cursor).order_by(delivered_ranges.c.after_user)
    )
    return tuple(Range(row.after_user, row.through_user, row.run_id) for row in connection.execute(query))


def _read_subscriptions(connection: Connection, destination: DestinationId) -> dict[str, Subscription]:
    query = (
        select(subscriptions, properties.c.key)
        .join_from(subscriptions, properties)
        .where(subscriptions.c.destination_id == destination)
    )
    return {row.key: subscription_of(row) for row in connection.execute(query)}


def subscription_of(row: Row[Any]) -> Subscription:
    """Return the subscription in a row of ``subscriptions`` or ``subscription_history``, joined with its key."""
    return Subscription(
        key=row.key,
        since_run=row.since_run,
        backfill=row.backfill,
        previously_delivered_run=row.previously_delivered_run,
        ended_run=row.ended_run,
        sent_as=row.sent_as,
    )


def subscription_columns(subscription: Subscription) -> dict[str, Any]:
    """Return the columns of a subscription, without those that identify it."""
    columns = asdict(subscription)
    del columns["key"]
    return columns


def save_destination_state(
    connection: Connection,
    state: DestinationState,
    property_ids: Mapping[str, PropertyId],
    values: Mapping[str, object],
) -> DestinationState:
    """Store a destination, its cursor and its subscriptions. ``values``: the other columns of a new row."""
    saved = state if state.id is not None else _create_destination(connection, state, values)
    _delete_cursors(connection, *_closed_seeds(connection, saved))
    connection.execute(delete(subscriptions).where(subscriptions.c.destination_id == saved.id))
    rows = [
        {"destination_id": saved.id, "property_id": property_ids[each.key], **subscription_columns(each)}
        for each in saved.subscriptions.values()
    ]
    if rows:
        connection.execute(insert(subscriptions), rows)
    return saved


def _closed_seeds(connection: Connection, state: DestinationState) -> Sequence[int]:
    """Find the stored cursors of seeds that the state no longer has."""
    kept = [cursor.id for cursor in state.seeds.values() if cursor.id is not None]
    mine = (delivery_cursors.c.destination_id == state.id) & delivery_cursors.c.seeded_property_id.is_not(None)
    query = select(delivery_cursors.c.id).where(mine, delivery_cursors.c.id.not_in(kept))
    return connection.execute(query).scalars().all()


def _delete_cursors(connection: Connection, *ids: int | None) -> None:
    connection.execute(delete(delivered_ranges).where(delivered_ranges.c.cursor_id.in_(ids)))
    connection.execute(delete(delivery_cursors).where(delivery_cursors.c.id.in_(ids)))


def _create_destination(
    connection: Connection, state: DestinationState, values: Mapping[str, object]
) -> DestinationState:
    key = connection.execute(insert(delivery_destinations).values(name=state.name, **values)).inserted_primary_key
    assert key is not None
    destination = DestinationId(key[0])
    return replace(state, id=destination, cursor=save_cursor(connection, destination, state.cursor, None))


def save_cursor(
    connection: Connection, destination: DestinationId, cursor: DeliveryCursor, seeded_property_id: PropertyId | None
) -> DeliveryCursor:
    """Insert a new cursor. ``seeded_property_id``: the audience that it seeds."""
    row = {"destination_id": destination, "seeded_property_id": seeded_property_id, "position": cursor.position}
    key = connection.execute(insert(delivery_cursors).values(**row)).inserted_primary_key
    assert key is not None
    return replace(cursor, id=int(key[0]))


def mark_in_flight(connection: Connection, cursor: DeliveryCursor, run: RunId) -> DeliveryCursor:
    """Record, before the first request, that calls may have been sent without an answer from this run on."""
    if cursor.attempted_run is not None:
        return cursor
    connection.execute(update(delivery_cursors).where(delivery_cursors.c.id == cursor.id).values(attempted_run=run))
    return replace(cursor, attempted_run=run)


def save_ranges(connection: Connection, cursor: DeliveryCursor, ranges: Sequence[Range]) -> DeliveryCursor:
    """Replace the ranges of users who are further than the cursor's position."""
    connection.execute(delete(delivered_ranges).where(delivered_ranges.c.cursor_id == cursor.id))
    rows = [
        {"cursor_id": cursor.id, "after_user": each.after, "through_user": each.through, "run_id": each.run}
        for each in ranges
    ]
    if rows:
        connection.execute(insert(delivered_ranges), rows)
    return replace(cursor, ranges=tuple(ranges))


def advance_position(connection: Connection, cursor: DeliveryCursor, run: RunId) -> DeliveryCursor:
    """Record that every user has been sent everything up to this run."""
    connection.execute(delete(delivered_ranges).where(delivered_ranges.c.cursor_id == cursor.id))
    values = {"position": run, "attempted_run": None, "pending_calls": None, "pending_run": None}
    connection.execute(
        update(delivery_cursors).where(delivery_cursors.c.id == cursor.id).values(**values, pending_since_run=None)
    )
    return DeliveryCursor(id=cursor.id, position=run, seeding=cursor.seeding)


def is_seeded(connection: Connection, cursor: DeliveryCursor) -> bool | None:
    """Return True if the seed has ended, else None: the form that ``Lease.transact`` expects of a check."""
    query = select(delivery_cursors.c.id).where(delivery_cursors.c.id == cursor.id)
    return connection.execute(query).first() is None or None


def end_seeding(connection: Connection, cursor: DeliveryCursor, run: RunId) -> Subscription:
    """End a seed after its last call: from the next run on the main cursor carries the audience's changes.

    Return the audience's new subscription.
    """
    row = connection.execute(select(delivery_cursors).where(delivery_cursors.c.id == cursor.id)).one()
    _delete_cursors(connection, cursor.id)
    mine = subscriptions.c.destination_id == row.destination_id
    audience = subscriptions.c.property_id == row.seeded_property_id
    sent_as = connection.execute(select(subscriptions.c.sent_as).where(mine, audience)).scalar()
    form = replace(SentForm.of(sent_as), former=())
    subscription = Subscription(key=cursor.seeding or "", since_run=run, backfill=False, sent_as=form.text)
    connection.execute(update(subscriptions).where(mine, audience).values(subscription_columns(subscription)))
    return subscription

"""What has each destination been told, and of which properties is it told? The ledger of delivery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, delete, insert, select, update

from audience_sync.delivery.state.ranges import Range
from audience_sync.store.tables import destinations, feeds, properties, subscriptions, told_ranges


@dataclass(frozen=True, slots=True)
class Subscription:
    """A destination is told of a property since a run.

    ``tell_everyone``: on the first telling every member (every value) is sent, otherwise only later changes.
    ``told_before``: the run up to which it had been told when it was no longer to be; the log matters from there.
    """

    key: str
    since_run: int
    tell_everyone: bool = True
    told_before: int | None = None
    ended_run: int | None = None

    def catches_up(self, feed: Feed) -> bool:
        """Whether the log matters from before ``since_run`` on, for users who have not been told that far."""
        again = self.tell_everyone or self.told_before is not None
        return again and self.since_run > feed.lowest


@dataclass(frozen=True, slots=True)
class Feed:
    """How far a destination has been told; an audience being seeded by hand has a feed of its own.

    ``position``: everything up to this run. ``ranges``: users who are further. ``attempted_run``: since this
    run calls may have been sent whose answers never came.
    """

    id: int | None
    position: int
    attempted_run: int | None = None
    ranges: tuple[Range, ...] = ()
    seeding: str | None = None

    @property
    def lowest(self) -> int:
        """Every user has been told everything up to this run."""
        return min([self.position, *(each.run for each in self.ranges)])


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that is known of one destination. ``id`` is None until it is first committed."""

    name: str
    id: int | None = None
    feed: Feed = field(default_factory=lambda: Feed(None, 0))
    seeds: Mapping[str, Feed] = field(default_factory=dict)
    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)

    def active(self) -> list[Subscription]:
        """What the destination is told of now, but for audiences that are being seeded by hand."""
        return [each for each in self.subscriptions.values() if each.ended_run is None and each.key not in self.seeds]


def read_ledgers(connection: Connection, names: Iterable[str]) -> dict[str, Ledger]:
    """The named destinations' ledgers; an unknown one has been told nothing yet."""
    known = {row.name: row.id for row in connection.execute(select(destinations.c.name, destinations.c.id))}
    return {name: _read(connection, name, known[name]) if name in known else Ledger(name) for name in names}


def _read(connection: Connection, name: str, destination: int) -> Ledger:
    found = _feeds(connection, destination)
    main = next(feed for feed in found if feed.seeding is None)
    seeds = {feed.seeding: feed for feed in found if feed.seeding is not None}
    return Ledger(name, destination, main, seeds, _subscriptions(connection, destination))


def _feeds(connection: Connection, destination: int) -> list[Feed]:
    query = (
        select(feeds, properties.c.key)
        .join_from(feeds, properties, feeds.c.seeding_id == properties.c.id, isouter=True)
        .where(feeds.c.destination_id == destination)
    )
    return [
        Feed(row.id, row.position, row.attempted_run, _ranges(connection, row.id), row.key)
        for row in connection.execute(query).all()
    ]


def _ranges(connection: Connection, feed: int) -> tuple[Range, ...]:
    query = select(told_ranges).where(told_ranges.c.feed_id == feed).order_by(told_ranges.c.after_user)
    return tuple(Range(row.after_user, row.through_user, row.run_id) for row in connection.execute(query))


def _subscriptions(connection: Connection, destination: int) -> dict[str, Subscription]:
    query = (
        select(subscriptions, properties.c.key)
        .join_from(subscriptions, properties)
        .where(subscriptions.c.destination_id == destination)
    )
    return {
        row.key: Subscription(row.key, row.since_run, row.tell_everyone, row.told_before, row.ended_run)
        for row in connection.execute(query)
    }


def save_ledger(
    connection: Connection, ledger: Ledger, property_ids: Mapping[str, int], values: Mapping[str, object]
) -> Ledger:
    """Store a destination, its feed and its subscriptions. ``values``: the other columns of a new one."""
    saved = ledger if ledger.id is not None else _create(connection, ledger, values)
    _delete_feeds(connection, *_closed_seeds(connection, saved))
    connection.execute(delete(subscriptions).where(subscriptions.c.destination_id == saved.id))
    rows = [
        {
            "destination_id": saved.id,
            "property_id": property_ids[each.key],
            "since_run": each.since_run,
            "tell_everyone": each.tell_everyone,
            "told_before": each.told_before,
            "ended_run": each.ended_run,
        }
        for each in saved.subscriptions.values()
    ]
    if rows:
        connection.execute(insert(subscriptions), rows)
    return saved


def _closed_seeds(connection: Connection, ledger: Ledger) -> Sequence[int]:
    """The stored feeds of seeds that the ledger no longer has."""
    kept = [feed.id for feed in ledger.seeds.values() if feed.id is not None]
    mine = (feeds.c.destination_id == ledger.id) & feeds.c.seeding_id.is_not(None)
    return connection.execute(select(feeds.c.id).where(mine, feeds.c.id.not_in(kept))).scalars().all()


def _delete_feeds(connection: Connection, *ids: int | None) -> None:
    connection.execute(delete(told_ranges).where(told_ranges.c.feed_id.in_(ids)))
    connection.execute(delete(feeds).where(feeds.c.id.in_(ids)))


def _create(connection: Connection, ledger: Ledger, values: Mapping[str, object]) -> Ledger:
    key = connection.execute(insert(destinations).values(name=ledger.name, **values)).inserted_primary_key
    assert key is not None
    created = replace(ledger, id=int(key[0]))
    return replace(created, feed=save_feed(connection, int(key[0]), ledger.feed, None))


def save_feed(connection: Connection, destination: int, feed: Feed, seeding_id: int | None) -> Feed:
    """Store a new feed."""
    row = {"destination_id": destination, "seeding_id": seeding_id, "position": feed.position}
    key = connection.execute(insert(feeds).values(**row)).inserted_primary_key
    assert key is not None
    return replace(feed, id=int(key[0]))


def begin(connection: Connection, feed: Feed, run: int) -> Feed:
    """Before the first request: from now on calls may have been sent whose answers never come."""
    if feed.attempted_run is not None:
        return feed
    connection.execute(update(feeds).where(feeds.c.id == feed.id).values(attempted_run=run))
    return replace(feed, attempted_run=run)


def move(connection: Connection, feed: Feed, ranges: Sequence[Range]) -> Feed:
    """After answers: these users are further than the feed's position."""
    connection.execute(delete(told_ranges).where(told_ranges.c.feed_id == feed.id))
    rows = [
        {"feed_id": feed.id, "after_user": each.after, "through_user": each.through, "run_id": each.run}
        for each in ranges
    ]
    if rows:
        connection.execute(insert(told_ranges), rows)
    return replace(feed, ranges=tuple(ranges))


def complete(connection: Connection, feed: Feed, run: int) -> Feed:
    """Everyone has been told everything up to this run."""
    connection.execute(delete(told_ranges).where(told_ranges.c.feed_id == feed.id))
    connection.execute(update(feeds).where(feeds.c.id == feed.id).values(position=run, attempted_run=None))
    return Feed(feed.id, run, seeding=feed.seeding)


def is_seeded(connection: Connection, feed: Feed) -> bool | None:
    """True or None, as a repeated transaction asks."""
    return connection.execute(select(feeds.c.id).where(feeds.c.id == feed.id)).first() is None or None


def end_seeding(connection: Connection, feed: Feed, run: int) -> Subscription:
    """Everyone has been told of a seeded audience: from the next run on the main feed carries its changes, on the
    terms that are returned."""
    row = connection.execute(select(feeds).where(feeds.c.id == feed.id)).one()
    _delete_feeds(connection, feed.id)
    mine = (subscriptions.c.destination_id == row.destination_id) & (subscriptions.c.property_id == row.seeding_id)
    told = {"since_run": run, "tell_everyone": False, "told_before": None}
    connection.execute(update(subscriptions).where(mine).values(told))
    return Subscription(feed.seeding or "", run, tell_everyone=False)

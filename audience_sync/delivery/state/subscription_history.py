"""Keep every version of a subscription, so that `explain` knows it at any run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from audience_sync.delivery.state.cursors import Subscription, subscription_columns, subscription_of
from audience_sync.model import DestinationId, PropertyId, RunId
from audience_sync.store.tables import delivery_destinations, properties, subscription_history


class SubscriptionVersion(Struct, frozen=True):
    """A subscription in force from a run on. ``seeding``: a person was seeding its audience, with its own cursor."""

    from_run: RunId
    subscription: Subscription
    seeding: bool

    @property
    def key(self) -> str:
        return self.subscription.key

    @property
    def is_baseline(self) -> bool:
        """Whether the members at that time were recorded without sending."""
        return not (self.seeding or self.subscription.backfill)


def record_versions(
    connection: Connection,
    destination: DestinationId,
    versions: Iterable[SubscriptionVersion],
    property_ids: Mapping[str, PropertyId],
) -> None:
    """Store the versions that differ from the latest stored ones."""
    before = {
        key: history[-1] for key, history in read_subscription_history(connection, destination, latest=True).items()
    }
    rows = []
    for each in versions:
        last = before.get(each.key)
        if last and replace(last, from_run=each.from_run) == each:
            continue
        row = {"destination_id": destination, "property_id": property_ids[each.key], "from_run": each.from_run}
        if last and last.from_run == each.from_run:
            same = [subscription_history.c[name] == value for name, value in row.items()]
            connection.execute(delete(subscription_history).where(*same))
        rows.append({**row, **subscription_columns(each.subscription), "seeding": each.seeding})
    if rows:
        connection.execute(insert(subscription_history), rows)


def read_subscription_history(
    connection: Connection, destination: DestinationId, *, latest: bool = False
) -> dict[str, list[SubscriptionVersion]]:
    """Read the versions by key, in the order of runs. ``latest``: only the newest version of each key."""
    query = (
        select(subscription_history, properties.c.key)
        .join_from(subscription_history, properties)
        .where(subscription_history.c.destination_id == destination)
        .order_by(subscription_history.c.from_run)
    )
    found: dict[str, list[SubscriptionVersion]] = {}
    for row in connection.execute(query.where(_is_latest()) if latest else query):
        found.setdefault(row.key, []).append(SubscriptionVersion(row.from_run, subscription_of(row), row.seeding))
    return found


def first_subscriptions(connection: Connection) -> dict[str, dict[str, SubscriptionVersion]]:
    """Read the first version of each subscription, by destination name and property key."""
    return {
        row.name: {key: history[0] for key, history in read_subscription_history(connection, row.id).items()}
        for row in connection.execute(select(delivery_destinations)).all()
    }


def active_subscriptions(
    subscriptions: Mapping[str, Sequence[SubscriptionVersion]], run: RunId, seeding: str | None
) -> dict[str, SubscriptionVersion]:
    """Return the subscriptions that a cursor serves in a run, by key."""
    versions = {key: version_at(history, run) for key, history in subscriptions.items()}
    return {
        key: each
        for key, each in versions.items()
        if each is not None and each.subscription.is_sent_by(seeding, is_seeded=each.seeding)
    }


def version_at(history: Sequence[SubscriptionVersion], run: RunId) -> SubscriptionVersion | None:
    """Return the version in force in a run. ``history``: of one property, in the order of runs."""
    return next((each for each in reversed(history) if each.from_run <= run), None)


def _is_latest() -> ColumnElement[bool]:
    later = subscription_history.alias()
    same = (later.c.destination_id == subscription_history.c.destination_id) & (
        later.c.property_id == subscription_history.c.property_id
    )
    newest = select(func.max(later.c.from_run)).where(same).correlate(subscription_history).scalar_subquery()
    return subscription_history.c.from_run == newest

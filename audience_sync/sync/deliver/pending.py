"""Compute the pending calls of each destination, in the same way for ``plan`` and ``sync``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Table, select

from audience_sync.config.models import AudienceConfig, Settings
from audience_sync.delivery.pending.pending import DeliveryInputs, log_floor, pending_calls
from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState, Subscription
from audience_sync.destinations.base import Destination
from audience_sync.model import MAX_RUN, InitialSync, RunId
from audience_sync.store.tables import changes, delivery_destinations, properties
from audience_sync.sync.load.resolve_audiences import ResolvedAudience, origin
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.stored_state import StoredState
from audience_sync.workspace import Workspace, quote_literal

_COLUMNS = {"user_id": "varchar", "key": "varchar", "value": "varchar", "run_id": "integer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDelivery:
    """The pending calls of one cursor: a table in the workspace, and their number.

    ``withheld_table``: the values that ``withheld_users`` suppressed users are not sent. ``releases``: some calls have
    values that were withheld before. ``retries``: refused values are included.
    """

    state: DestinationState
    cursor: DeliveryCursor
    table: str
    calls: int
    includes_everyone: bool = True
    withheld_table: str | None = None
    withheld_users: int = 0
    releases: bool = False
    retries: bool = False

    def with_state(self, state: DestinationState) -> PendingDelivery:
        """The same delivery with the stored state and its ids."""
        seeding = self.cursor.seeding
        return replace(self, state=state, cursor=state.cursor if seeding is None else state.seeds[seeding])

    def event_start_runs(self, destination: Destination) -> dict[str, RunId]:
        """For a destination with events: by audience, the run since which it is subscribed."""
        if destination.options.events is None:
            return {}
        known = self.state.subscriptions.values()
        return {each.key: each.since_run for each in known if each.key in destination.about.audience_keys}


def configs_by_key(
    settings: Settings, known: StoredState, changes: ChangeSet, targets: Sequence[ResolvedAudience]
) -> dict[str, AudienceConfig]:
    """The config of every audience that exists after the run, including those from ``names_from``."""
    named = {target.key: target.config for target in targets}
    entries = {origin(config): config for config in settings.audiences if config.names_from}
    stored = {key: entries[each.origin] for key, each in known.properties.items() if each.origin in entries}
    created = {each.key: entries[each.origin] for each in changes.created if each.origin in entries}
    exists = known.properties.keys() | {each.key for each in changes.created}
    return {key: config for key, config in (named | stored | created).items() if key in exists}


def wanted_properties(
    settings: Settings, stored: StoredState, changes: ChangeSet, configs: Mapping[str, AudienceConfig], name: str
) -> dict[str, bool]:
    """The properties that a destination subscribes to; the value is whether it gets a backfill."""
    exists = stored.properties.keys() | {each.key for each in changes.created}
    keys = {
        key: config.initial is not InitialSync.NONE
        for key, config in configs.items()
        if name in settings.destinations_of(config)
    }
    return keys | {key: True for each in settings.computed_traits for key in each.columns if key in exists}


def read_log(connection: Connection, workspace: Workspace, states: Mapping[str, DestinationState]) -> str:
    """A workspace table of the stored changes that are pending at some destination."""
    floor = min([log_floor(*share) for state in states.values() for share in _shares(state)], default=MAX_RUN)
    query = (
        select(changes.c.user_id, properties.c.key, changes.c.value, changes.c.run_id)
        .join_from(changes, properties)
        .where(changes.c.run_id > floor)
    )
    return workspace.load(_COLUMNS, _batches(connection, query))


def _shares(state: DestinationState) -> list[tuple[DeliveryCursor, list[Subscription]]]:
    """Every cursor of a destination with its subscriptions."""
    seeds = [(cursor, [state.subscriptions[key]]) for key, cursor in state.seeds.items() if key in state.subscriptions]
    return [(state.cursor, state.active()), *seeds]


def read_undelivered(connection: Connection, workspace: Workspace, table: Table) -> str:
    """A workspace table of the refused or withheld values, by destination."""
    query = select(
        delivery_destinations.c.name, table.c.user_id, properties.c.key, table.c.value, table.c.run_id
    ).select_from(table.join(delivery_destinations).join(properties))
    return workspace.load({"destination": "varchar", **_COLUMNS}, _batches(connection, query))


def _batches(connection: Connection, query: Any) -> Iterator[Sequence[Sequence[Any]]]:
    result = connection.execution_options(yield_per=10_000).execute(query)
    yield from result.partitions()


def add_run_changes(workspace: Workspace, known: DeliveryInputs, changes: ChangeSet, run: int) -> DeliveryInputs:
    """Add the changes of this run to the stored log."""
    for table in changes.logs:
        workspace.run(f"insert into {known.log} select user_id, key, value, {run} as run_id from {table}")
    return known


def pending_for(
    workspace: Workspace,
    inputs: DeliveryInputs,
    state: DestinationState,
    destination: Destination,
    *,
    cursor: DeliveryCursor,
    only_told: bool = False,
    retry: bool = False,
) -> PendingDelivery:
    """The pending calls of one cursor of a destination."""
    refused, withheld = (_of(workspace, table, state) for table in (inputs.refused, inputs.withheld or ""))
    kept_back = workspace.name("kept_back")
    subscriptions = state.active() if cursor.seeding is None else [state.subscriptions[cursor.seeding]]
    table = pending_calls(
        workspace,
        DeliveryInputs(
            log=inputs.log,
            refused=refused,
            chains=inputs.chains,
            suppressed=inputs.suppressed,
            withheld=withheld,
            aliases=inputs.aliases if destination.has_alias else None,
        ),
        cursor,
        subscriptions,
        companions=destination.companions,
        retry_refused=retry,
        only_sent=only_told,
        withheld_table=kept_back,
    )
    return PendingDelivery(
        state=state,
        cursor=cursor,
        table=table,
        calls=workspace.one(f"select count(*) from {table}")[0],
        includes_everyone=not only_told,
        withheld_table=kept_back,
        withheld_users=workspace.one(f"select count(distinct user_id) from {kept_back}")[0],
        releases=bool(workspace.one(f"select count(*) from {withheld} semi join {table} using (user_id)")[0]),
        retries=retry,
    )


def _of(workspace: Workspace, table: str, state: DestinationState) -> str:
    """A view of one destination's rows."""
    mine = workspace.name("mine")
    workspace.run(f"create view {mine} as from {table} where destination = {quote_literal(state.name)}")
    return mine

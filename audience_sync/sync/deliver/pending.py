"""What is each destination owed after a run's findings? The same answer for ``plan`` and for ``sync``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Table, select

from audience_sync.config.models import AudienceConfig, Settings
from audience_sync.delivery.pending.pending import MAX_RUN, DeliveryInputs, log_floor, pending_calls
from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState, Subscription
from audience_sync.destinations.base import Destination
from audience_sync.model import InitialSync
from audience_sync.store.tables import changes, destinations, properties
from audience_sync.sync.load.resolve_audiences import ResolvedAudience, origin
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.stored_state import StoredState
from audience_sync.workspace import Workspace, quote_literal

_COLUMNS = {"user_id": "varchar", "key": "varchar", "value": "varchar", "run_id": "integer"}


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """What one destination is owed over one feed: a table of calls in the workspace, and their number.

    ``kept_back``: a table of what ``kept_calls`` suppressed users are not sent. ``releases``: some users are sent
    what was withheld from them. ``retries``: what was refused is among it.
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
        """The same by the ledger as it was stored, with its ids."""
        seeding = self.cursor.seeding
        return replace(self, state=state, cursor=state.cursor if seeding is None else state.seeds[seeding])

    def event_start_runs(self, destination: Destination) -> dict[str, int]:
        """Of each audience whose events the destination is told, the run since which it is told of it."""
        if destination.options.events is None:
            return {}
        known = self.state.subscriptions.values()
        return {each.key: each.since_run for each in known if each.key in destination.about.audience_keys}


def configs_by_key(
    settings: Settings, known: StoredState, changes: ChangeSet, targets: Sequence[ResolvedAudience]
) -> dict[str, AudienceConfig]:
    """The config of every audience that exists after the run, those from ``names_from`` too."""
    named = {target.key: target.config for target in targets}
    entries = {origin(config): config for config in settings.audiences if config.names_from}
    stored = {key: entries[each.origin] for key, each in known.properties.items() if each.origin in entries}
    created = {each.key: entries[each.origin] for each in changes.created if each.origin in entries}
    exists = known.properties.keys() | {each.key for each in changes.created}
    return {key: config for key, config in (named | stored | created).items() if key in exists}


def wanted_properties(
    settings: Settings, stored: StoredState, changes: ChangeSet, configs: Mapping[str, AudienceConfig], name: str
) -> dict[str, bool]:
    """The properties a destination is to be told of; the value says whether everyone is told at first."""
    exists = stored.properties.keys() | {each.key for each in changes.created}
    keys = {
        key: config.initial is not InitialSync.NONE
        for key, config in configs.items()
        if name in settings.destinations_of(config)
    }
    return keys | {key: True for each in settings.computed_traits for key in each.columns if key in exists}


def read_log(connection: Connection, workspace: Workspace, states: Mapping[str, DestinationState]) -> str:
    """The stored changes that some destination has not been told, as a workspace table."""
    floor = min([log_floor(*share) for state in states.values() for share in _shares(state)], default=MAX_RUN)
    query = (
        select(changes.c.user_id, properties.c.key, changes.c.value, changes.c.run_id)
        .join_from(changes, properties)
        .where(changes.c.run_id > floor)
    )
    return workspace.load(_COLUMNS, _batches(connection, query))


def _shares(state: DestinationState) -> list[tuple[DeliveryCursor, list[Subscription]]]:
    """Every feed of a destination, with what it is told of over it."""
    seeds = [(cursor, [state.subscriptions[key]]) for key, cursor in state.seeds.items() if key in state.subscriptions]
    return [(state.cursor, state.active()), *seeds]


def read_undelivered(connection: Connection, workspace: Workspace, table: Table) -> str:
    """What refused or withheld calls carried, by destination, as a workspace table."""
    query = select(destinations.c.name, table.c.user_id, properties.c.key, table.c.value, table.c.run_id).select_from(
        table.join(destinations).join(properties)
    )
    return workspace.load({"destination": "varchar", **_COLUMNS}, _batches(connection, query))


def _batches(connection: Connection, query: Any) -> Iterator[Sequence[Sequence[Any]]]:
    result = connection.execution_options(yield_per=10_000).execute(query)
    yield from result.partitions()


def add_run_changes(workspace: Workspace, known: DeliveryInputs, changes: ChangeSet, run: int) -> DeliveryInputs:
    """Everything there is to tell: what was owed before, and what this run found."""
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
    """What one destination is owed over one of its feeds."""
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
        state,
        cursor,
        table,
        workspace.one(f"select count(*) from {table}")[0],
        includes_everyone=not only_told,
        withheld_table=kept_back,
        withheld_users=workspace.one(f"select count(distinct user_id) from {kept_back}")[0],
        releases=bool(workspace.one(f"select count(*) from {withheld} semi join {table} using (user_id)")[0]),
        retries=retry,
    )


def _of(workspace: Workspace, table: str, state: DestinationState) -> str:
    """One destination's rows of a table."""
    mine = workspace.name("mine")
    workspace.run(f"create view {mine} as from {table} where destination = {quote_literal(state.name)}")
    return mine

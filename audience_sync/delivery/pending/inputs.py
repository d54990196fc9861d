"""Read from the store what may be pending at a destination: the inputs of a delivery."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Select, Table, or_, select

from audience_sync.config.sections.base import DestinationOptions
from audience_sync.delivery.mapping import known_by
from audience_sync.delivery.state.cursors import DestinationState
from audience_sync.delivery.state.pending_rule import log_floor
from audience_sync.model import MAX_RUN, NO_RUN, RunId, UserId
from audience_sync.sql import Condition, TableName, quote_literal
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.store.tables import changes, delivery_destinations, properties, refused_values, withheld_values
from audience_sync.workspace import Workspace

_COLUMNS = {"user_id": "varchar", "key": "varchar", "value": "varchar", "run_id": "integer"}
#: Users in one query for their lost values.
_CHUNK = 5_000
_NEWEST = "qualify row_number() over (partition by user_id, key order by run_id desc) = 1"


class DeliveryInputs(Struct, frozen=True, kw_only=True):
    """The inputs of a delivery: tables in the workspace, and the stored snapshots by key.

    Three tables have the columns ``user_id``, ``key``, ``value`` (JSON; NULL: removed) and ``run_id``. ``log`` holds
    the changes after first creations, ``refused`` the values of refused calls, ``withheld`` the values that users were
    not sent while they were suppressed. ``suppressed`` (``user_id``) lists the users suppressed now. ``aliases``
    (``previous_id``, ``user_id``) lists merged ids, if the destination merges users. ``last`` and ``lost``: see
    ``MappedValues``. ``changed_users``: at most so many users are in the log.
    """

    log: TableName
    refused: TableName
    chains: Mapping[str, Chain]
    suppressed: TableName | None = None
    withheld: TableName | None = None
    aliases: TableName | None = None
    last: TableName | None = None
    lost: TableName | None = None
    changed_users: int = 0

    def within(self, workspace: Workspace, users: Condition) -> DeliveryInputs:
        """The inputs of some users. ``users``: a condition on ``user_id``."""
        views = {
            name: workspace.view("some", f"from {table} where {users}")
            for name in ("log", "refused", "withheld")
            if (table := getattr(self, name))
        }
        return replace(self, chains=_ChainsWithin(self.chains, users), **views)


class _ChainsWithin(Mapping[str, Chain]):
    """The chains, for queries about some users. A stored file is downloaded when its chain is first used."""

    def __init__(self, chains: Mapping[str, Chain], users: Condition) -> None:
        self._chains, self._users = chains, users

    def __getitem__(self, key: str) -> Chain:
        return replace(self._chains[key], within=self._users)

    def __contains__(self, key: object) -> bool:
        return key in self._chains

    def __iter__(self) -> Iterator[str]:
        return iter(self._chains)

    def __len__(self) -> int:
        return len(self._chains)


def read_inputs(
    connection: Connection,
    workspace: Workspace,
    states: Iterable[DestinationState],
    chains: Mapping[str, Chain],
    options: Mapping[str, DestinationOptions],
    *,
    aliases: TableName | None,
) -> DeliveryInputs:
    """Read the stored changes that are pending at some destination, and the refused and withheld values.

    ``states``: the destinations after the run. ``options``: theirs, by name.
    """
    query = _changes(changes.c.value).where(changes.c.run_id > _floor(states, options))
    sizes = list[int]()
    log = workspace.load(_COLUMNS, _counted(_batches(connection, query), sizes))
    return DeliveryInputs(
        log=log,
        changed_users=sum(sizes),
        refused=_read_undelivered(connection, workspace, refused_values),
        chains=chains,
        withheld=_read_undelivered(connection, workspace, withheld_values),
        aliases=aliases,
    )


def _floor(states: Iterable[DestinationState], options: Mapping[str, DestinationOptions]) -> RunId:
    """The run after which changes are needed; MAX_RUN if none are."""
    floors = list[RunId]()
    for state in states:
        seeds = [(each, [state.subscriptions[key]]) for key, each in state.seeds.items() if key in state.subscriptions]
        floors += [log_floor(*share) for share in ((state.cursor, state.active()), *seeds)]
        if options[state.name].identifiers or _user_trait(state, options):
            floors += _reached_runs(state)  # a new value of a trait may make calls sendable that were refused
    return min(floors, default=MAX_RUN)


def _user_trait(state: DestinationState, options: Mapping[str, DestinationOptions]) -> str | None:
    """The trait by which a destination knows users; None is the user id."""
    forms = [each.form for each in state.subscriptions.values() if each.ended_run is None]
    return known_by(options[state.name], forms).trait


def _reached_runs(state: DestinationState) -> list[RunId]:
    """The runs up to which users have been sent everything; without users who have been sent nothing."""
    cursors = (state.cursor, *state.seeds.values())
    return [run for each in cursors for run in (each.position, *(part.run for part in each.ranges)) if run > NO_RUN]


def read_lost_values(
    connection: Connection,
    workspace: Workspace,
    states: Iterable[DestinationState],
    options: Mapping[str, DestinationOptions],
    log: TableName,
) -> TableName | None:
    """Read the newest lost value of each property of users whose id at a destination changes; None without such a user.

    ``log``: all changes that may be pending.
    """
    traits = {trait for state in states if (trait := _user_trait(state, options)) and _reached_runs(state)}
    names = ", ".join(map(quote_literal, sorted(traits)))
    query = f"select distinct user_id from {log} where key in ({names}) and value is not null"
    users = [user for (user,) in workspace.all(query)] if traits else []
    if not users:
        return None
    lost = _changes(changes.c.value).where(or_(changes.c.value.is_(None), changes.c.value == "false"))
    table = workspace.load(_COLUMNS, _of_users(connection, lost, users))
    return workspace.table("lost", f"from {table} {_NEWEST}")


def read_last_identifiers(
    connection: Connection,
    workspace: Workspace,
    inputs: DeliveryInputs,
    identifiers: Collection[str],
    *,
    logs: Sequence[TableName],
    run: RunId,
) -> TableName | None:
    """Read the last values of identifiers that users with a pending exit have lost; None without such a user.

    The exit of a user who left the sources has to reach those who know the user by an e-mail, which is lost then.
    ``logs``: the changes of this ``run``.
    """
    keys = sorted(key for key in identifiers if key in inputs.chains)
    if not keys:
        return None
    stored = [each for each in (inputs.log, inputs.refused, inputs.withheld) if each]
    exits = workspace.table(
        "exits",
        f"select distinct user_id from ({' union all '.join(f'select user_id, value from {each}' for each in stored)}) "
        "where value = 'false'",
    )
    without = " union ".join(
        f"select user_id from {exits} anti join (select user_id from ({current_rows_query(inputs.chains[key])}) "
        f"where coalesce({trait_column(key)}, '\"\"') != '\"\"') using (user_id)"
        for key in keys
    )
    users = [user for (user,) in workspace.all(without)]
    if not users:
        return None
    lost = or_(changes.c.value.is_(None), changes.c.value == '""')
    query = _changes(changes.c.previous_value).where(properties.c.key.in_(keys), lost)
    names = ", ".join(map(quote_literal, keys))
    found = [f"select user_id, key, value, run_id from {workspace.load(_COLUMNS, _of_users(connection, query, users))}"]
    found += [
        f"select user_id, key, before as value, {run} as run_id from {log} where key in ({names})" for log in logs
    ]
    has_value = """value not in ('null', '""')"""
    values = f"select user_id, key, value from ({' union all '.join(found)}) where {has_value} {_NEWEST}"
    return workspace.table("last", values)


def _changes(value: Any) -> Select[Any]:
    """A query for the log of changes, with this column as the value."""
    query = select(changes.c.user_id, properties.c.key, value, changes.c.run_id)
    return query.join_from(changes, properties, changes.c.property_id == properties.c.id)


def _of_users(connection: Connection, query: Select[Any], users: Sequence[UserId]) -> Iterator[Sequence[Sequence[Any]]]:
    """Yield the rows of the query that are of these users, in batches."""
    for start in range(0, len(users), _CHUNK):
        yield from _batches(connection, query.where(changes.c.user_id.in_(users[start : start + _CHUNK])))


def _read_undelivered(connection: Connection, workspace: Workspace, table: Table) -> TableName:
    """A workspace table of the refused or withheld values, by destination."""
    query = select(
        delivery_destinations.c.name,
        table.c.user_id,
        properties.c.key,
        table.c.value,
        table.c.run_id,
        table.c.former_names,
    ).select_from(table.join(delivery_destinations).join(properties))
    columns = {"destination": "varchar", **_COLUMNS, "former_names": "varchar"}
    return workspace.load(columns, _batches(connection, query))


def _counted(batches: Iterator[Sequence[Any]], sizes: list[int]) -> Iterator[Sequence[Any]]:
    """Yield the batches, and add the number of rows of each to ``sizes``."""
    for rows in batches:
        sizes.append(len(rows))
        yield rows


def _batches(connection: Connection, query: Select[Any]) -> Iterator[Sequence[Sequence[Any]]]:
    result = connection.execution_options(yield_per=10_000).execute(query)
    yield from result.partitions()

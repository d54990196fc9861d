"""Compute the pending calls of each destination, in the same way for ``plan`` and ``sync``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Table, or_, select

from audience_sync.delivery.mapping import known_by, mapping_of
from audience_sync.delivery.pending.mapped import MappedValues
from audience_sync.delivery.pending.pending import (
    DeliveryInputs,
    PendingCalls,
    count_waiting,
    log_floor,
    most_users,
    pending_calls,
    pending_values,
)
from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState, Subscription
from audience_sync.destinations.base import Destination
from audience_sync.model import MAX_RUN, NO_RUN, RunId
from audience_sync.sql import TableName, quote_literal
from audience_sync.store.runs.deliveries import CursorCalls
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.store.tables import changes, delivery_destinations, properties, refused_values, withheld_values
from audience_sync.sync.values.request import RunRequest
from audience_sync.sync.values.run_context import RunContext
from audience_sync.sync.values.run_plan import RunPlan
from audience_sync.tracing import stage
from audience_sync.workspace import Workspace

if TYPE_CHECKING:
    from audience_sync.delivery.pending.slices import Slice

_COLUMNS = {"user_id": "varchar", "key": "varchar", "value": "varchar", "run_id": "integer"}
#: Users in a slice of pending calls. Their calls need about 1 GB in the workspace, in memory or in temporary files.
#: Smaller slices would cost more: the deltas of all snapshots are read for each, and its last request is not full.
SLICE_USERS = 5_000_000
#: The table of calls that are made in slices.
NO_TABLE = TableName("")
#: Users in one query for their lost values.
_CHUNK = 5_000


class PendingDelivery(PendingCalls, frozen=True, kw_only=True):
    """The pending calls of one cursor of a destination. ``waiting``: see ``CursorCalls``.

    ``runs``: of calls in slices, the runs of their values.
    """

    state: DestinationState
    waiting: int | None = None
    runs: frozenset[RunId] = frozenset()

    def committed(self, states: Mapping[str, DestinationState]) -> PendingDelivery:
        """The same delivery with the stored state of its destination, and its ids."""
        state, seeding = states[self.state.name], self.cursor.seeding
        return replace(self, state=state, cursor=state.cursor if seeding is None else state.seeds[seeding])

    def event_start_runs(self, destination: Destination) -> dict[str, RunId]:
        """For a destination with events: by audience, the run since which it is subscribed."""
        if destination.options.events is None:
            return {}
        known = self.state.subscriptions.values()
        return {each.key: each.since_run for each in known if each.key in destination.about.audience_keys}

    def sent_runs(self, workspace: Workspace, destination: Destination) -> Set[RunId]:
        """The runs whose start times are sent: the newest run of each call, and the run of each event."""
        if self.slices:
            return self.runs
        newest = f"select run_id from {self.table}"
        own = f"select unnest(regexp_extract_all(versions, '@(\\d+)', 1))::integer from {self.table}"
        queries = [newest, own] if self.event_start_runs(destination) else [newest]
        return {run for query in queries for (run,) in workspace.all(f"select distinct * from ({query})")}


@stage("pending")
def pending_deliveries(workspace: Workspace, plan: RunPlan) -> list[PendingDelivery]:
    """The pending calls of each destination: those of the seed if the run is one, or else all others."""
    return [
        _pending_delivery(workspace, _CursorOf(plan=plan, state=state, cursor=cursor, only_reached=only_reached))
        for state in plan.states.values()
        for cursor, only_reached in _cursors(state, plan.request)
    ]


def _cursors(state: DestinationState, request: RunRequest) -> list[tuple[DeliveryCursor, bool]]:
    """The cursors to send from, and whether only users reached before get calls.

    Only ``seed`` continues a seed by hand; other runs keep the users that it has reached up to date.
    """
    if (key := request.seeded_key) and key in state.seeds:
        return [(state.seeds[key], False)]
    subscribed = {key for key, each in state.subscriptions.items() if each.ended_run is None}
    reached = [(cursor, True) for key, cursor in state.seeds.items() if cursor.ranges and key in subscribed]
    return [(state.cursor, False), *reached]


def planned_calls(workspace: Workspace, plan: RunPlan, pending: Sequence[PendingDelivery]) -> list[CursorCalls]:
    """The calls to send from each cursor, and the run since which some of them are pending."""
    planned = [
        CursorCalls(
            destination=each.state.name,
            seeding=each.cursor.seeding,
            calls=each.calls,
            since=each.cursor.pending_since or plan.run,
            waiting=each.waiting,
        )
        for each in pending
    ]
    return planned + [each for state in plan.states.values() for each in _unreached_seeds(workspace, plan, state)]


def _unreached_seeds(workspace: Workspace, plan: RunPlan, state: DestinationState) -> Iterator[CursorCalls]:
    """The calls of seeds that have reached no user yet, if this run has changed the members of their audience."""
    for key, cursor in state.seeds.items():
        is_own = cursor.ranges or key == plan.request.seeded_key or key not in state.subscriptions
        if not is_own and plan.changes.chain_of(key):
            waiting = count_waiting(workspace, plan.inputs, cursor, [state.subscriptions[key]])
            since = cursor.pending_since or plan.run
            yield CursorCalls(destination=state.name, seeding=key, calls=0, since=since, waiting=waiting)


def read_pending(
    context: RunContext, connection: Connection, states: Mapping[str, DestinationState], chains: Mapping[str, Chain]
) -> DeliveryInputs:
    """The stored changes that are pending at some destination, and the refused and withheld values."""
    workspace = context.workspace
    floors = [log_floor(*share) for state in states.values() for share in _shares(state)]
    floors += [run for state in states.values() if _needs_traits(context, state) for run in _reached_runs(state)]
    floor = min(floors, default=MAX_RUN)
    query = (
        select(changes.c.user_id, properties.c.key, changes.c.value, changes.c.run_id)
        .join_from(changes, properties, changes.c.property_id == properties.c.id)
        .where(changes.c.run_id > floor)
    )
    sizes = list[int]()
    log = workspace.load(_COLUMNS, _counted(_batches(connection, query), sizes))
    return DeliveryInputs(
        log=log,
        changed_users=sum(sizes),
        refused=_read_undelivered(connection, workspace, refused_values),
        chains=chains,
        withheld=_read_undelivered(connection, workspace, withheld_values),
        aliases=context.aliases.sent,
    )


def _needs_traits(context: RunContext, state: DestinationState) -> bool:
    """Whether a new value of a trait may make calls sendable that were refused without it."""
    return bool(context.settings.destinations[state.name].identifiers or _user_trait(context, state))


def _user_trait(context: RunContext, state: DestinationState) -> str | None:
    """The trait by which a destination knows users after the run; None is the user id."""
    forms = [each.form for each in state.subscriptions.values() if each.ended_run is None]
    return known_by(context.settings.destinations[state.name], forms).trait


def _reached_runs(state: DestinationState) -> list[RunId]:
    """The runs up to which users have been sent everything; without users who have been sent nothing."""
    cursors = (state.cursor, *state.seeds.values())
    return [run for each in cursors for run in (each.position, *(part.run for part in each.ranges)) if run > NO_RUN]


def read_lost_values(
    context: RunContext, connection: Connection, states: Mapping[str, DestinationState], log: TableName
) -> TableName | None:
    """The newest lost value of each property of users whose id at a destination changes; None without such a user.

    ``log``: all changes that may be pending.
    """
    workspace = context.workspace
    traits = {trait for state in states.values() if (trait := _user_trait(context, state)) and _reached_runs(state)}
    names = ", ".join(map(quote_literal, sorted(traits)))
    query = f"select distinct user_id from {log} where key in ({names}) and value is not null"
    users = [user for (user,) in workspace.all(query)] if traits else []
    if not users:
        return None
    columns = (changes.c.user_id, properties.c.key, changes.c.value, changes.c.run_id)
    lost = (
        select(*columns)
        .join_from(changes, properties, changes.c.property_id == properties.c.id)
        .where(or_(changes.c.value.is_(None), changes.c.value == "false"))
    )
    chunks = (users[start : start + _CHUNK] for start in range(0, len(users), _CHUNK))
    rows = (batch for chunk in chunks for batch in _batches(connection, lost.where(changes.c.user_id.in_(chunk))))
    table = workspace.load(_COLUMNS, rows)
    return workspace.table(
        "lost", f"from {table} qualify row_number() over (partition by user_id, key order by run_id desc) = 1"
    )


def read_last_identifiers(
    context: RunContext,
    connection: Connection,
    inputs: DeliveryInputs,
    logs: Sequence[TableName],
    identifiers: Collection[str],
) -> TableName | None:
    """The last values of identifiers that users with a pending exit have lost; None without such a user.

    The exit of a user who left the sources has to reach those who know the user by an e-mail, which is lost then.
    ``logs``: the changes of this run.
    """
    workspace = context.workspace
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
    query = (
        select(changes.c.user_id, properties.c.key, changes.c.previous_value, changes.c.run_id)
        .join_from(changes, properties, changes.c.property_id == properties.c.id)
        .where(properties.c.key.in_(keys), or_(changes.c.value.is_(None), changes.c.value == '""'))
    )
    chunks = (users[start : start + _CHUNK] for start in range(0, len(users), _CHUNK))
    rows = (batch for chunk in chunks for batch in _batches(connection, query.where(changes.c.user_id.in_(chunk))))
    names = ", ".join(map(quote_literal, keys))
    found = [f"select user_id, key, value, run_id from {workspace.load(_COLUMNS, rows)}"] + [
        f"select user_id, key, before as value, {context.run} as run_id from {log} where key in ({names})"
        for log in logs
    ]
    return workspace.table(
        "last",
        f"""select user_id, key, value from ({" union all ".join(found)}) where value not in ('null', '""') """
        "qualify row_number() over (partition by user_id, key order by run_id desc) = 1",
    )


def _shares(state: DestinationState) -> list[tuple[DeliveryCursor, list[Subscription]]]:
    """Every cursor of a destination with its subscriptions."""
    seeds = [(cursor, [state.subscriptions[key]]) for key, cursor in state.seeds.items() if key in state.subscriptions]
    return [(state.cursor, state.active()), *seeds]


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


def _batches(connection: Connection, query: Any) -> Iterator[Sequence[Sequence[Any]]]:
    result = connection.execution_options(yield_per=10_000).execute(query)
    yield from result.partitions()


class _CursorOf(Struct, frozen=True, kw_only=True):
    """A cursor of a destination in a run. ``only_reached``: only users whom it has reached get calls."""

    plan: RunPlan
    state: DestinationState
    cursor: DeliveryCursor
    only_reached: bool

    @property
    def subscriptions(self) -> Sequence[Subscription]:
        seeding = self.cursor.seeding
        return self.state.active() if seeding is None else [self.state.subscriptions[seeding]]

    def make(self, workspace: Workspace, inputs: DeliveryInputs) -> PendingDelivery:
        """Make the calls of all users in ``inputs``."""
        own, options = self._pending(workspace, inputs)
        kept_back = options["withheld_table"]
        calls = pending_calls(workspace, own, self.cursor, self.subscriptions, **options)
        table = calls.name
        return PendingDelivery(
            state=self.state,
            cursor=self.cursor,
            table=table,
            calls=workspace.one(f"select count(*) from {table}")[0],
            includes_everyone=not self.only_reached,
            withheld_table=kept_back,
            withheld_users=_count_users(workspace, kept_back),
            releases=bool(workspace.one(f"select count(*) from {own.withheld} semi join {table} using (user_id)")[0]),
            retries=options["retry_refused"],
            is_mapped=calls.is_mapped,
        )

    def make_slice(self, workspace: Workspace, part: Slice) -> PendingDelivery:
        return self.make(workspace, self.plan.inputs.within(workspace, part.users))

    def count_slice(self, workspace: Workspace, part: Slice) -> PendingDelivery:
        """Count what ``make_slice`` makes, without making it."""
        with workspace.scratch() as scratch:
            own, options = self._pending(scratch, self.plan.inputs.within(scratch, part.users))
            values = pending_values(scratch, own, self.cursor, self.subscriptions, **options)
            return PendingDelivery(
                state=self.state,
                cursor=self.cursor,
                table=NO_TABLE,
                calls=_count_users(scratch, f"({values.users})"),
                withheld_users=_count_users(scratch, options["withheld_table"]),
                slices=(partial(self.make_slice, part=part),),
                runs=frozenset(run for (run,) in scratch.all(f"select distinct run_id from ({values.runs})") if run),
            )

    def _pending(self, workspace: Workspace, inputs: DeliveryInputs) -> tuple[DeliveryInputs, dict[str, Any]]:
        """The inputs of this destination, and the options of ``pending_calls``."""
        plan, state, name = self.plan, self.state, self.state.name
        destination = plan.destinations[name]
        refused, withheld = (_of(workspace, table, state) for table in (inputs.refused, inputs.withheld or ""))
        mapping = mapping_of(destination, state.subscriptions.values())
        own = DeliveryInputs(
            log=inputs.log,
            refused=refused,
            chains=inputs.chains,
            suppressed=inputs.suppressed,
            withheld=withheld,
            aliases=inputs.aliases if destination.has_alias else None,
        )
        mapped = MappedValues(
            identifiers=mapping.current_traits,
            user_id=mapping.user_id,
            last=inputs.last,
            lost=inputs.lost,
            baselines=plan.baselines.get(name, ()),
            former=_former_names(workspace, refused, withheld),
            names={each.key: mapping.name_of(each.key) for each in self.subscriptions},
        )
        return own, {
            "companions": destination.companions,
            "retry_refused": plan.request.retries(name),
            "only_sent": self.only_reached,
            "withheld_table": workspace.name("kept_back"),
            "mapped": mapped,
        }


def _pending_delivery(workspace: Workspace, each: _CursorOf) -> PendingDelivery:
    """Make the pending calls of a cursor; if they are too many for one table, count them by slices of users."""
    inputs, cursor, subscriptions = each.plan.inputs, each.cursor, each.subscriptions
    waiting = count_waiting(workspace, inputs, cursor, subscriptions) if each.only_reached else None
    if most_users(inputs, cursor, subscriptions) <= SLICE_USERS:
        return replace(each.make(workspace, inputs), waiting=waiting)
    from audience_sync.delivery.pending.slices import find_slices

    only_sent = each.only_reached
    slices = find_slices(workspace, inputs, cursor, subscriptions, only_sent=only_sent, size=SLICE_USERS)
    if len(slices) == 1:
        return replace(each.make(workspace, inputs), waiting=waiting)
    counted = [each.count_slice(workspace, part) for part in slices]
    return PendingDelivery(
        state=each.state,
        cursor=cursor,
        table=NO_TABLE,
        calls=sum(part.calls for part in counted),
        includes_everyone=not each.only_reached,
        withheld_users=sum(part.withheld_users for part in counted),
        retries=each.plan.request.retries(each.state.name),
        slices=[make for part in counted if part.calls or part.withheld_users for make in part.slices],
        waiting=waiting,
        runs=frozenset().union(*(part.runs for part in counted)),
    )


def _count_users(workspace: Workspace, table: str) -> int:
    return int(workspace.one(f"select count(distinct user_id) from {table}")[0])


def _former_names(workspace: Workspace, *tables: TableName) -> TableName | None:
    """A table of the former names that these values have still to end; None without any."""
    names = "unnest(from_json(former_names, '[\"VARCHAR\"]')) as name"
    query = " union ".join(
        f"select user_id, key, {names} from {table} where former_names is not null" for table in tables
    )
    found = workspace.table("former", query)
    return found if workspace.one(f"select count(*) from {found}")[0] else None


def _of(workspace: Workspace, table: str, state: DestinationState) -> TableName:
    """A view of one destination's rows."""
    return workspace.view("mine", f"from {table} where destination = {quote_literal(state.name)}")

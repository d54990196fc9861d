"""Compute the pending calls of each destination, in the same way for ``plan`` and ``sync``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.delivery.mapping import mapping_of
from audience_sync.delivery.pending.calls import PendingCalls, pending_calls
from audience_sync.delivery.pending.inputs import DeliveryInputs
from audience_sync.delivery.pending.mapped import MappedValues
from audience_sync.delivery.pending.values import PendingOptions, count_waiting, most_users, pending_values
from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState, Subscription
from audience_sync.destinations.base import Destination
from audience_sync.model import RunId
from audience_sync.sql import TableName, quote_literal
from audience_sync.store.runs.deliveries import CursorCalls
from audience_sync.sync.values.request import RunRequest
from audience_sync.sync.values.run_plan import RunPlan
from audience_sync.tracing import stage
from audience_sync.workspace import Workspace

if TYPE_CHECKING:
    from audience_sync.delivery.pending.slices import Slice

#: Users in a slice of pending calls. Their calls need about 1 GB in the workspace, in memory or in temporary files.
#: Smaller slices would cost more: the deltas of all snapshots are read for each, and its last request is not full.
SLICE_USERS = 5_000_000
#: The table of calls that are made in slices.
NO_TABLE = TableName("")


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
        calls = pending_calls(workspace, own, self.cursor, self.subscriptions, options)
        table = calls.name
        return PendingDelivery(
            state=self.state,
            cursor=self.cursor,
            table=table,
            calls=workspace.one(f"select count(*) from {table}")[0],
            includes_everyone=not self.only_reached,
            withheld_table=options.withheld_table,
            withheld_users=_count_users(workspace, options.withheld_table),
            releases=bool(workspace.one(f"select count(*) from {own.withheld} semi join {table} using (user_id)")[0]),
            retries=options.retry_refused,
            is_mapped=calls.is_mapped,
        )

    def make_slice(self, workspace: Workspace, part: Slice) -> PendingDelivery:
        return self.make(workspace, self.plan.inputs.within(workspace, part.users))

    def count_slice(self, workspace: Workspace, part: Slice) -> PendingDelivery:
        """Count what ``make_slice`` makes, without making it."""
        with workspace.scratch() as scratch:
            own, options = self._pending(scratch, self.plan.inputs.within(scratch, part.users))
            values = pending_values(scratch, own, self.cursor, self.subscriptions, options)
            return PendingDelivery(
                state=self.state,
                cursor=self.cursor,
                table=NO_TABLE,
                calls=_count_users(scratch, f"({values.users})"),
                withheld_users=_count_users(scratch, options.withheld_table),
                slices=(partial(self.make_slice, part=part),),
                runs=frozenset(run for (run,) in scratch.all(f"select distinct run_id from ({values.runs})") if run),
            )

    def _pending(self, workspace: Workspace, inputs: DeliveryInputs) -> tuple[DeliveryInputs, PendingOptions]:
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
        return own, PendingOptions(
            companions=destination.companions,
            retry_refused=plan.request.retries(name),
            only_sent=self.only_reached,
            withheld_table=workspace.name("withheld"),
            mapped=mapped,
        )


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


def _count_users(workspace: Workspace, table: str | None) -> int:
    return int(workspace.one(f"select count(distinct user_id) from {table}")[0]) if table else 0


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

"""What is a destination owed? Everything it has not been told, with the newest values, merged per user.

Nothing here is stored: it follows from the destination's position, the log of changes and the stored
snapshots, so that whatever is sent again after a failure carries the newest values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audience_sync.delivery.pending.backfill import Backfill, backfill_queries, needs_backfill
from audience_sync.delivery.pending.merge import merge_per_user
from audience_sync.delivery.state.cursors import DeliveryCursor, Subscription
from audience_sync.delivery.state.ranges import delivered_run_sql
from audience_sync.model import ALIAS_KEY
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.workspace import Workspace, quote_literal

#: Greater than any run.
MAX_RUN = 2**31 - 1


@dataclass(frozen=True, slots=True)
class DeliveryInputs:
    """What there is to tell: tables in the workspace, and the stored snapshots by key.

    ``log`` holds the changes after first creations, ``refused`` what refused calls carried; both have the
    columns ``user_id``, ``key``, ``value`` (JSON; NULL = gone) and ``run_id``. So has ``withheld``: what users
    were not sent while they were suppressed. ``suppressed`` (``user_id``): who is now.
    ``aliases`` (``previous_id``, ``user_id``): who has another id now, where the destination joins the two.
    """

    log: str
    refused: str
    chains: Mapping[str, Chain]
    suppressed: str | None = None
    withheld: str | None = None
    aliases: str | None = None


def pending_calls(
    workspace: Workspace,
    inputs: DeliveryInputs,
    cursor: DeliveryCursor,
    subscriptions: Sequence[Subscription],
    *,
    companions: Sequence[Sequence[str]] = (),
    retry_refused: bool = False,
    only_sent: bool = False,
    withheld_table: str | None = None,
) -> str:
    """A table with one row a user: ``user_id``, ``traits`` (a JSON object), ``versions`` and ``run_id``.

    ``versions`` names for each key the run that made its value (``key@run,key@run``); ``run_id`` is the newest
    of them. ``only_sent`` leaves out the users whom the feed has not reached yet. ``withheld_table`` names a table that
    is made of what suppressed users would have been sent.
    """
    items, told = workspace.name("items"), delivered_run_sql(cursor.ranges, cursor.position)
    reached = f"{told} > {cursor.position}" if only_sent else "true"
    walked = [each for each in subscriptions if needs_backfill(each, cursor)]
    walks = backfill_queries(inputs.chains, told, walked, reached)
    log = _logged_changes(inputs, cursor, subscriptions)
    touched = [f"select user_id from ({log})", *(walk.users for walk in walks)]
    known = [
        log,
        _refused_values(inputs, subscriptions, touched, retry_refused),
        *_withheld_values(inputs, subscriptions),
    ]
    workspace.run(f"create table {items} as select * from ({_newest_per_key(known)}) where {reached}")
    told_walks = _remove_merged_ids(workspace, items, walks, inputs)
    _set_resync_runs(workspace, items, cursor, subscriptions)
    walks = _insert_backfilled_values(workspace, items, told_walks, inputs, companions)
    _remove_suppressed(workspace, items, inputs, withheld_table)
    _add_companions(workspace, items, inputs, subscriptions, companions)
    calls = merge_per_user(workspace, items, walks)
    workspace.run(f"drop table {items}")
    return calls


def _logged_changes(inputs: DeliveryInputs, cursor: DeliveryCursor, subscriptions: Sequence[Subscription]) -> str:
    """The changes that came after what each user was told.

    Of a property that everyone is still to be told, the log matters only since the first attempt: who left
    after it may have been told ``true`` by a call whose answer was lost.
    """
    told = delivered_run_sql(cursor.ranges, cursor.position)
    floors = ", ".join(
        f"({quote_literal(each.key)}, {each.since_run}, {str(each.catches_up(cursor)).lower()}, {_floor(cursor, each)})"
        for each in subscriptions
    )
    if not floors:
        return f"select user_id, key, value, run_id from {inputs.log} where false"
    return (
        f"select user_id, key, value, run_id from {inputs.log} "
        f"join (values {floors}) s(key, since_run, catches_up, floor) using (key) "
        f"where run_id > case when catches_up and since_run > {told} then floor else greatest({told}, since_run) end"
    )


def log_floor(cursor: DeliveryCursor, subscriptions: Sequence[Subscription]) -> int:
    """The run after which the log is needed: no change up to it can be owed. NEVER where none is."""
    return min((_log_needed_after(cursor, each) for each in subscriptions), default=MAX_RUN)


def _log_needed_after(cursor: DeliveryCursor, subscription: Subscription) -> int:
    if subscription.catches_up(cursor):
        return _floor(cursor, subscription)
    return max(cursor.low_watermark, subscription.since_run)


def _floor(cursor: DeliveryCursor, subscription: Subscription) -> int:
    known = [run for run in (cursor.attempted_run, subscription.sent_through) if run is not None]
    return min(known, default=MAX_RUN)


def _refused_values(
    inputs: DeliveryInputs, subscriptions: Sequence[Subscription], touched_users: Sequence[str], retry: bool
) -> str:
    """What refused calls carried, of the users who changed again or when they are to be retried."""
    keys = ", ".join(quote_literal(each.key) for each in subscriptions) or "null"
    everything = f"select user_id, key, value, run_id from {inputs.refused} where key in ({keys})"
    if retry:
        return everything
    return f"{everything} and user_id in ({' union all '.join(touched_users)})"


def _withheld_values(inputs: DeliveryInputs, subscriptions: Sequence[Subscription]) -> list[str]:
    """What users were not sent while they were suppressed; of those who still are it is kept back again."""
    if inputs.withheld is None:
        return []
    keys = ", ".join(quote_literal(each.key) for each in subscriptions) or "null"
    return [f"select user_id, key, value, run_id from {inputs.withheld} where key in ({keys})"]


def _newest_per_key(queries: Sequence[str]) -> str:
    return (
        f"select user_id, key, value, run_id from ({' union all '.join(queries)}) "
        "qualify row_number() over (partition by user_id, key order by run_id desc) = 1"
    )


def _insert_backfilled_values(
    workspace: Workspace,
    items: str,
    backfills: Sequence[Backfill],
    inputs: DeliveryInputs,
    companions: Sequence[Sequence[str]],
) -> list[Backfill]:
    """Put into ``items`` what has to be seen value by value: traits that travel together, and what suppressed users
    would be told. Returns the walks without it."""
    together = {key for group in companions for key in group}
    rest = []
    for walk in backfills:
        if together.isdisjoint(walk.values):
            rest.append(walk)
        else:
            _insert_missing(workspace, items, walk.items)
    if inputs.suppressed is None:
        return rest
    for walk in rest:
        _insert_missing(workspace, items, f"from ({walk.items}) semi join {inputs.suppressed} using (user_id)")
    return [walk.without(inputs.suppressed) for walk in rest]


def _remove_merged_ids(
    workspace: Workspace, items: str, backfills: Sequence[Backfill], inputs: DeliveryInputs
) -> Sequence[Backfill]:
    """Under a previous id nobody is told anything more. That someone has none any more is nothing to tell."""
    if inputs.aliases is None:
        return backfills
    moved = workspace.name("moved")
    workspace.run(f"create table {moved} as select distinct previous_id as user_id from {inputs.aliases}")
    workspace.run(
        f"delete from {items} where user_id in (from {moved}) or (key = {quote_literal(ALIAS_KEY)} and value is null)"
    )
    return [walk.without(moved) for walk in backfills]


def _insert_missing(workspace: Workspace, items: str, query: str) -> None:
    """What is there already is newer."""
    workspace.run(f"insert into {items} from ({query}) anti join {items} using (user_id, key)")


def _remove_suppressed(workspace: Workspace, items: str, inputs: DeliveryInputs, withheld_table: str | None) -> None:
    if inputs.suppressed is None:
        return
    if withheld_table is not None:
        workspace.run(f"create table {withheld_table} as from {items} semi join {inputs.suppressed} using (user_id)")
    workspace.run(f"delete from {items} where user_id in (select user_id from {inputs.suppressed})")


def _set_resync_runs(
    workspace: Workspace, items: str, cursor: DeliveryCursor, subscriptions: Sequence[Subscription]
) -> None:
    """What is told again on purpose is a change of the run that wants it: its message ids are new ones."""
    told = delivered_run_sql(cursor.ranges, cursor.position)
    for each in subscriptions:
        if each.sent_through is not None and needs_backfill(each, cursor):
            workspace.run(
                f"update {items} set run_id = {each.since_run} "
                f"where key = {quote_literal(each.key)} and run_id < {each.since_run} and {each.since_run} > {told}"
            )


def _add_companions(
    workspace: Workspace,
    items: str,
    inputs: DeliveryInputs,
    subscriptions: Sequence[Subscription],
    companions: Sequence[Sequence[str]],
) -> None:
    """Traits that mean something only together travel together: the unchanged ones join the changed ones."""
    known = {each.key for each in subscriptions if each.key in inputs.chains}
    for group in companions:
        keys = [key for key in group if key in known]
        if len(keys) > 1:
            _insert_companions(workspace, items, inputs, keys)


def _insert_companions(workspace: Workspace, items: str, inputs: DeliveryInputs, keys: Sequence[str]) -> None:
    names = ", ".join(quote_literal(key) for key in keys)
    touched = workspace.name("touched")
    workspace.run(f"create table {touched} as select distinct user_id from {items} where key in ({names})")
    if not workspace.one(f"select count(*) from {touched}")[0]:
        return
    for key in keys:
        chain = inputs.chains[key]
        workspace.run(
            f"insert into {items} select user_id, {quote_literal(key)} as key, {trait_column(key)} as value, run_id "
            f"from ({current_rows_query(chain)}) semi join {touched} using (user_id) "
            f"anti join (select user_id from {items} where key = {quote_literal(key)}) using (user_id) "
            "where value is not null"
        )

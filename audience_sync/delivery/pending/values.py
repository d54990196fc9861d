"""Find the values that a destination has yet to be sent.

Nothing here is stored. Pending values follow from the destination's cursor, the log of changes and the stored
snapshots, so that a call sent again after a failure carries the newest values.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from audience_sync.delivery.pending.backfill import Backfill, backfill_queries
from audience_sync.delivery.pending.inputs import DeliveryInputs
from audience_sync.delivery.pending.mapped import (
    FormerNames,
    MappedValues,
    add_owners_of_former_names,
    add_values_under_new_ids,
    former_names,
    users_with_new_id,
    users_with_new_identifiers,
)
from audience_sync.delivery.state.cursors import DeliveryCursor, Subscription
from audience_sync.delivery.state.pending_rule import (
    RUN_ID,
    PendingRule,
    is_pending_sql,
    pending_rules,
    rules_table_sql,
)
from audience_sync.delivery.state.ranges import delivered_run_sql
from audience_sync.model import ALIAS_KEY
from audience_sync.sql import NEVER, Condition, Expression, Query, TableName, quote_literal
from audience_sync.store.snapshots.chain import current_rows_query, trait_column
from audience_sync.workspace import Workspace


class PendingValues(Struct, frozen=True, kw_only=True):
    """The pending values of one cursor, not yet merged into calls.

    ``items``: a table with one row for each user and key, whose values replace those of the ``backfills``. ``former``
    and ``repeated``: see ``add_mapping_columns``.
    """

    items: TableName
    backfills: Sequence[Backfill]
    former: FormerNames
    repeated: Sequence[TableName]
    reached: Expression

    @property
    def users(self) -> Query:
        """A query for the users of the values; a user may come several times."""
        return Query(
            " union all ".join([f"select user_id from {self.items}", *(each.users for each in self.backfills)])
        )

    @property
    def runs(self) -> Query:
        """A query for the runs of all values; a run may come several times."""
        values = (
            f"select {run} as run_id from ({each.rows})" for each in self.backfills for _, run in each.values.values()
        )
        return Query(" union all ".join([f"select run_id from {self.items}", *values]))


class PendingOptions(Struct, frozen=True, kw_only=True):
    """What a destination and a run ask of pending calls.

    ``companions``: groups of traits that have a meaning only together. ``retry_refused``: send refused values again, of
    all users. ``only_sent`` leaves out users whom the cursor has not reached. ``withheld_table`` names a table to
    create, with the values that suppressed users are not sent.
    """

    companions: Sequence[Sequence[str]] = ()
    retry_refused: bool = False
    only_sent: bool = False
    withheld_table: TableName | None = None
    mapped: MappedValues = MappedValues()


def pending_values(
    workspace: Workspace,
    inputs: DeliveryInputs,
    cursor: DeliveryCursor,
    subscriptions: Sequence[Subscription],
    options: PendingOptions,
) -> PendingValues:
    """Find the pending values, and create the table of those that are not in a backfill."""
    mapped, companions = options.mapped, options.companions
    reached = delivered_run_sql(cursor.ranges, cursor.position)
    condition = Condition(f"{reached} > {cursor.position}" if options.only_sent else "true")
    rules = pending_rules(cursor, subscriptions)
    sending_current = [each for each in rules if each.sends_current(cursor.low_watermark)]
    backfills = backfill_queries(inputs.chains, reached, sending_current, condition)
    log = logged_changes(inputs, rules, reached)
    moved = users_with_new_id(inputs.log, mapped.user_id, reached, condition) if mapped.user_id else None
    changed_users = [Query(f"select user_id from ({log})"), *(backfill.users for backfill in backfills)]
    if mapped.identifiers:
        changed_users.append(users_with_new_identifiers(inputs.log, mapped.identifiers, reached))
    values = [log, *_undelivered_values(inputs, subscriptions, changed_users, retry=options.retry_refused)]
    items = workspace.table("items", f"from ({_newest_per_key(values)}) where {condition}")
    repeated = [
        moved
        and add_values_under_new_ids(workspace, items, moved, inputs.chains, rules, reached=reached, mapped=mapped),
        add_owners_of_former_names(workspace, items, inputs.chains, rules, reached=reached, mapped=mapped),
    ]
    unmerged_backfills = _remove_merged_ids(workspace, items, backfills, inputs)
    _set_resync_runs(workspace, items, sending_current, reached)
    backfills = _insert_backfilled_values(workspace, items, unmerged_backfills, inputs, companions)
    former = former_names(rules, mapped.former)
    _remove_suppressed(workspace, items, inputs, options.withheld_table, former=former, reached=reached)
    _add_companions(workspace, items, inputs, subscriptions, companions)
    return PendingValues(
        items=items,
        backfills=backfills,
        former=former,
        repeated=[each for each in repeated if each],
        reached=reached,
    )


def most_users(inputs: DeliveryInputs, cursor: DeliveryCursor, subscriptions: Sequence[Subscription]) -> int:
    """Return a number that the users with pending calls don't exceed, without a query.

    Users who only have refused or withheld values are left out.
    """
    rules = pending_rules(cursor, subscriptions)
    chains = {inputs.chains[each.subscription.key] for each in rules if each.sends_current(cursor.low_watermark)}
    return inputs.changed_users + sum(chain.user_count for chain in chains)


def count_waiting(
    workspace: Workspace, inputs: DeliveryInputs, cursor: DeliveryCursor, subscriptions: Sequence[Subscription]
) -> int:
    """Count the users with pending values whom a seed has not reached, so that only the next ``seed`` sends them.

    They are the members among them, and those who have left since the seed may have sent them ``true``.
    """
    reached = delivered_run_sql(cursor.ranges, cursor.position)
    rules = pending_rules(cursor, subscriptions)
    unreached = Condition(f"{reached} <= {cursor.position}")
    sending_current = [each for each in rules if each.sends_current(cursor.low_watermark)]
    members = [each.users for each in backfill_queries(inputs.chains, reached, sending_current, unreached)]
    newest = "qualify row_number() over (partition by user_id order by run_id desc) = 1"
    changed = f"select user_id, value from ({logged_changes(inputs, rules, reached)}) where {unreached} {newest}"
    users = " union all ".join([*members, f"select user_id from ({changed}) where value = 'false'"])
    allowed = f"anti join {inputs.suppressed} using (user_id)" if inputs.suppressed else ""
    return int(workspace.one(f"select count(*) from ({users}) {allowed}")[0])


def logged_changes(inputs: DeliveryInputs, rules: Sequence[PendingRule], reached: Expression) -> Query:
    """Return a query for the changes after the run up to which each user has been sent everything.

    For a property in backfill, only changes after the first attempt count. A user who left after it may have been sent
    ``true`` in a call whose answer was lost.
    """
    columns = f"select user_id, key, value, run_id from {inputs.log}"
    if not rules:
        return Query(f"{columns} where {NEVER}")
    return Query(f"{columns} join {rules_table_sql(rules)} using (key) where {is_pending_sql(reached)}")


def _undelivered_values(
    inputs: DeliveryInputs, subscriptions: Sequence[Subscription], changed_users: Sequence[Query], *, retry: bool
) -> list[Query]:
    """Return queries for the refused and withheld values.

    Refused values are those of users with a newer change, or of all when retrying. Users who are still suppressed are
    removed later.
    """
    keys = ", ".join(quote_literal(each.key) for each in subscriptions) or "null"
    changed = "true" if retry else f"user_id in ({' union all '.join(changed_users)})"
    conditions = {inputs.refused: changed} | ({inputs.withheld: "true"} if inputs.withheld else {})
    return [
        Query(f"select user_id, key, value, run_id from {table} where key in ({keys}) and {condition}")
        for table, condition in conditions.items()
    ]


def _newest_per_key(queries: Sequence[Query]) -> Query:
    return Query(
        f"select user_id, key, value, run_id from ({' union all '.join(queries)}) "
        "qualify row_number() over (partition by user_id, key order by run_id desc) = 1"
    )


def _insert_backfilled_values(
    workspace: Workspace,
    items: TableName,
    backfills: Sequence[Backfill],
    inputs: DeliveryInputs,
    companions: Sequence[Sequence[str]],
) -> list[Backfill]:
    """Insert backfilled values into ``items`` where single values matter, and return the other backfills.

    Single values matter for traits that are sent together, and for suppressed users.
    """
    together = {key for group in companions for key in group}
    rest = []
    for backfill in backfills:
        if together.isdisjoint(backfill.values):
            rest.append(backfill)
        else:
            _insert_missing(workspace, items, backfill.items)
    if inputs.suppressed is None:
        return rest
    for backfill in rest:
        suppressed = Query(f"from ({backfill.items}) semi join {inputs.suppressed} using (user_id)")
        _insert_missing(workspace, items, suppressed)
    return [backfill.without(inputs.suppressed) for backfill in rest]


def _remove_merged_ids(
    workspace: Workspace, items: TableName, backfills: Sequence[Backfill], inputs: DeliveryInputs
) -> Sequence[Backfill]:
    """Remove the values under merged ids: nothing more is sent for them. A removed alias is not sent either."""
    if inputs.aliases is None:
        return backfills
    merged = workspace.table("merged", f"select distinct previous_id as user_id from {inputs.aliases}")
    workspace.run(
        f"delete from {items} where user_id in (from {merged}) or (key = {quote_literal(ALIAS_KEY)} and value is null)"
    )
    return [backfill.without(merged) for backfill in backfills]


def _insert_missing(workspace: Workspace, items: TableName, query: Query) -> None:
    """Insert rows for users and keys that are not in ``items`` yet: existing rows are newer."""
    workspace.run(f"insert into {items} from ({query}) anti join {items} using (user_id, key)")


def _remove_suppressed(
    workspace: Workspace,
    items: TableName,
    inputs: DeliveryInputs,
    withheld_table: TableName | None,
    *,
    former: FormerNames,
    reached: Expression,
) -> None:
    if inputs.suppressed is None:
        return
    if withheld_table is not None:
        mine = workspace.table("suppressed", f"from {items} semi join {inputs.suppressed} using (user_id)")
        columns, join = "null::varchar as former_names", ""
        if pairs := former.pairs(mine, reached, by_key=True):
            columns = "cast(to_json(names) as varchar) as former_names"
            lists = f"select user_id, key, list(name order by name) as names from ({pairs}) group by user_id, key"
            join = f"left join ({lists}) using (user_id, key)"
        workspace.run(f"create table {withheld_table} as select {mine}.*, {columns} from {mine} {join}")
    workspace.run(f"delete from {items} where user_id in (select user_id from {inputs.suppressed})")


def _set_resync_runs(workspace: Workspace, items: TableName, rules: Sequence[PendingRule], reached: Expression) -> None:
    """Give the changes that a resync sends again their new run."""
    for rule in rules:
        if (run := rule.run_of_current_sql(RUN_ID)) != RUN_ID:
            workspace.run(
                f"update {items} set run_id = {run} where key = {quote_literal(rule.subscription.key)} "
                f"and {run} > run_id and {rule.sends_current_sql(reached)}"
            )


def _add_companions(
    workspace: Workspace,
    items: TableName,
    inputs: DeliveryInputs,
    subscriptions: Sequence[Subscription],
    companions: Sequence[Sequence[str]],
) -> None:
    """Add the unchanged traits of a group whose traits have a meaning only together."""
    known = {each.key for each in subscriptions if each.key in inputs.chains}
    for group in companions:
        keys = [key for key in group if key in known]
        if len(keys) > 1:
            _insert_companions(workspace, items, inputs, keys)


def _insert_companions(workspace: Workspace, items: TableName, inputs: DeliveryInputs, keys: Sequence[str]) -> None:
    names = ", ".join(quote_literal(key) for key in keys)
    touched = workspace.table("touched", f"select distinct user_id from {items} where key in ({names})")
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

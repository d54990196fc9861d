"""Carry pending exits of previous ids over to the new ids, for destinations that merge users."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from audience_sync.delivery.pending.inputs import DeliveryInputs
from audience_sync.model import ALIAS_KEY, PropertyKind
from audience_sync.sql import Query, TableName, quote_literal
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.sync.values.change_set import ChainChange, ChangeSet, MergedUsers
from audience_sync.sync.values.run_context import RunContext

_COLUMNS = "user_id, key, value, before"


def carry_over(context: RunContext, changes: ChangeSet, stored: DeliveryInputs, joining: Collection[str]) -> ChangeSet:
    """The changes with exits and lost values of previous ids in the log of the new ids, if these don't have them.

    They are of this run, or pending (``stored``). A destination in ``joining`` merges both ids, so it has the value
    under the new id. It gets nothing more for the previous id.
    """
    workspace, aliases = context.workspace, context.aliases
    pending = workspace.table(
        "pending",
        f"select a.user_id, key, max_by(value, run_id) as value "
        f"from ({_pending(stored)}) o join {aliases.joined} a on o.user_id = a.previous_id group by a.user_id, key "
        "having coalesce(max_by(value, run_id), 'false') = 'false'",
    )
    chains = list(changes.chains)
    indexes = {change.chain.keys: index for index, change in enumerate(chains)}
    waiting = {stored.chains[key].keys for (key,) in workspace.all(f"select distinct key from {pending}")}
    for keys in {*indexes, *waiting} - {(ALIAS_KEY,)}:
        change = chains[indexes[keys]] if keys in indexes else ChainChange(chain=stored.chains[keys[0]])
        if change.chain.id is None or (log := _log(context, change, pending)) is None:
            continue
        if keys in indexes:
            chains[indexes[keys]] = replace(change, log=log)
        else:
            chains.append(replace(change, log=log))
    merged = MergedUsers(Query(f"select previous_id from {aliases.joined}"), joining)
    return replace(changes, chains=tuple(chains), merged_users=merged)


def _pending(stored: DeliveryInputs) -> str:
    tables = [table for table in (stored.log, stored.refused, stored.withheld) if table]
    return " union all ".join(f"select user_id, key, value, run_id from {table}" for table in tables)


def _log(context: RunContext, change: ChainChange, pending: TableName) -> TableName | None:
    """The change's log with the carried rows."""
    workspace, merges, log = context.workspace, context.aliases.sent, change.log
    before = "'true'" if change.chain.kind is PropertyKind.AUDIENCE else "null"
    lost = f"select user_id, key, value, {before} as before from {pending}"
    if log:
        lost += (
            f" union all select a.user_id, key, value, before from {log} l "
            f"join {merges} a on l.user_id = a.previous_id "
            "where coalesce(value, 'false') = 'false' and before is distinct from 'null'"
        )
    known = f" and user_id not in (select user_id from {log} where key = {{key}})" if log else ""
    carried = workspace.name("carried")
    rows = " union all ".join(
        f"select user_id, key, any_value(value) as value, any_value(before) as before from ({lost}) "
        f"where key = {quote_literal(key)} and user_id not in ({_has(change.chain, key)})"
        f"{known.format(key=quote_literal(key))} "
        "group by user_id, key"
        for key in change.chain.keys
    )
    workspace.run(f"create table {carried} as {rows}")
    if not workspace.one(f"select count(*) from {carried}")[0]:
        return log
    if log:
        workspace.run(f"insert into {carried} select {_COLUMNS} from {log}")
    return carried


def _has(chain: Chain, key: str) -> str:
    value = "" if chain.kind is PropertyKind.AUDIENCE else f" where {trait_column(key)} is not null"
    return f"select user_id from ({current_rows_query(chain)}){value}"

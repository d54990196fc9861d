"""What else goes with a user to another id? What joining destinations have yet to hear of the previous one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from audience_sync.delivery.pending.pending import DeliveryInputs
from audience_sync.model import ALIAS_KEY, PropertyKind
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.sync.detect.collector import ChangeDetector
from audience_sync.sync.values.change_set import ChainChange, MergedUsers
from audience_sync.workspace import quote_literal

_COLUMNS = "user_id, key, value, before"


def carry_over(detector: ChangeDetector, stored: DeliveryInputs, joining: Collection[str]) -> None:
    """Whoever lost a membership or value under a previous id, in this run or one that destinations have yet to be told
    of (``stored``), and doesn't have it under the new one, is told so there too: a destination that has joined the two
    knows it of the new id. Of the previous one the destinations ``joining`` are owed nothing more."""
    workspace, aliases = detector.workspace, detector.aliases
    if aliases.sent is None:
        return
    detector.changes.merged_users = MergedUsers(f"select previous_id from {aliases.joined}", joining)
    pending = workspace.name("owed")
    workspace.run(
        f"create table {pending} as select a.user_id, key, max_by(value, run_id) as value "
        f"from ({_owed(stored)}) o join {aliases.joined} a on o.user_id = a.previous_id group by a.user_id, key "
        "having coalesce(max_by(value, run_id), 'false') = 'false'"
    )
    changes = {change.chain.keys: place for place, change in enumerate(detector.changes.changes)}
    waiting = {stored.chains[key].keys for (key,) in workspace.all(f"select distinct key from {pending}")}
    for keys in {*changes, *waiting} - {(ALIAS_KEY,)}:
        change = detector.changes.changes[changes[keys]] if keys in changes else ChainChange(stored.chains[keys[0]], ())
        if change.chain.id is None or (log := _log(detector, change, pending)) is None:
            continue
        if keys in changes:
            detector.changes.changes[changes[keys]] = replace(change, log=log)
        else:
            detector.changes.changes.append(replace(change, log=log))


def _owed(stored: DeliveryInputs) -> str:
    tables = [table for table in (stored.log, stored.refused, stored.withheld) if table]
    return " union all ".join(f"select user_id, key, value, run_id from {table}" for table in tables)


def _log(detector: ChangeDetector, change: ChainChange, pending: str) -> str | None:
    """The change's log, with what is passed on."""
    workspace, told, log = detector.workspace, detector.aliases.sent, change.log
    before = "'true'" if change.chain.kind is PropertyKind.AUDIENCE else "null"
    lost = f"select user_id, key, value, {before} as before from {pending}"
    if log:
        lost += (
            f" union all select a.user_id, key, value, before from {log} l join {told} a on l.user_id = a.previous_id "
            "where coalesce(value, 'false') = 'false' and before is distinct from 'null'"
        )
    known = f" and user_id not in (select user_id from {log} where key = {{key}})" if log else ""
    passed = workspace.name("passed_on")
    rows = " union all ".join(
        f"select user_id, key, any_value(value) as value, any_value(before) as before from ({lost}) "
        f"where key = {quote_literal(key)} and user_id not in ({_has(change.chain, key)})"
        f"{known.format(key=quote_literal(key))} "
        "group by user_id, key"
        for key in change.chain.keys
    )
    workspace.run(f"create table {passed} as {rows}")
    if not workspace.one(f"select count(*) from {passed}")[0]:
        return log
    if log:
        workspace.run(f"insert into {passed} select {_COLUMNS} from {log}")
    return passed


def _has(chain: Chain, key: str) -> str:
    value = "" if chain.kind is PropertyKind.AUDIENCE else f" where {trait_column(key)} is not null"
    return f"select user_id from ({current_rows_query(chain)}){value}"

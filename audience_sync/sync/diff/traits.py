"""Diff a snapshot of computed traits with the stored values, column by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from audience_sync.model import ChangeCounts
from audience_sync.sql import NEVER, Condition, TableName, quote_identifier, quote_literal
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.workspace import Workspace

#: Stands in place of a key for all traits of a diff.
ALL_TRAITS = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitsDiff:
    """The users with changed values: a table with ``user_id`` and all columns of the chain, with the new values.

    ``log``: a table with ``user_id``, ``key`` and ``value``, one row a changed value (NULL = no value); None for new
    traits. ``entered`` and ``left`` count users with their first values, and with none left. ``lost``: by key, how many
    users had a value and how many lose it; under ``ALL_TRAITS``, how many had any value and lose all.
    """

    table: TableName
    log: TableName | None
    users: int
    entered: int
    left: int
    lost: Mapping[str, ChangeCounts] = field(default_factory=dict)


def diff_traits(
    workspace: Workspace,
    snapshot: TableName,
    chain: Chain,
    keys: Sequence[str],
    *,
    erased: Condition = NEVER,
    aliases: TableName | None = None,
) -> TraitsDiff:
    """Diff a snapshot table, which has ``user_id`` and a column per key of ``keys``, with the chain's values.

    ``aliases``: a table of ``previous_id`` and ``user_id``; a user with a new id and the same values has lost none.
    Values of the chain that are not in ``keys`` stay unchanged.
    """
    if chain.id is None:
        return _first_values(workspace, snapshot, keys, erased)
    wide = _changed_users(workspace, snapshot, chain, keys)
    lost = _lost(
        workspace, snapshot, _unmoved(snapshot, wide, aliases), {key: [key] for key in keys} | {ALL_TRAITS: keys}
    )
    if erased != NEVER:
        workspace.run(f"delete from {wide} where {erased}")
    parts = [
        f"select user_id, {quote_literal(key)} as key, {_new(key)} as value, {_before(chain, key)} as before "
        f"from {wide} "
        f"where {_new(key)} is distinct from {_old(key)}"
        for key in keys
    ]
    log = workspace.table("trait_log", " union all ".join(parts))
    columns = ", ".join(f"{_new(key) if key in keys else _old(key)} as {trait_column(key)}" for key in chain.keys)
    table = workspace.table("traits", f"select user_id, {columns} from {wide}")
    there, was = _any(chain.keys, keys, new=True), _any(chain.keys, keys, new=False)
    users, entered, left = workspace.one(
        f"select count(*), count(*) filter (where ({there}) and not ({was})), "
        f"count(*) filter (where ({was}) and not ({there})) from {wide}"
    )
    workspace.run(f"drop table {wide}")
    return TraitsDiff(table=table, log=log, users=users, entered=entered, left=left, lost=lost)


def _first_values(workspace: Workspace, snapshot: str, keys: Sequence[str], erased: Condition) -> TraitsDiff:
    """The diff of new traits: every value is new, and nothing is logged."""
    columns = ", ".join(f"{quote_identifier(key)} as {trait_column(key)}" for key in keys)
    there = " or ".join(f"{quote_identifier(key)} is not null" for key in keys)
    where = f"user_id is not null and ({there}) and not {erased}"
    table = workspace.view("traits", f"select user_id, {columns} from {snapshot} where {where}")
    users = workspace.one(f"select count(*) from {table}")[0]
    return TraitsDiff(table=table, log=None, users=users, entered=users, left=0)


def _changed_users(workspace: Workspace, snapshot: str, chain: Chain, keys: Sequence[str]) -> TableName:
    new = ", ".join(f"s.{quote_identifier(key)} as {_new(key)}" for key in keys)
    old = ", ".join(f"c.{trait_column(key)} as {_old(key)}" for key in chain.keys)
    differs = " or ".join(f"s.{quote_identifier(key)} is distinct from c.{trait_column(key)}" for key in keys)
    return workspace.table(
        "changed",
        f"select coalesce(s.user_id, c.user_id) as user_id, {new}, {old} "
        f"from (select * from {snapshot} where user_id is not null) s "
        f"full join ({current_rows_query(chain)}) c on s.user_id = c.user_id where {differs}",
    )


def _unmoved(snapshot: str, wide: str, aliases: str | None) -> str:
    """The changed users without those who only have a new id."""
    if aliases is None:
        return wide
    there = f"select previous_id, user_id from {aliases} semi join {snapshot} using (user_id)"
    moved = f"from ({there}) where previous_id in (select user_id from {wide})"
    return f"{wide} where user_id not in (select previous_id {moved} union all select user_id {moved})"


def _lost(
    workspace: Workspace, snapshot: str, wide: str, groups: Mapping[str, Sequence[str]]
) -> dict[str, ChangeCounts]:
    """By group of traits, the users who had a value and lose all values of the group.

    The previous count is derived from the snapshot and the changes, so stored values are not read again.
    """
    sides = {name: [f"count({_first(side, keys)})" for side in (_old, _new)] for name, keys in groups.items()}
    gone = {name: f"{old} filter (where {_first(_new, groups[name])} is null)" for name, (old, _) in sides.items()}
    counts = ", ".join(f"{gone[name]}, {old} - {new}" for name, (old, new) in sides.items())
    found = workspace.one(f"select {counts} from {wide}")
    moved = {name: (left, fewer) for name, left, fewer in zip(groups, found[::2], found[1::2], strict=True) if left}
    if not moved:
        return {}
    values = ", ".join(f"count({_first(quote_identifier, groups[name])})" for name in moved)
    now = workspace.one(f"select {values} from {snapshot} where user_id is not null")
    return {
        name: ChangeCounts(before=there + fewer, entered=0, left=left)
        for there, (name, (left, fewer)) in zip(now, moved.items(), strict=True)
    }


def _first(side: Callable[[str], str], keys: Sequence[str]) -> str:
    """An SQL value of one of these traits; NULL if none has one."""
    return f"coalesce({', '.join(map(side, keys))})"


def _before(chain: Chain, key: str) -> str:
    return "null" if chain.rebuilt else f"coalesce({_old(key)}, 'null')"


def _new(key: str) -> str:
    return quote_identifier(f"new_{key}")


def _old(key: str) -> str:
    return quote_identifier(f"old_{key}")


def _any(chain_keys: Sequence[str], keys: Sequence[str], *, new: bool) -> str:
    columns = [_new(key) if new and key in keys else _old(key) for key in chain_keys]
    return " or ".join(f"{column} is not null" for column in columns)


def deduplicate_users(
    workspace: Workspace, snapshot: str, keys: Sequence[str], *, moved: str | None = None, flag: str | None = None
) -> tuple[TableName, int]:
    """A table of a traits snapshot with one row a user, and how many users had several that differ.

    Of rows that differ the greatest wins, so that the same snapshot always gives the same values. ``moved``: a column
    that is true if a row came under a previous id of the user; then the user's own go first, and differ alone.
    ``flag``: a column that is true of a user where it is true of any row.
    """
    table = workspace.table("snapshot", snapshot)
    # Numbers are counted in half the time of texts; two users with one hash only cost a closer look.
    users, hashes = workspace.one(
        f"select count(*), count(distinct hash(user_id)) from {table} where user_id is not null"
    )
    if users == hashes:
        return table, 0
    twice = workspace.table(
        "twice",
        f"select user_id, count(*) as rows from {table} where user_id is not null group by user_id having count(*) > 1",
    )
    columns = ", ".join(quote_identifier(key) for key in keys)
    first, own = (quote_identifier(moved), f"where not {quote_identifier(moved)}") if moved else ("true", "")
    order = ", ".join([first, *(f"{quote_identifier(key)} desc nulls last" for key in keys)])
    differing = workspace.one(
        f"select count(*) from (select user_id from (select distinct user_id, {columns} from {table} "
        f"semi join {twice} using (user_id) {own}) group by user_id having count(*) > 1)"
    )[0]
    kept = workspace.table(
        "snapshot",
        f"select * from {table} anti join {twice} using (user_id) union all "
        f"select {_all_with(flag)} from {table} semi join {twice} using (user_id) "
        f"qualify row_number() over (partition by user_id order by {order}) = 1",
    )
    return kept, differing


def _all_with(flag: str | None) -> str:
    return (
        f"* replace (bool_or({quote_identifier(flag)}) over (partition by user_id) as {quote_identifier(flag)})"
        if flag
        else "*"
    )

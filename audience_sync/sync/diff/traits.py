"""Diff a snapshot of computed traits with the stored values, column by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from audience_sync.model import ChangeCounts, RunId
from audience_sync.sources.base import UncheckedRows
from audience_sync.sql import NEVER, Condition, Expression, TableName, quote_identifier, quote_literal
from audience_sync.store.snapshots.chain import (
    BASE,
    Chain,
    SnapshotFile,
    check_users,
    current_rows_query,
    rows_of,
    trait_column,
    write_snapshot_file,
)
from audience_sync.workspace import Workspace

#: Stands in place of a key for all traits of a diff.
ALL_TRAITS = ""


class TraitsDiff(Struct, frozen=True, kw_only=True):
    """The users with changed values: a table with ``user_id`` and all columns of the chain, with the new values.

    ``log``: a table with ``user_id``, ``key`` and ``value``, one row a changed value (NULL = no value); None for new
    traits. ``entered`` and ``left`` count users with their first values, and with none left. ``lost``: by key, how many
    users had a value and how many lose it; under ``ALL_TRAITS``, how many had any value and lose all. ``invalid`` and
    ``differing``, of unchecked rows: those without a usable user id, and the users who have several rows that differ.
    ``base``: the base of new traits, if it is written already.
    """

    table: TableName
    log: TableName | None
    users: int
    entered: int
    left: int
    lost: Mapping[str, ChangeCounts] = field(default_factory=dict)
    invalid: int = 0
    differing: int = 0
    base: SnapshotFile | None = None


class ChainDiff(Struct, frozen=True):
    """The diff of an entry's traits that are stored in one chain."""

    chain: Chain
    keys: Sequence[str]
    diff: TraitsDiff


def diff_traits(
    workspace: Workspace,
    snapshot: TableName,
    chain: Chain,
    keys: Sequence[str],
    *,
    erased: Condition = NEVER,
    aliases: TableName | None = None,
    within: Condition | None = None,
) -> TraitsDiff:
    """Diff a snapshot table, which has ``user_id`` and a column per key of ``keys``, with the chain's values.

    ``aliases``: a table of ``previous_id`` and ``user_id``; a user with a new id and the same values has lost none.
    ``within``: an SQL condition on ``user_id``, for a snapshot of some users only. Values of the chain that are not in
    ``keys`` stay unchanged.
    """
    if chain.id is None:
        return _first_values(workspace, snapshot, keys, erased)
    stored = current_rows_query(replace(chain, within=within)) if within else None
    joined = _join(workspace, f"{snapshot} where user_id is not null", chain, keys, stored)
    wide = _changed_users(workspace, joined, chain, keys, Expression("user_id"))
    return _diff(workspace, chain, keys, wide, unmoved=_unmoved(snapshot, wide, aliases), erased=erased)


def diff_unchecked_traits(
    workspace: Workspace,
    rows: UncheckedRows,
    chain: Chain,
    keys: Sequence[str],
    *,
    columns: Sequence[str],
    erased: Condition = NEVER,
) -> TraitsDiff:
    """Diff counted rows with the values of a stored chain. Only ids that equal no stored one are checked.

    The counts of the join show whether a user has several rows. Then the rows of users who differ are read again, and
    one of each is chosen by ``columns`` (see ``deduplicate_users``).
    """
    joined, differing = _join(workspace, f"({rows.select})", chain, keys), 0
    new, valid, users, gone = workspace.one(
        "select count(*) filter (where old_id is null), count(valid), count(distinct valid), "
        "count(*) filter (where user_id is null and old_id is not null) "
        f"from (select user_id, old_id, case when old_id is null then {rows.valid_id} end as valid from {joined})"
    )
    if valid != users or rows.row_count != new + chain.user_count - gone:
        some = f"from ({rows.select}) where user_id in (select user_id from {joined})"
        kept, differing = deduplicate_users(workspace, f"select * replace ({rows.valid_id} as user_id) {some}", columns)
        stored = ", ".join(f"{_old(key)} as {trait_column(key)}" for key in chain.keys)
        old = f"select distinct old_id as user_id, {stored} from {joined} where old_id is not null"
        joined = _join(workspace, f"{kept} where user_id is not null", chain, keys, old)
    wide = _changed_users(workspace, joined, chain, keys, rows.valid_id)
    diff = _diff(workspace, chain, keys, wide, unmoved=wide, erased=erased)
    return replace(diff, invalid=new - valid, differing=differing)


def no_difference(workspace: Workspace) -> TraitsDiff:
    """The diff of a snapshot in which no user has changed."""
    columns = ", ".join(f"null::varchar as {name}" for name in ("user_id", "key", "value", "before"))
    empty = workspace.table("trait_log", f"select {columns} where false")
    return TraitsDiff(table=empty, log=empty, users=0, entered=0, left=0)


def _diff(
    workspace: Workspace, chain: Chain, keys: Sequence[str], wide: TableName, *, unmoved: str, erased: Condition
) -> TraitsDiff:
    """The diff of these changed users. ``unmoved``: those who have not only a new id."""
    lost = _lost(workspace, chain, wide, unmoved, {key: [key] for key in keys} | {ALL_TRAITS: keys})
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


def write_first_values(
    workspace: Workspace, rows: UncheckedRows, keys: Sequence[str], run: RunId
) -> tuple[SnapshotFile, TraitsDiff | None]:
    """Write rows of new traits as their base, and diff them: no table of the snapshot is needed.

    The diff is None if a row has no usable id or no value, or a user has several rows. Then the file has the
    rows as the source has them.
    """
    columns = ", ".join(f"{quote_identifier(key)} as {trait_column(key)}" for key in keys)
    checked = f"select {rows.valid_id} as user_id, {run} as run_id, {columns} from ({rows.select})"
    base = write_snapshot_file(workspace, BASE, checked)
    there = " or ".join(f"{trait_column(key)} is not null" for key in keys)
    unusable, is_each_once = check_users(workspace, base, f"user_id is not null and ({there})")
    if unusable or not is_each_once:
        return base, None
    table = workspace.view("traits", f"select * exclude (run_id) from {rows_of(base)}")
    return base, TraitsDiff(table=table, log=None, users=base.rows, entered=base.rows, left=0, base=base)


def _join(
    workspace: Workspace, snapshot: str, chain: Chain, keys: Sequence[str], stored: str | None = None
) -> TableName:
    """A table of the rows of ``snapshot`` and of ``stored`` (all of the chain) that no row of the other side equals.

    ``user_id`` is that of the snapshot and ``old_id`` the stored one; both are there if only values differ.
    """
    new = ", ".join(f"s.{quote_identifier(key)} as {_new(key)}" for key in keys)
    old = ", ".join(f"c.{trait_column(key)} as {_old(key)}" for key in chain.keys)
    differs = " or ".join(f"s.{quote_identifier(key)} is distinct from c.{trait_column(key)}" for key in keys)
    return workspace.table(
        "joined",
        f"select s.user_id, c.user_id as old_id, {new}, {old} from (from {snapshot}) s "
        f"full join ({stored or current_rows_query(chain)}) c on s.user_id = c.user_id "
        f"where s.user_id is null or c.user_id is null or {differs}",
    )


def _changed_users(
    workspace: Workspace, joined: TableName, chain: Chain, keys: Sequence[str], valid_id: Expression
) -> TableName:
    """Replace the table of a join by that of the users whose values differ, one row each, with valid ids."""
    differs = " or ".join(f"{_new(key)} is distinct from {_old(key)}" for key in keys)
    checked = (
        f"select * exclude (old_id) replace (coalesce(old_id, {valid_id}) as user_id) from {joined} where {differs}"
    )
    wide = workspace.table("changed", f"from ({checked}) where user_id is not null")
    workspace.run(f"drop table {joined}")
    return wide


def _unmoved(snapshot: str, wide: str, aliases: str | None) -> str:
    """The changed users without those who only have a new id."""
    if aliases is None:
        return wide
    there = f"select previous_id, user_id from {aliases} semi join {snapshot} using (user_id)"
    moved = f"from ({there}) where previous_id in (select user_id from {wide})"
    return f"{wide} where user_id not in (select previous_id {moved} union all select user_id {moved})"


def _lost(
    workspace: Workspace, chain: Chain, wide: str, unmoved: str, groups: Mapping[str, Sequence[str]]
) -> dict[str, ChangeCounts]:
    """By group of traits, the users who had a value and lose all values of the group.

    Stored values are counted if there are such users. Those who only have a new id count as before their move.
    """
    changes = [f"count({_first(_old, keys)}) - count({_first(_new, keys)})" for keys in groups.values()]
    gone = [f"count({_first(_old, keys)}) filter (where {_first(_new, keys)} is null)" for keys in groups.values()]
    lefts = workspace.one(f"select {', '.join(gone)} from {unmoved}")
    if not any(lefts):
        return {}
    values = ", ".join(f"count({_first(trait_column, keys)})" for keys in groups.values())
    stored = workspace.one(f"select {values} from ({current_rows_query(chain)})")
    fewer, fewer_unmoved = (workspace.one(f"select {', '.join(changes)} from {each}") for each in (wide, unmoved))
    befores = map(lambda before, every, own: before - every + own, stored, fewer, fewer_unmoved)
    return {
        name: ChangeCounts(before=before, entered=0, left=left)
        for name, before, left in zip(groups, befores, lefts, strict=True)
        if left
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

"""Diff the snapshots of audiences with the stored members."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from audience_sync.model import RunId
from audience_sync.sql import NEVER, Condition, Expression, Query, TableName
from audience_sync.store.snapshots.chain import (
    Chain,
    SnapshotFile,
    check_users,
    current_rows_query,
    members_query,
    rows_of,
    write_each_user_once,
    write_first_base,
)
from audience_sync.workspace import Workspace

#: Fewer users in a bucket take more buckets to count; more leave more users to join for one that changed.
USERS_A_BUCKET = 8
MOST_BITS = 21
#: From this number of members on, equal buckets are dropped before the join; fewer members fit into memory.
MANY_USERS = 3_000_000
#: The valid id of a snapshot whose ids have been checked.
_CHECKED_ID = Expression("user_id")


class MembersDiff(Struct, frozen=True):
    """Who entered and left: a table with ``user_id`` and ``present`` (one row a user), and the counts.

    ``invalid`` counts the rows without a usable user id. ``base``: the base of a new audience, if these are all its
    users.
    """

    table: TableName
    entered: int
    left: int
    invalid: int
    base: SnapshotFile | None = None


def diff_members(
    workspace: Workspace,
    snapshot: str,
    chain: Chain,
    *,
    held_out: Query | None = None,
    erased: Condition = NEVER,
    rereadable: bool = False,
    valid_id: Expression = _CHECKED_ID,
    run: RunId | None = None,
    gone: Query | None = None,
) -> MembersDiff:
    """Diff a snapshot (a query with ``user_id``) with the stored members and the users of ``held_out`` (a query, too).

    The id of an invalid row is NULL, which matches no user. ``erased``: an SQL condition on ``user_id``, true for users
    who never enter again. ``rereadable``: whether the query may be run twice. ``valid_id``: the valid id in SQL, for a
    snapshot with unchecked ids. ``run``: the run that creates a new chain, whose base is written at once. ``gone``: a
    query for the users who are missing now, if a warehouse has compared the snapshot; then ``snapshot`` has only those
    who entered.
    """
    if gone is not None:
        old: str | None = gone
    else:
        old = _union_all(f"select user_id from ({current_rows_query(chain)})" if chain.files else None, held_out)
    if run is not None and chain.id is None and old is None:
        return _first_members(workspace, f"select {valid_id} as user_id from ({snapshot})", erased, run)
    if old and rereadable and gone is None and chain.user_count >= MANY_USERS:
        snapshot, old = drop_unchanged_buckets(workspace, snapshot, old, ("user_id",), chain.user_count)
    raw = _full_join(workspace, snapshot, old, ("user_id",), valid_id)
    invalid = workspace.one(f"select count(*) from {raw} where user_id is null")[0]
    table = workspace.name("members")
    distinct = _distinct(workspace, raw, "user_id")
    kind = "table" if distinct or erased != NEVER else "view"
    workspace.run(f"create {kind} {table} as select {distinct} user_id, present from {raw} where {_valid_rows(erased)}")
    entered, left = workspace.one(
        f"select count(*) filter (where present), count(*) filter (where not present) from {table}"
    )
    return MembersDiff(table, entered, left, invalid)


def _first_members(workspace: Workspace, snapshot: str, erased: Condition, run: RunId) -> MembersDiff:
    """The users of a snapshot with checked ids, as the base of a new audience: they are sorted once, and not copied."""
    base = write_first_base(workspace, f"from ({snapshot}) where user_id is null or not ({erased})", run)
    invalid, is_each_once = check_users(workspace, base)
    if invalid or not is_each_once:
        base = write_each_user_once(workspace, base)
    table = workspace.view("members", f"select user_id, present from {rows_of(base)}")
    return MembersDiff(table, base.rows, 0, invalid, base)


def diff_several(
    workspace: Workspace,
    snapshot: str,
    chains: Sequence[Chain],
    *,
    held_out: Query | None = None,
    erased: Condition = NEVER,
    gone: Query | None = None,
) -> list[MembersDiff]:
    """Diff the snapshots of several audiences in one join.

    ``snapshot``: a query with ``audience``, the index in ``chains``, and ``user_id``; it is run twice. ``held_out``: a
    query with the same columns. ``gone``: as for ``diff_members``, with the same columns.
    """
    by, users = ("audience", "user_id"), sum(chain.user_count for chain in chains)
    if gone is not None:
        old: str | None = gone
    else:
        old = _union_all(members_query(chains) if any(chain.files for chain in chains) else None, held_out)
    if old and gone is None and users >= MANY_USERS:
        snapshot, old = drop_unchanged_buckets(workspace, snapshot, old, by, users)
    raw, table = _full_join(workspace, snapshot, old, by), workspace.name("members")
    invalid = dict(workspace.all(f"select audience, count(*) from {raw} where user_id is null group by audience"))
    # In a sorted table the part of one audience is found without reading the others.
    workspace.run(
        f"create table {table} as select {_distinct(workspace, raw, 'audience, user_id')} audience, user_id, present "
        f"from {raw} where {_valid_rows(erased)} order by audience"
    )
    workspace.run(f"drop table {raw}")
    counts = workspace.all(
        f"select audience, count(*) filter (where present), count(*) filter (where not present) from {table} "
        "group by audience"
    )
    found = {audience: (entered, left) for audience, entered, left in counts}
    return [
        MembersDiff(_members_of(workspace, table, audience), *found.get(audience, (0, 0)), invalid.get(audience, 0))
        for audience in range(len(chains))
    ]


def _union_all(stored: str | None, held_out: str | None) -> str | None:
    return " union all ".join(filter(None, (stored, held_out))) or None


def _members_of(workspace: Workspace, table: str, audience: int) -> TableName:
    return workspace.view("members", f"select user_id, present from {table} where audience = {audience}")


def _full_join(
    workspace: Workspace, new: str, old: str | None, by: Sequence[str], valid_id: Expression = _CHECKED_ID
) -> TableName:
    """A table of the rows on one side only: the columns of ``by``, and ``present``, true for new rows.

    Duplicates of the snapshot stay in it. Ids that equal a stored one are valid, so the others alone are checked.
    """
    columns = ", ".join(by)
    if old is None:
        checked = f"* replace ({valid_id} as user_id)"
        return workspace.table("raw", f"select {checked}, true as present from (select {columns} from ({new}))")
    either = ", ".join(f"coalesce(s.{column}, c.{column}) as {column}" for column in by)
    same = " and ".join(f"s.{column} = c.{column}" for column in by)
    return workspace.table(
        "raw",
        f"select * replace (case when present then {valid_id} else user_id end as user_id) from ("
        f"select {either}, s.here is not null as present from (select {columns}, true as here from ({new})) s "
        f"full join (select {columns} from ({old})) c on {same} where s.here is null or c.user_id is null)",
    )


def _distinct(workspace: Workspace, raw: str, columns: str) -> str:
    """``distinct`` if there are duplicates. Counting hashes takes half the time of ``distinct``, and no memory."""
    rows, hashes = workspace.one(
        f"select count(*), count(distinct hash({columns})) from {raw} where user_id is not null"
    )
    return "" if rows == hashes else "distinct"


def _valid_rows(erased: Condition) -> str:
    return f"user_id is not null and not (present and {erased})"


def drop_unchanged_buckets(workspace: Workspace, new: str, old: str, by: Sequence[str], users: int) -> tuple[str, str]:
    """Both queries without the rows of equal hash buckets, so that a large join sees the others only.

    ``by``: the columns that identify a row. Two buckets with the same number of users and the same exclusive or of
    their hashes have the same users; the chance of an error is 1 in 2^64 a bucket. This reads both sides twice and
    keeps some megabytes, while a join keeps every user.
    """
    bits = min(max((users // USERS_A_BUCKET).bit_length() - 1, 1), MOST_BITS)
    # DuckDB puts the hashes of two columns together by exclusive or: only hashed again they can't cancel each other.
    hashed = f"hash(hash({', '.join(by)}))"
    bucket = f"({hashed} >> {64 - bits})::uinteger"
    sides = [_count_buckets(workspace, query, hashed, bits) for query in (new, old)]
    differing = workspace.name("differing")
    workspace.run(
        f"create table {differing} as select bucket from {sides[0]} n full join {sides[1]} o using (bucket) "
        "where n.users is distinct from o.users or n.hashes is distinct from o.hashes"
    )
    for side in sides:
        workspace.run(f"drop table {side}")
    kept = f"where {bucket} in (select bucket from {differing})"
    return f"select * from ({new}) {kept}", f"select * from ({old}) {kept}"


def _count_buckets(workspace: Workspace, query: str, hashed: str, bits: int) -> TableName:
    return workspace.table(
        "buckets",
        f"select (hashed >> {64 - bits})::uinteger as bucket, count(*) as users, bit_xor(hashed) as hashes "
        f"from (select {hashed} as hashed from ({query})) group by bucket",
    )

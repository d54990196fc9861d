"""Who entered and left? Snapshots of audiences against the stored ones, by columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audience_sync.store.snapshots.chain import Chain, current_rows_query
from audience_sync.store.snapshots.chains_of_run import members_query
from audience_sync.sync.diff.bucket_prefilter import drop_unchanged_buckets
from audience_sync.workspace import Workspace

#: From so many users on both sides are narrowed before they are joined: fewer are joined in memory anyway.
MANY_USERS = 3_000_000


@dataclass(frozen=True, slots=True)
class MembersDiff:
    """Who entered and left: a table with ``user_id`` and ``present`` (one row a user), and the counts.

    ``invalid`` counts the rows without a usable user id.
    """

    table: str
    entered: int
    left: int
    invalid: int


def diff_members(
    workspace: Workspace,
    snapshot: str,
    chain: Chain,
    *,
    beside: str | None = None,
    erased: str = "false",
    rereadable: bool = False,
) -> MembersDiff:
    """A snapshot (a query with ``user_id``) against the stored members, and the users (a query likewise) who are known
    ``beside`` them.

    Rows without a usable id have NULL there and match nobody. ``erased``: an SQL condition on ``user_id``, true for
    users who are not to come back. ``rereadable``: whether the query may be run twice.
    """
    old = _with(f"select user_id from ({current_rows_query(chain)})" if chain.files else None, beside)
    if old and rereadable and chain.user_count >= MANY_USERS:
        snapshot, old = drop_unchanged_buckets(workspace, snapshot, old, ("user_id",), chain.user_count)
    raw = _full_join(workspace, snapshot, old, ("user_id",))
    invalid = workspace.one(f"select count(*) from {raw} where user_id is null")[0]
    table = workspace.name("members")
    distinct = _distinct(workspace, raw, "user_id")
    kind = "table" if distinct or erased != "false" else "view"
    workspace.run(f"create {kind} {table} as select {distinct} user_id, present from {raw} where {_usable(erased)}")
    entered, left = workspace.one(
        f"select count(*) filter (where present), count(*) filter (where not present) from {table}"
    )
    return MembersDiff(table, entered, left, invalid)


def diff_several(
    workspace: Workspace,
    snapshot: str,
    chains: Sequence[Chain],
    *,
    beside: str | None = None,
    erased: str = "false",
) -> list[MembersDiff]:
    """Snapshots of several audiences at once: a query with ``place``, the chain's in ``chains``, and ``user_id``.

    It is run twice; ``beside`` is a query likewise. All of them go through one join, and each gets its part of what
    differs.
    """
    by, users = ("place", "user_id"), sum(chain.user_count for chain in chains)
    old = _with(members_query(chains) if any(chain.files for chain in chains) else None, beside)
    if old and users >= MANY_USERS:
        snapshot, old = drop_unchanged_buckets(workspace, snapshot, old, by, users)
    raw, table = _full_join(workspace, snapshot, old, by), workspace.name("members")
    invalid = dict(workspace.all(f"select place, count(*) from {raw} where user_id is null group by place"))
    # Sorted, each audience's part is found without a look at the others'.
    workspace.run(
        f"create table {table} as select {_distinct(workspace, raw, 'place, user_id')} place, user_id, present "
        f"from {raw} where {_usable(erased)} order by place"
    )
    workspace.run(f"drop table {raw}")
    counts = workspace.all(
        f"select place, count(*) filter (where present), count(*) filter (where not present) from {table} "
        "group by place"
    )
    found = {place: (entered, left) for place, entered, left in counts}
    return [
        MembersDiff(_part(workspace, table, place), *found.get(place, (0, 0)), invalid.get(place, 0))
        for place in range(len(chains))
    ]


def _with(stored: str | None, beside: str | None) -> str | None:
    return " union all ".join(filter(None, (stored, beside))) or None


def _part(workspace: Workspace, table: str, place: int) -> str:
    view = workspace.name("members")
    workspace.run(f"create view {view} as select user_id, present from {table} where place = {place}")
    return view


def _full_join(workspace: Workspace, new: str, old: str | None, by: Sequence[str]) -> str:
    """A table of what is only on one side: the columns of ``by``, and ``present`` for what is new.

    Users who are twice in the snapshot are twice in it.
    """
    raw, columns = workspace.name("raw"), ", ".join(by)
    if old is None:
        workspace.run(f"create table {raw} as select {columns}, true as present from ({new})")
        return raw
    either = ", ".join(f"coalesce(s.{column}, c.{column}) as {column}" for column in by)
    same = " and ".join(f"s.{column} = c.{column}" for column in by)
    workspace.run(
        f"create table {raw} as select {either}, s.here is not null as present "
        f"from (select {columns}, true as here from ({new})) s "
        f"full join (select {columns} from ({old})) c on {same} where s.here is null or c.user_id is null"
    )
    return raw


def _distinct(workspace: Workspace, raw: str, columns: str) -> str:
    """``distinct`` where it is needed: hashes are counted in half of its time, and without its memory."""
    rows, hashes = workspace.one(
        f"select count(*), count(distinct hash({columns})) from {raw} where user_id is not null"
    )
    return "" if rows == hashes else "distinct"


def _usable(erased: str) -> str:
    return f"user_id is not null and not (present and {erased})"

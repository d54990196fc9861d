"""Find who enters and leaves a snapshot that a warehouse compares, if earlier audiences of its group claim users of it.

The warehouse has the whole last snapshot, and the store those of its users whom an earlier audience claimed. They enter
when no earlier audience claims them any longer, although their rows have not changed.
"""

from __future__ import annotations

from typing import NamedTuple

from audience_sync.sources.base import SnapshotRows
from audience_sync.sql import Query, TableName
from audience_sync.store.audiences.properties import Property
from audience_sync.store.snapshots.chain import current_rows_query
from audience_sync.sync.diff.min_stay import absent_users, gone_users
from audience_sync.sync.diff.priority_groups import Claims, claimed_users
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.values.change_set import Claimed
from audience_sync.sync.values.run_context import RunContext


class UnclaimedUsers(NamedTuple):
    """The users of a snapshot whom no earlier audience claims.

    ``snapshot`` and ``gone``: see ``diff_members``. ``claimed``: a table of claimed users (``user_id``), at least those
    who were members; None without any. ``change``: None if nothing is to be stored.
    """

    snapshot: str
    gone: Query | None
    claimed: TableName | None
    change: Claimed | None


def unclaimed_users(
    context: RunContext, target: ResolvedAudience, rows: SnapshotRows, claims: Claims
) -> UnclaimedUsers:
    """The unclaimed users of an audience that is in a group, or was in one when its source last compared it."""
    if target.stored is None or rows.left is None:
        return _of_whole_snapshot(context, target, rows, claims)
    return _of_changes(context, target, rows, claims)


def _of_whole_snapshot(
    context: RunContext, target: ResolvedAudience, rows: SnapshotRows, claims: Claims
) -> UnclaimedUsers:
    workspace, claimed, before = context.workspace, claimed_users(context, claims), _claimed_before(context, target)
    now = _no_users(context)
    if claimed is not None:
        both = f"select distinct user_id from ({rows.select}) semi join {claimed} using (user_id) order by user_id"
        now = workspace.table("claimed", both)
    change = Claimed(
        Query(f"select user_id from {now} anti join {before} using (user_id)"),
        Query(f"select user_id from {before} anti join {now} using (user_id)"),
        claims.version,
    )
    snapshot = f"select user_id from ({rows.select}) anti join {now} using (user_id)"
    return UnclaimedUsers(snapshot, None, claimed, change)


def _of_changes(context: RunContext, target: ResolvedAudience, rows: SnapshotRows, claims: Claims) -> UnclaimedUsers:
    """Of a compared snapshot.

    If the earlier audiences have not changed since the last comparison, they claim no member, and still all users whom
    they claimed. Then only users who entered or left the snapshot matter.
    """
    workspace, stored, left = context.workspace, target.stored, rows.left
    assert stored is not None
    assert left is not None
    gone = gone_users(context, target, left)
    is_same = claims.version == stored.claims
    changed = f"select user_id from ({rows.select}) where user_id is not null union all select user_id from ({left})"
    if is_same and not workspace.one(f"select count(*) from ({changed})")[0]:
        return UnclaimedUsers(rows.select, gone, None, None)
    no_users, before = _no_users(context), _claimed_before(context, target)
    claimed = claimed_users(context, claims) or no_users
    newcomers = workspace.table("claimed", f"select user_id from ({rows.select}) semi join {claimed} using (user_id)")
    released = members = no_users
    if not is_same:
        stay = f"select user_id from {before} anti join ({left}) using (user_id)"
        released = workspace.table("released", f"select user_id from ({stay}) anti join {claimed} using (user_id)")
        members = workspace.table(
            "claimed", f"select user_id from ({_members(context, stored)}) semi join {claimed} using (user_id)"
        )
    missing = f"select user_id from ({left}) union all select user_id from {absent_users(context, target)}"
    change = Claimed(
        Query(
            f"select user_id from (select user_id from {newcomers} "
            f"union all select user_id from {members} anti join ({missing}) using (user_id)) order by user_id"
        ),
        Query(
            f"select user_id from {before} semi join ({left}) using (user_id) union all select user_id from {released}"
        ),
        claims.version,
    )
    return UnclaimedUsers(
        f"select user_id from ({rows.select}) anti join {newcomers} using (user_id) "
        f"union all select user_id from {released}",
        Query(
            f"select user_id from ({gone}) anti join {before} using (user_id) union all select user_id from {members}"
        ),
        members,
        change,
    )


def _members(context: RunContext, stored: Property) -> Query:
    """A query for the members and the held-out users before the run."""
    chain, held_out = context.reader.chain(stored.chain_id), context.reader.held_out(stored.key)
    also = f" union all {held_out}" if held_out else ""
    return Query(f"select user_id from ({current_rows_query(chain)}){also}")


def _claimed_before(context: RunContext, target: ResolvedAudience) -> TableName:
    return context.reader.claimed(target.key) or _no_users(context)


def _no_users(context: RunContext) -> TableName:
    return context.workspace.view("no_users", "select null::varchar as user_id where false")

"""Hold out a share of an audience's users, chosen by a hash of their ids and the audience's salt."""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.sql import NEVER, Condition, Query, quote_literal
from audience_sync.store.snapshots.chain import Chain, current_rows_query
from audience_sync.sync.diff.members import MembersDiff
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.values.change_set import HeldOut
from audience_sync.sync.values.run_context import RunContext
from audience_sync.workspace import Workspace

#: Hexadecimal digits of the hash that are compared. docs/holdout.md promises them: people compute it in their own SQL.
DIGITS = 8


class HoldoutSplit(Struct, frozen=True):
    """A diff in two parts.

    ``diff``: the changes of members who are not held out. ``held_out``: the changes of the holdout, None if there are
    none. ``at_once``: an SQL condition on ``user_id`` for users who leave now, even if `min_stay` would keep them.
    """

    diff: MembersDiff
    held_out: HeldOut | None = None
    at_once: Condition = NEVER


def is_held_out(salt: str, share: float) -> Condition:
    """An SQL condition on ``user_id``. With a larger ``share`` (0 to 1) the same users are held out, and more."""
    return Condition(
        f"left(md5({quote_literal(salt + ':')} || user_id), {DIGITS}) < {quote_literal(_threshold(share))}"
    )


def _threshold(share: float) -> str:
    """The first hash that is not held out: digits compare as numbers do."""
    most = 16**DIGITS
    return f"{min(math.ceil(share * most), most - 1):0{DIGITS}x}"


def split_holdout(context: RunContext, target: ResolvedAudience, chain: Chain, diff: MembersDiff) -> HoldoutSplit:
    """Split a diff of the snapshot against members and held-out users into the part to send and the held-out users."""
    workspace, share, before = context.workspace, target.holdout, context.reader.held_out(target.key)
    out = NEVER if share is None else is_held_out(target.salt, share)
    was_out = workspace.view("held_out", before or "select null::varchar as user_id where false")
    others, moved = workspace.name("others"), workspace.name("held_out")
    gone = f"select user_id from {diff.table} where not present"
    newly_out = let_in = "select null::varchar as user_id where false"
    if target.stored is not None and target.stored.holdout != share:
        newly_out = f"select user_id from ({current_rows_query(chain)}) anti join ({gone}) using (user_id) where {out}"
        let_in = f"select user_id from {was_out} anti join ({gone}) using (user_id) where not ({out})"
    workspace.run(
        f"create table {others} as select user_id, true as present from {diff.table} where present and not ({out}) "
        f"union all select user_id, false from ({gone}) anti join {was_out} using (user_id) "
        f"union all select user_id, true from ({let_in}) union all select user_id, false from ({newly_out})"
    )
    workspace.run(
        f"create table {moved} as select user_id, true as present from {diff.table} where present and {out} "
        f"union all select user_id, false from {was_out} semi join ({gone}) using (user_id) "
        f"union all select user_id, false from ({let_in}) union all select user_id, true from ({newly_out})"
    )
    begun, over = _counts(workspace, moved)
    split = HoldoutSplit(MembersDiff(others, *_counts(workspace, others), diff.invalid), at_once=out)
    if not begun + over:
        return split
    held_out = HeldOut(
        Query(f"select user_id from {moved} where present order by user_id"),
        Query(f"select user_id from {moved} where not present"),
        context.stored.held_out.get(target.key, 0) + begun - over,
    )
    return replace(split, held_out=held_out)


def _counts(workspace: Workspace, table: str) -> tuple[int, int]:
    """The numbers of users who are present now, and who no longer are."""
    come, go = workspace.one(
        f"select count(*) filter (where present), count(*) filter (where not present) from {table}"
    )
    return come, go

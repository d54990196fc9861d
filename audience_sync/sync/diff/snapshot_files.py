"""Write a diff as the next snapshot file of its chain: a delta, or a new base after many deltas."""

from __future__ import annotations

from msgspec.structs import replace

from audience_sync.model import PropertyKind, RunId
from audience_sync.sql import quote_literal
from audience_sync.store.snapshots.chain import (
    BASE,
    DELTA,
    NO_DELTAS,
    Chain,
    DeltaCount,
    current_rows_query,
    write_snapshot_file,
)
from audience_sync.sync.diff.members import MembersDiff
from audience_sync.sync.diff.traits import TraitsDiff
from audience_sync.sync.values.change_set import ChainChange
from audience_sync.workspace import Workspace

#: A chain is folded into a new base when it has this many deltas, or these hold this share of its users.
MOST_DELTAS = 12
MOST_DELTA_SHARE = 0.25
#: The value of a membership before its change, in SQL.
_BEFORE = "case when present then 'false' else 'true' end"


def members_change(workspace: Workspace, chain: Chain, diff: MembersDiff, run: RunId) -> ChainChange | None:
    """The audience's chain after the diff; None if nothing changed."""
    users = chain.user_count + diff.entered - diff.left
    if chain.id is None:
        rows = f"select user_id, {run} as run_id, true as present from {diff.table}"
        base = diff.base or write_snapshot_file(workspace, BASE, rows)
        return ChainChange(chain=chain.with_base(base, users), files=(base,), members=diff.table)
    if not (diff.entered + diff.left or chain.rebuilt):
        return None
    delta = write_snapshot_file(workspace, DELTA, f"select user_id, {run} as run_id, present from {diff.table}")
    log, before = workspace.name("members_log"), "null" if chain.rebuilt else _BEFORE
    workspace.run(
        f"create view {log} as select user_id, {quote_literal(chain.keys[0])} as key, "
        f"case when present then 'true' else 'false' end as value, {before} as before from {diff.table}"
    )
    changed = chain.with_delta(delta, users)
    return _compact(workspace, ChainChange(chain=changed, files=(delta,), log=log, members=diff.table))


def traits_change(workspace: Workspace, chain: Chain, diff: TraitsDiff, run: RunId) -> ChainChange | None:
    """The traits' chain after the diff; None if nothing changed."""
    columns = ", ".join(chain.columns)
    rows = f"select user_id, {run} as run_id, {columns} from {diff.table}"
    users = chain.user_count + diff.entered - diff.left
    if chain.id is None and not chain.files:
        base = diff.base or write_snapshot_file(workspace, BASE, rows)
        return ChainChange(chain=chain.with_base(base, users), files=(base,))
    if not (diff.users or chain.rebuilt):
        return None
    delta = write_snapshot_file(workspace, DELTA, rows)
    changed = chain.with_delta(delta, users)
    return _compact(workspace, ChainChange(chain=changed, files=(delta,), log=diff.log, rebuilt=chain.rebuilt))


def is_long(chain: Chain, more: DeltaCount = NO_DELTAS) -> bool:
    """Whether a chain is to be folded into a new base, with ``more`` deltas."""
    deltas, rows = map(sum, zip(chain.delta_count, more, strict=True))
    return deltas >= MOST_DELTAS or rows > MOST_DELTA_SHARE * max(chain.user_count, 1000)


def _compact(workspace: Workspace, change: ChainChange) -> ChainChange:
    chain = change.chain
    if not (is_long(chain) or chain.rebuilt):
        return change
    present = ", true as present" if chain.kind is PropertyKind.AUDIENCE else ", " + ", ".join(chain.columns)
    base = write_snapshot_file(workspace, BASE, f"select user_id, run_id{present} from ({current_rows_query(chain)})")
    return replace(change, chain=chain.with_base(base, chain.user_count), files=(base,))

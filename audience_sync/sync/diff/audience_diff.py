"""What would an audience's snapshot change? Kept until all of them can be judged."""

from __future__ import annotations

from dataclasses import dataclass

from audience_sync.model import ChangeCounts
from audience_sync.store.snapshots.chain import Chain
from audience_sync.sync.diff.members import MembersDiff
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.values.change_set import Absences, HeldOut, SourceState


@dataclass(frozen=True, slots=True)
class AudienceDiff:
    """What an audience's snapshot would change; ``place`` is its finding's.

    ``diff``: what is told of it; ``news`` (a query) and ``counts``: what is new in it, for the guard. ``moved``: of
    those who leave it empty, who can't be in it any more whatever its source says.
    """

    target: ResolvedAudience
    chain: Chain
    diff: MembersDiff
    new_difference: str
    counts: ChangeCounts
    source_state: SourceState
    result_index: int
    absences: Absences | None = None
    held_out: HeldOut | None = None
    unavoidable_exits: int = 0

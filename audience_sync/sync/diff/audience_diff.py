"""Hold the diff of one audience until its wave is guarded."""

from __future__ import annotations

from dataclasses import dataclass

from audience_sync.model import ChangeCounts
from audience_sync.store.snapshots.chain import Chain
from audience_sync.sync.diff.members import MembersDiff
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.values.change_set import Absences, HeldOut, SourceState


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceDiff:
    """The diff of one audience; ``result_index`` is the index of its result in the change set.

    ``diff``: the users to send. ``new_difference`` (a query) and ``counts``: the users who are new in the diff, for the
    guard. ``unavoidable_exits``: if all users leave, those who are held out or in an earlier audience of the group.
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

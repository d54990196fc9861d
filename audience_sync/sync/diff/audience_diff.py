"""What would an audience's snapshot change? Kept until all of them can be judged."""

from __future__ import annotations

from dataclasses import dataclass

from audience_sync.model import Counts
from audience_sync.store.snapshots.chain import Chain
from audience_sync.sync.diff.members import MembersDiff
from audience_sync.sync.load.resolve_audiences import Target
from audience_sync.sync.values.change_set import Absences, HeldOut, Taken


@dataclass(frozen=True, slots=True)
class Compared:
    """What an audience's snapshot would change; ``place`` is its finding's.

    ``diff``: what is told of it; ``news`` (a query) and ``counts``: what is new in it, for the guard. ``moved``: of
    those who leave it empty, who can't be in it any more whatever its source says.
    """

    target: Target
    chain: Chain
    diff: MembersDiff
    news: str
    counts: Counts
    taken: Taken
    place: int
    absences: Absences | None = None
    held_out: HeldOut | None = None
    moved: int = 0

"""Would this snapshot change too much? Then it is held until a person has looked."""

from __future__ import annotations

from dataclasses import dataclass

from audience_sync.config.parts import Guard, Threshold


@dataclass(frozen=True, slots=True)
class Counts:
    """An audience's members before, and who would enter and leave."""

    before: int
    entered: int
    left: int


def hold_reason(key: str, counts: Counts, guard: Guard) -> str | None:
    """Why the snapshot is held; None when it may go through. An audience's first creation is never held."""
    if counts.before == 0:
        return None
    if counts.left == counts.before and counts.entered == 0:
        return f"audience '{key}': the new snapshot is empty, the last one had {counts.before} members"
    if _exceeds(counts.left, counts.before, guard.max_removed, guard.at_least):
        return _too_many_leave(key, counts, guard.max_removed)
    if _exceeds(counts.entered, counts.before, guard.max_added, guard.at_least):
        return _too_many_enter(key, counts, guard.max_added)
    return None


def _exceeds(changed: int, before: int, limit: Threshold, at_least: int) -> bool:
    if limit.count is not None:
        return changed > limit.count
    return changed >= at_least and changed > (limit.share or 0) * before


def _too_many_leave(key: str, counts: Counts, limit: Threshold) -> str:
    share = counts.left / counts.before
    return (
        f"audience '{key}': with the new snapshot {counts.left} of {counts.before} members ({share:.0%}) would leave, "
        f"over the limit of {limit}"
    )


def _too_many_enter(key: str, counts: Counts, limit: Threshold) -> str:
    return (
        f"audience '{key}': with the new snapshot {counts.entered} users would enter beside its {counts.before} "
        f"members, over the limit of {limit}"
    )


def suppression_hold(before: int, removed: int, guard: Guard) -> str | None:
    """Why nobody is taken off the lists of suppressed users; None when they may be."""
    if not before or not removed:
        return None
    if removed == before:
        return f"the lists of suppressed users: all {before} users are gone from them"
    if _exceeds(removed, before, guard.max_removed, guard.at_least):
        gone = f"{removed} of {before} users are gone from them"
        return f"the lists of suppressed users: {gone}, over the limit of {guard.max_removed}"
    return None

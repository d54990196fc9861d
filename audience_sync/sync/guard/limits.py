"""Decide whether a snapshot changes too much; then it is held until a person approves or rejects it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

from msgspec import Struct

from audience_sync.model import ChangeCounts
from audience_sync.text import pluralize, share_of

if TYPE_CHECKING:
    from audience_sync.config.sections.guard import Guard, Threshold, TotalGuard


def audience_reason(key: str, counts: ChangeCounts, guard: Guard, *, moved: int = 0) -> str | None:
    """The reason to hold the snapshot of an existing audience; None if it passes.

    For an audience without members every share is exceeded. ``moved``: users who left because they are held out or in
    an earlier audience of the group; if only they left, the snapshot is not empty.
    """
    if removes_everyone(counts) and moved < counts.left:
        return f"{_held_audience(key)}: the new snapshot is empty, and the last one had {_members(counts.before)}"
    if exceeds(counts.left, counts.before, guard.max_removed, guard.at_least):
        return _too_many_leave(key, counts, guard.max_removed)
    if exceeds(counts.entered, counts.before, guard.max_added, guard.at_least):
        return _too_many_enter(key, counts, guard.max_added)
    return None


def trait_reason(key: str, counts: ChangeCounts, guard: Guard) -> str | None:
    """The reason to hold a computed trait: too many users would lose their value."""
    return _too_many_lose(f"computed trait '{key}' is held", "the value", counts, guard)


def traits_reason(keys: Sequence[str], counts: ChangeCounts, guard: Guard, *, is_empty: bool) -> str | None:
    """The reason to hold all traits of an entry: too many users would lose all values.

    ``is_empty``: the snapshot has no users.
    """
    traits = f"computed traits {', '.join(keys)} are held" if len(keys) > 1 else f"computed trait '{keys[0]}' is held"
    if is_empty:
        return f"{traits}: the new snapshot is empty, and the last one had values of {pluralize(counts.before, 'user')}"
    return _too_many_lose(traits, "all values", counts, guard) if len(keys) > 1 else None


def _too_many_lose(traits: str, values: str, counts: ChangeCounts, guard: Guard) -> str | None:
    if exceeds(counts.left, counts.before, guard.max_removed, guard.at_least):
        users = f"{counts.left:,} of {pluralize(counts.before, 'user')} ({share_of(counts.left, counts.before)})"
        return f"{traits}: the new snapshot removes {values} of {users}, and the limit is {guard.max_removed}"
    return None


def ends_too_many(users: int, guard: Guard) -> bool:
    """Whether too many users have a value of a property that ends under its former name or id."""
    return exceeds(users, users, guard.max_removed, guard.at_least)


def mapping_reason(destination: str, changes: str, users: int, limit: Threshold) -> str:
    """The reason to hold a destination's mapping. ``changes``: what changes, in parentheses."""
    ends = f"ends values of {pluralize(users, 'user')} under their former name or id {changes}"
    return f"destination '{destination}' is held: its new mapping {ends}, and the limit is {limit}"


def removes_everyone(counts: ChangeCounts) -> bool:
    """Whether all members leave and none enters."""
    return counts.before > 0 and counts.left == counts.before and counts.entered == 0


def exceeds(changed: int, before: int, limit: Threshold, at_least: int) -> bool:
    """Whether a number of changed users is over a guard's limit."""
    if limit.count is not None:
        return changed > limit.count
    return changed >= at_least and changed > (limit.share or 0) * before


def _too_many_leave(key: str, counts: ChangeCounts, limit: Threshold) -> str:
    members = f"{counts.left:,} of {_members(counts.before)} ({share_of(counts.left, counts.before)})"
    return f"{_held_audience(key)}: the new snapshot removes {members}, and the limit is {limit}"


def _too_many_enter(key: str, counts: ChangeCounts, limit: Threshold) -> str:
    users = f"{pluralize(counts.entered, 'user')} to its {_members(counts.before)}"
    return f"{_held_audience(key)}: the new snapshot adds {users}, and the limit is {limit}"


def _held_audience(key: str) -> str:
    return f"audience '{key}' is held"


def _members(count: int) -> str:
    return pluralize(count, "member")


class _Direction(Struct, frozen=True):
    """One of the two ways in which members move: a field of the counts, its limit, and how it is written."""

    changed: Callable[[ChangeCounts], int]
    limit: Callable[[Guard | TotalGuard], Threshold | None]
    text: Callable[[int, int], str]

    def moved(self, audiences: Guarded) -> int:
        return sum(self.changed(counts) for counts, _ in audiences.values())

    def reason(self, audiences: Guarded) -> str:
        return self.text(self.moved(audiences), _before(audiences))


def _all_leave(changed: int, before: int) -> str:
    return f"the new snapshots remove {changed:,} of {_members(before)} ({share_of(changed, before)})"


def _all_enter(changed: int, before: int) -> str:
    return f"the new snapshots add {pluralize(changed, 'user')} to {_members(before)}"


Guarded = Mapping[str, tuple[ChangeCounts, "Guard"]]
_WAYS = (
    _Direction(lambda counts: counts.left, lambda guard: guard.max_removed, _all_leave),
    _Direction(lambda counts: counts.entered, lambda guard: guard.max_added, _all_enter),
)


def reasons_together(audiences: Guarded, guard: Guard) -> dict[str, str]:
    """By key, the reason to hold audiences for their sum of changes. ``guard``: the config's general one."""
    reasons: dict[str, str] = {}
    for way in _WAYS:
        for held, reason in (_small_together(way, audiences, guard), _all_together(way, audiences, guard)):
            reasons |= {key: reason for key, (counts, _) in held.items() if way.changed(counts)}
    return reasons


def _small_together(way: _Direction, audiences: Guarded, guard: Guard) -> tuple[Guarded, str]:
    """Guard small audiences, whose limit is less than ``at_least`` users, as if they were one.

    Audiences with a higher ``at_least`` of their own are left out.
    """
    from audience_sync.config.sections.guard import Threshold

    allowed = {key: _allowed(way.limit(own), counts) for key, (counts, own) in audiences.items()}
    small = {
        key: (counts, own) for key, (counts, own) in audiences.items() if allowed[key] < own.at_least <= guard.at_least
    }
    limit = sum(allowed[key] for key in small)
    if not exceeds(way.moved(small), 1, Threshold(share=limit), guard.at_least):
        return {}, ""
    return small, f"{len(small)} small audiences together: {way.reason(small)}, and their limits allow {limit:.0f}"


def _all_together(way: _Direction, audiences: Guarded, guard: Guard) -> tuple[Guarded, str]:
    limit = way.limit(guard.together)
    if limit is None or not exceeds(way.moved(audiences), _before(audiences), limit, guard.at_least):
        return {}, ""
    return audiences, f"all audiences together: {way.reason(audiences)}, and the limit is {limit}"


def _allowed(limit: Threshold | None, counts: ChangeCounts) -> float:
    """The number of users that a share allows; infinite for a limit by count, which applies to each audience alone."""
    return inf if limit is None or limit.share is None else limit.share * counts.before


def _before(audiences: Guarded) -> int:
    return sum(counts.before for counts, _ in audiences.values())


def same_difference(held: ChangeCounts, now: ChangeCounts, *, others: float, tolerance: float) -> bool:
    """Whether a difference is the held one, except for a share ``tolerance`` of its users.

    ``others``: the share of sampled users whom the new difference doesn't change in the same way.
    """
    moved = abs(now.entered - held.entered) + abs(now.left - held.left)
    return (
        removes_everyone(now) == removes_everyone(held)
        and max(moved / max(held.entered + held.left, 1), others) <= tolerance
    )


def suppression_reason(before: int, removed: int, guard: Guard) -> str | None:
    """Why no user is removed from the lists of suppressed users; None if they may be."""
    if not before or not removed:
        return None
    lists = "the lists of suppressed users are held: the new lists remove"
    if removed == before:
        return f"{lists} all {pluralize(before, 'user')}"
    if exceeds(removed, before, guard.max_removed, guard.at_least):
        share = share_of(removed, before)
        return f"{lists} {removed:,} of {pluralize(before, 'user')} ({share}), and the limit is {guard.max_removed}"
    return None

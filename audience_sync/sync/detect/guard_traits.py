"""Guard the diffs of computed traits: each trait, and all traits of an entry together, is accepted or held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from audience_sync.config.models import ComputedTraitsConfig
from audience_sync.model import ChangeCounts, HoldKind
from audience_sync.store.snapshots.chain import Chain
from audience_sync.sync.detect.collector import ChangeDetector
from audience_sync.sync.diff.traits import ALL_TRAITS, TraitsDiff
from audience_sync.sync.guard.holds import Difference, repeats
from audience_sync.sync.guard.limits import trait_reason, traits_reason
from audience_sync.workspace import quote_literal


@dataclass(frozen=True, slots=True)
class ComparedTraits:
    """The diff of an entry's traits that are stored in one chain."""

    chain: Chain
    keys: Sequence[str]
    diff: TraitsDiff


def guard_traits(
    detector: ChangeDetector,
    config: ComputedTraitsConfig,
    compared: Sequence[ComparedTraits],
    *,
    is_empty: bool,
    is_part: bool,
) -> set[str]:
    """Return the keys that are held, after adding their holds; a new trait is never held.

    All values of a held trait stay unchanged. If too many users lose all their traits, every trait of the entry is
    held. ``is_empty``: the snapshot has no users. ``is_part``: only some traits of the entry were diffed, so traits
    that are held together stay held.
    """
    stored = [each for each in compared if each.diff.log]
    differences = list(_differences(detector, config, stored))
    whole = _reason_together(detector, config, stored, is_empty=is_empty)
    again = _reasons_undone(detector, differences)
    held = set()
    for each in differences:
        if each.key in again:
            words, several = again[each.key]
            if _is_held(detector, each, words, together=several, repeated=True):
                held.add(each.key)
            continue
        together = whole if len(differences) > 1 else None
        if is_part:
            together = _held_together(detector, each) or together
        reason = together or whole or trait_reason(each.key, each.counts, detector.settings.guard_of(config))
        if _is_held(detector, each, reason, together=together is not None):
            held.add(each.key)
    return held


def _differences(
    detector: ChangeDetector, config: ComputedTraitsConfig, stored: Sequence[ComparedTraits]
) -> Iterator[Difference]:
    tolerance = detector.settings.guard_of(config).tolerance
    for each in stored:
        for key in each.keys:
            counts = each.diff.lost.get(key, ChangeCounts(0, 0, 0))
            mine = f"from {each.diff.log} where key = {quote_literal(key)}"
            users = f"select user_id, false as present {mine} and value is null"
            changed = f"select user_id, value is not null as present {mine}"
            yield Difference(
                kind=HoldKind.COMPUTED_TRAIT, key=key, counts=counts, users=users, tolerance=tolerance, changed=changed
            )


def _reason_together(
    detector: ChangeDetector, config: ComputedTraitsConfig, stored: Sequence[ComparedTraits], *, is_empty: bool
) -> str | None:
    """The reason to hold all traits of the entry; None if there is none."""
    keys = [key for each in stored for key in each.keys]
    guard = detector.settings.guard_of(config)
    lost = [each.diff.lost[ALL_TRAITS] for each in stored if ALL_TRAITS in each.diff.lost]
    reasons = (traits_reason(keys, counts, guard, is_empty=is_empty) for counts in lost)
    return next((reason for reason in reasons if reason), None)


def _held_together(detector: ChangeDetector, difference: Difference) -> str | None:
    hold = detector.hold_policy.waiting(difference.subject)
    return hold.reason if hold and hold.together and difference.counts.left else None


def _reasons_undone(detector: ChangeDetector, differences: Sequence[Difference]) -> dict[str, tuple[str, bool]]:
    """By key, the reason for traits whose undone changes the snapshot repeats, and whether several traits share it."""
    repeated: dict[tuple[int, int], list[Difference]] = {}
    for each in differences:
        hold = detector.hold_policy.undone(each)
        if hold is not None and not detector.hold_policy.is_approved(each):
            repeated.setdefault(detector.hold_policy.undone_by(hold), []).append(each)
    return {each.key: (repeats(group, *runs), len(group) > 1) for runs, group in repeated.items() for each in group}


def _is_held(
    detector: ChangeDetector, difference: Difference, reason: str | None, *, together: bool, repeated: bool = False
) -> bool:
    held = detector.hold_policy.decide(difference, reason, together=together, repeated=repeated)
    if held is None:
        return False
    found = detector.changes.traits
    detector.changes.traits = replace(found, held=(*found.held, (difference.key, held)))
    return True

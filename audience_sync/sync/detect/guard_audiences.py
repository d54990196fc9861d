"""Which differences go through? What the guards let pass is taken over; the rest waits, all or nothing per audience."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from audience_sync.model import AudienceStatus, HoldKind, PropertyKind
from audience_sync.sync.detect.collector import ChangeDetector
from audience_sync.sync.diff.audience_diff import AudienceDiff
from audience_sync.sync.diff.holdout import salt_of, share_of
from audience_sync.sync.diff.new_segments import members_change
from audience_sync.sync.guard.holds import Difference
from audience_sync.sync.guard.limits import audience_reason, reasons_together
from audience_sync.sync.load.snapshot import loaded_from
from audience_sync.sync.values.change_set import HeldDifference, NewProperty


def guard_audiences(detector: ChangeDetector) -> None:
    """Judge all audiences that were compared since this was done last, and take over those that may go through."""
    settled, fresh = detector.diffs[: detector.guarded_count], detector.diffs[detector.guarded_count :]
    detector.guarded_count = len(detector.diffs)
    alone = {each.target.key: reason for each in fresh if (reason := _alone(detector, each))}
    gone_through = [each for each in settled if each.target.key in detector.changes.source_states]
    together = _together(detector, [*gone_through, *fresh], alone)
    for each in fresh:
        held = _judge(detector, each, alone, together)
        if held:
            _hold(detector, each, held)
        else:
            _accept(detector, each)


def finish_audiences(detector: ChangeDetector) -> None:
    """What can be said once all audiences are settled."""
    _mark(detector)
    _count_held_out(detector)
    if detector.is_whole:
        known = {each.key for each in detector.changes.audiences}
        detector.hold_policy.supersede_missing(HoldKind.AUDIENCE, known)


def _judge(
    detector: ChangeDetector, each: AudienceDiff, alone: Mapping[str, str], together: Mapping[str, str]
) -> HeldDifference | None:
    if each.target.stored is None:  # a first creation is not guarded
        return None
    key = each.target.key
    reason = alone.get(key) or together.get(key)
    return detector.hold_policy.decide(_difference(detector, each), reason, together=key not in alone)


def _difference(detector: ChangeDetector, each: AudienceDiff) -> Difference:
    guard = detector.settings.guard_of(each.target.config)
    return Difference(HoldKind.AUDIENCE, each.target.key, each.counts, each.new_difference, guard.tolerance)


def _alone(detector: ChangeDetector, each: AudienceDiff) -> str | None:
    """What stands against an audience by itself."""
    if each.target.stored is None:
        return None
    guard = detector.settings.guard_of(each.target.config)
    return audience_reason(each.target.key, each.counts, guard, moved=each.unavoidable_exits)


def _together(detector: ChangeDetector, moving: Sequence[AudienceDiff], alone: Mapping[str, str]) -> dict[str, str]:
    """What stands against audiences together. A run over some of them knows too little: what is held stays held."""
    rest = [each for each in moving if each.target.stored is not None and each.target.key not in alone]
    judged = [each for each in rest if not detector.hold_policy.is_approved(_difference(detector, each))]
    settings = detector.settings
    guarded = {each.target.key: (each.counts, settings.guard_of(each.target.config)) for each in judged}
    reasons = reasons_together(guarded, settings.guard)
    return reasons if detector.is_whole else _held_together(detector, judged) | reasons


def _held_together(detector: ChangeDetector, judged: list[AudienceDiff]) -> dict[str, str]:
    holds = {
        each.target.key: detector.hold_policy.waiting((HoldKind.AUDIENCE, each.target.key))
        for each in judged
        if each.counts.entered + each.counts.left
    }
    return {key: hold.reason for key, hold in holds.items() if hold and hold.together}


def _hold(detector: ChangeDetector, each: AudienceDiff, held: HeldDifference) -> None:
    """Its finding says why; nothing else comes of it."""
    found = detector.changes.audiences[each.result_index]
    absent = detector.stored.absent.get(each.target.key, 0)
    detector.changes.audiences[each.result_index] = replace(
        found, status=AudienceStatus.HELD, entered=0, left=0, error=held.words, held=held, absent=absent, returned=0
    )
    if each.target.origin is not None:
        detector.incomplete.add(each.target.origin)


def _accept(detector: ChangeDetector, each: AudienceDiff) -> None:
    target, findings = each.target, detector.changes
    chain = each.chain
    if chain.id is not None and each.diff.entered + each.diff.left:  # of an unchanged source it is not fetched yet
        chain = detector.stored_chain(chain.id)
    change = members_change(detector.workspace, chain, each.diff, detector.run)
    if change:
        findings.changes.append(change)
        if each.chain.id is not None:
            detector.fetched_chains[each.chain.id] = change.chain
    stay = None if target.config.min_stay is None else str(target.config.min_stay)
    if stay != (target.stored and target.stored.min_stay):
        findings.min_stays[target.key] = stay
    share = share_of(target)
    if share != (target.stored and target.stored.holdout):
        findings.holdouts[target.key] = (share, salt_of(target))
    if each.held_out:
        findings.held_out[target.key] = each.held_out
    if each.absences:
        findings.absences[target.key] = each.absences
    findings.source_states[target.key] = each.source_state
    findings.loaded_from[target.key] = loaded_from(target.config)
    if target.stored is None:
        place = len(findings.changes) - 1
        findings.created.append(
            NewProperty(PropertyKind.AUDIENCE, target.key, target.name, place, target.origin, target.definition)
        )
    elif target.is_renamed:
        findings.renamed[target.key] = (target.name, target.definition)
        if target.stored.name != target.name:
            findings.warnings.append(
                f"audience '{target.stored.name}' has the new name '{target.name}'; its key stays '{target.key}'."
            )


def _mark(detector: ChangeDetector) -> None:
    """What many audiences come from is known as unchanged only where each of them was taken."""
    for each in detector.diffs:
        if each.target.origin in detector.incomplete:
            detector.changes.source_states[each.target.key] = each.source_state._replace(fingerprint=None, invalid=0)


def _count_held_out(detector: ChangeDetector) -> None:
    """Of every audience the findings say how many are held out, also of those that stay as they are."""
    known, found = detector.stored.held_out, detector.changes
    for place, each in enumerate(found.audiences):
        users = found.held_out[each.key].users if each.key in found.held_out else known.get(each.key, 0)
        if users:
            found.audiences[place] = replace(each, held_out=users)

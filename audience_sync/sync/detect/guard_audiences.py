"""Guard the diffs of audiences: each is accepted or held as a whole."""

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
    """Accept or hold every audience that was diffed since the last call."""
    guarded, fresh = detector.diffs[: detector.guarded_count], detector.diffs[detector.guarded_count :]
    detector.guarded_count = len(detector.diffs)
    alone = {each.target.key: reason for each in fresh if (reason := _alone(detector, each))}
    accepted = [each for each in guarded if each.target.key in detector.changes.source_states]
    together = _together(detector, [*accepted, *fresh], alone)
    for each in fresh:
        held = _guard(detector, each, alone, together)
        if held:
            _hold(detector, each, held)
        else:
            _accept(detector, each)


def finish_audiences(detector: ChangeDetector) -> None:
    """Complete the results and end holds of removed audiences, after all waves are guarded."""
    _drop_fingerprints(detector)
    _count_held_out(detector)
    if detector.is_whole:
        known = {each.key for each in detector.changes.audiences}
        detector.hold_policy.supersede_missing(HoldKind.AUDIENCE, known)


def _guard(
    detector: ChangeDetector, each: AudienceDiff, alone: Mapping[str, str], together: Mapping[str, str]
) -> HeldDifference | None:
    if each.target.stored is None:  # a first creation is not guarded
        return None
    key = each.target.key
    reason = alone.get(key) or together.get(key)
    return detector.hold_policy.decide(_difference(detector, each), reason, together=key not in alone)


def _difference(detector: ChangeDetector, each: AudienceDiff) -> Difference:
    guard = detector.settings.guard_of(each.target.config)
    return Difference(
        kind=HoldKind.AUDIENCE,
        key=each.target.key,
        counts=each.counts,
        users=each.new_difference,
        tolerance=guard.tolerance,
    )


def _alone(detector: ChangeDetector, each: AudienceDiff) -> str | None:
    """The reason to hold an audience for its own counts."""
    if each.target.stored is None:
        return None
    guard = detector.settings.guard_of(each.target.config)
    return audience_reason(each.target.key, each.counts, guard, moved=each.unavoidable_exits)


def _together(detector: ChangeDetector, moving: Sequence[AudienceDiff], alone: Mapping[str, str]) -> dict[str, str]:
    """The reasons to hold audiences for their sum of changes. In a run over some audiences, earlier holds stay."""
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
    """Replace the audience's result by a held one; nothing is changed."""
    result = detector.changes.audiences[each.result_index]
    absent = detector.stored.absent.get(each.target.key, 0)
    detector.changes.audiences[each.result_index] = replace(
        result, status=AudienceStatus.HELD, entered=0, left=0, error=held.words, held=held, absent=absent, returned=0
    )
    if each.target.origin is not None:
        detector.incomplete.add(each.target.origin)


def _accept(detector: ChangeDetector, each: AudienceDiff) -> None:
    target, changes = each.target, detector.changes
    chain = each.chain
    if chain.id is not None and each.diff.entered + each.diff.left:  # an unchanged source has not fetched it
        chain = detector.stored_chain(chain.id)
    change = members_change(detector.workspace, chain, each.diff, detector.run)
    if change:
        changes.changes.append(change)
        if each.chain.id is not None:
            detector.fetched_chains[each.chain.id] = change.chain
    stay = None if target.config.min_stay is None else str(target.config.min_stay)
    if stay != (target.stored and target.stored.min_stay):
        changes.min_stays[target.key] = stay
    share = share_of(target)
    if share != (target.stored and target.stored.holdout):
        changes.holdouts[target.key] = (share, salt_of(target))
    if each.held_out:
        changes.held_out[target.key] = each.held_out
    if each.absences:
        changes.absences[target.key] = each.absences
    changes.source_states[target.key] = each.source_state
    changes.loaded_from[target.key] = loaded_from(target.config)
    if target.stored is None:
        place = len(changes.changes) - 1
        changes.created.append(
            NewProperty(
                kind=PropertyKind.AUDIENCE,
                key=target.key,
                name=target.name,
                chain=place,
                origin=target.origin,
                definition=target.definition,
            )
        )
    elif target.is_renamed:
        changes.renamed[target.key] = (target.name, target.definition)
        if target.stored.name != target.name:
            changes.warnings.append(
                f"audience '{target.stored.name}' has the new name '{target.name}'; its key stays '{target.key}'."
            )


def _drop_fingerprints(detector: ChangeDetector) -> None:
    """Store no fingerprint for a ``names_from`` entry with a held audience, so that the next run reads it again."""
    for each in detector.diffs:
        if each.target.origin in detector.incomplete:
            detector.changes.source_states[each.target.key] = each.source_state._replace(fingerprint=None, invalid=0)


def _count_held_out(detector: ChangeDetector) -> None:
    """Add the number of held-out users to every result, unchanged audiences included."""
    before, changes = detector.stored.held_out, detector.changes
    for index, each in enumerate(changes.audiences):
        users = changes.held_out[each.key].users if each.key in changes.held_out else before.get(each.key, 0)
        if users:
            changes.audiences[index] = replace(each, held_out=users)

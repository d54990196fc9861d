"""Guard the diffs of a wave of audiences: each is accepted or held as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from audience_sync.model import AudienceStatus, HoldKind, PropertyKind
from audience_sync.store.snapshots.chain import Chain, DeltaCount
from audience_sync.sync.detect.audiences import AudienceDiff, Outcome
from audience_sync.sync.diff.members import MembersDiff
from audience_sync.sync.diff.snapshot_files import is_long, members_change
from audience_sync.sync.guard.holds import (
    ComparedDifference,
    Difference,
    Verdict,
    compare_with_hold,
    guard_difference,
)
from audience_sync.sync.guard.limits import audience_reason, reasons_together
from audience_sync.sync.load.resolve_audiences import guard_changes
from audience_sync.sync.load.snapshot import loaded_from
from audience_sync.sync.values.change_set import ChangeSet, NewProperty, PropertyChange, SourceState
from audience_sync.sync.values.findings import AudienceResult, Detection, HeldDifference, RunFindings
from audience_sync.sync.values.run_context import RunContext
from audience_sync.tracing import stage


@stage("guard")
def guard_audiences(context: RunContext, outcomes: Sequence[Outcome], accepted: Sequence[AudienceDiff]) -> Detection:
    """Accept or hold each diff of a wave. ``accepted``: the diffs accepted in earlier waves, for limits together.

    If an audience of a ``names_from`` entry is held, the next run reads the whole entry again.
    """
    diffs = [each for each in outcomes if isinstance(each, AudienceDiff)]
    verdicts = _verdicts(context, diffs, accepted)
    held = {key for key, verdict in verdicts.items() if verdict.held}
    reread = {each.target.origin for each in diffs if each.is_partial or each.target.key in held} - {None}
    decided = [
        _settle(context, each, verdicts.get(each.target.key), is_reread=each.target.origin in reread) for each in diffs
    ]
    settled = [each for each in outcomes if isinstance(each, Detection)]
    found, decisions = Detection.total([*settled, *decided]), iter(decided)
    ordered = [each if isinstance(each, Detection) else next(decisions) for each in outcomes]
    results = tuple(result for each in ordered for result in each.findings.audiences)
    return replace(found, findings=replace(found.findings, audiences=results))


def _verdicts(
    context: RunContext, diffs: Sequence[AudienceDiff], accepted: Sequence[AudienceDiff]
) -> Mapping[str, Verdict]:
    """By key, the decisions on the diffs; a first creation is not guarded."""
    stored = {each.target.key: each for each in (*accepted, *diffs) if each.target.stored is not None}
    compared = {key: compare_with_hold(context, _difference(context, each)) for key, each in stored.items()}
    fresh = [each.target.key for each in diffs if each.target.key in stored]
    alone = {key: reason for key in fresh if (reason := _reason_alone(context, stored[key]))}
    together = _reasons_together(context, stored, {key: each for key, each in compared.items() if key not in alone})
    return {
        key: guard_difference(context, compared[key], alone.get(key) or together.get(key), together=key not in alone)
        for key in fresh
    }


def _settle(context: RunContext, each: AudienceDiff, verdict: Verdict | None, *, is_reread: bool) -> Detection:
    """``is_reread``: the next run reads the source again, so its fingerprint is dropped, of a held audience, too."""
    source = each.source._replace(fingerprint=None, invalid=0) if is_reread else each.source
    held_source = source._replace(compared=None) if is_reread else None
    if verdict is None:
        return _accept(context, each, source)
    if verdict.held is None:
        return verdict.holds + _accept(context, each, source)
    return verdict.holds + _hold(context, each, verdict.held, held_source)


def _difference(context: RunContext, each: AudienceDiff) -> Difference:
    return Difference(
        kind=HoldKind.AUDIENCE,
        key=each.target.key,
        counts=each.counts,
        users=each.guarded,
        tolerance=context.settings.guard_of(each.target.config).tolerance,
    )


def _reason_alone(context: RunContext, each: AudienceDiff) -> str | None:
    """The reason to hold an audience for its own counts."""
    guard = context.settings.guard_of(each.target.config)
    return audience_reason(each.target.key, each.counts, guard, moved=each.unavoidable_exits)


def _reasons_together(
    context: RunContext, diffs: Mapping[str, AudienceDiff], compared: Mapping[str, ComparedDifference]
) -> dict[str, str]:
    """The reasons to hold audiences for their sum of changes. In a run over some audiences, earlier holds stay."""
    settings, request = context.settings, context.request
    judged = {key: diffs[key] for key, each in compared.items() if not each.is_approved(request.exceptions)}
    limits = {key: (each.counts, settings.guard_of(each.target.config)) for key, each in judged.items()}
    reasons = reasons_together(limits, settings.guard)
    if request.selection.is_whole:
        return reasons
    moving = [key for key, each in judged.items() if each.counts.entered + each.counts.left]
    holds = {key: hold for key in moving if (hold := compared[key].waiting) and hold.together}
    return {key: hold.reason for key, hold in holds.items()} | reasons


def _hold(context: RunContext, each: AudienceDiff, held: HeldDifference, source: SourceState | None) -> Detection:
    """The held result; nothing is changed."""
    key, stored, guard = each.target.key, each.target.stored, each.target.new_guard(context.settings)
    result = AudienceResult(
        key=key,
        name=each.target.name,
        status=AudienceStatus.HELD,
        before=each.chain.user_count,
        invalid=each.diff.invalid,
        error=held.message,
        held=held,
        absent=context.stored.absent.get(key, 0),
        config_changes=guard_changes(stored.guard, guard) if stored and guard else None,
    )
    changes = ChangeSet(properties={key: PropertyChange(source=source, guard=guard)} if source or guard else {})
    return Detection(changes=changes, findings=RunFindings(audiences=(result,)))


def _chain_to_extend(context: RunContext, chain: Chain, diff: MembersDiff) -> Chain:
    """The chain that gets a delta: without its files if the diff was made without them, and they are not folded."""
    assert chain.id is not None
    if chain.unfetched and not is_long(chain, DeltaCount(1, diff.entered + diff.left)):
        return chain
    return context.reader.chain(chain.id)


def _accept(context: RunContext, each: AudienceDiff, source: SourceState) -> Detection:
    assert not each.is_sample, f"the users of '{each.target.key}' were not fetched"
    target, chain, stored = each.target, each.chain, each.target.stored
    if chain.id is not None and each.diff.entered + each.diff.left:  # an unchanged source has not fetched it
        chain = _chain_to_extend(context, chain, each.diff)
    change = members_change(context.workspace, chain, each.diff, context.run)
    if change and stored is None:
        new = NewProperty(
            kind=PropertyKind.AUDIENCE,
            key=target.key,
            name=target.name,
            origin=target.origin,
            definition=target.definition,
        )
        change = replace(change, creates=(new,))
    stay = None if target.config.min_stay is None else str(target.config.min_stay)
    property_change = PropertyChange(
        source=source,
        loaded_from=loaded_from(context, target.config, [target.key]),
        renamed=(target.name, target.definition) if target.is_renamed else None,
        absences=each.absences,
        held_out=each.held_out,
        claimed=each.claimed,
        holdout=(target.holdout, target.salt) if target.holdout != (stored and stored.holdout) else None,
        min_stay=(stay,) if stay != (stored and stored.min_stay) else None,
        guard=target.new_guard(context.settings),
    )
    result, found = each.result, property_change
    if stored is not None and (found.renamed or found.holdout or found.min_stay or found.guard):
        result = replace(result, config_changes=target.config_changes(found.guard))
    warnings: tuple[str, ...] = ()
    if stored is not None and stored.name != target.name:
        warning = f"audience '{stored.name}' has the new name '{target.name}'; its key stays '{target.key}'."
        warnings = (warning,)
    return Detection(
        changes=ChangeSet(chains=(change,) if change else (), properties={target.key: property_change}),
        findings=RunFindings(audiences=(result,), warnings=warnings),
    )

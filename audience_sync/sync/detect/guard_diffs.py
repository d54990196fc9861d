"""Guard diffs: each audience of a wave, and each computed trait of an entry, is accepted or held as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from audience_sync.config.models import ComputedTraitsConfig
from audience_sync.model import AudienceStatus, ChangeCounts, HoldKind, PropertyKind, RunId
from audience_sync.sql import Query, quote_literal
from audience_sync.store.snapshots.chain import Chain, DeltaCount
from audience_sync.sync.detect.audiences import AudienceDiff, Outcome
from audience_sync.sync.diff.members import MembersDiff
from audience_sync.sync.diff.snapshot_files import is_long, members_change
from audience_sync.sync.diff.traits import ALL_TRAITS, ChainDiff
from audience_sync.sync.guard.holds import (
    ComparedDifference,
    Difference,
    Verdict,
    compare_with_hold,
    guard_difference,
    repeated_changes_reason,
)
from audience_sync.sync.guard.limits import audience_reason, reasons_together, trait_reason, traits_reason
from audience_sync.sync.load.resolve_audiences import guard_changes
from audience_sync.sync.load.snapshot import loaded_from
from audience_sync.sync.values.change_set import ChangeSet, NewProperty, PropertyChange, SourceState
from audience_sync.sync.values.findings import AudienceResult, Detection, HeldDifference, RunFindings, TraitsResult
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


def guard_traits(
    context: RunContext, config: ComputedTraitsConfig, diffs: Sequence[ChainDiff], *, is_empty: bool, is_part: bool
) -> tuple[frozenset[str], Detection]:
    """The keys that are held, and their holds; a new trait is never held.

    If too many users lose all their traits, every trait of the entry is held. ``is_empty``: the snapshot has no users.
    ``is_part``: traits that are held together stay held, because not all of them were diffed.
    """
    guard, stored = context.settings.guard_of(config), [each for each in diffs if each.diff.log]
    compared = [compare_with_hold(context, each) for diff in stored for each in _differences(diff, guard.tolerance)]
    keys = [key for each in stored for key in each.keys]
    lost_all = [each.diff.lost[ALL_TRAITS] for each in stored if ALL_TRAITS in each.diff.lost]
    reasons = (traits_reason(keys, counts, guard, is_empty=is_empty) for counts in lost_all)
    whole = next((reason for reason in reasons if reason), None)
    undone = _reasons_undone(context, compared)
    held, detections = list[tuple[str, HeldDifference]](), list[Detection]()
    for each in compared:
        difference, hold = each.difference, each.waiting if is_part else None
        if difference.key in undone:
            repeat, together = undone[difference.key]
            verdict = guard_difference(context, each, repeat, together=together, repeated=True)
        else:
            shared = whole if len(compared) > 1 else None
            if hold and hold.together and difference.counts.left:
                shared = hold.reason
            reason = shared or whole or trait_reason(difference.key, difference.counts, guard)
            verdict = guard_difference(context, each, reason, together=shared is not None)
        detections.append(verdict.holds)
        if verdict.held:
            held.append((difference.key, verdict.held))
    result = Detection(findings=RunFindings(traits=TraitsResult(held=tuple(held))))
    return frozenset(key for key, _ in held), Detection.total([*detections, result])


def _differences(each: ChainDiff, tolerance: float) -> Iterator[Difference]:
    for key in each.keys:
        mine = f"from {each.diff.log} where key = {quote_literal(key)}"
        yield Difference(
            kind=HoldKind.COMPUTED_TRAIT,
            key=key,
            counts=each.diff.lost.get(key, ChangeCounts(0, 0, 0)),
            users=Query(f"select user_id, false as present {mine} and value is null"),
            tolerance=tolerance,
            changed=Query(f"select user_id, value is not null as present {mine}"),
        )


def _reasons_undone(context: RunContext, compared: Sequence[ComparedDifference]) -> Mapping[str, tuple[str, bool]]:
    """By key, the reason for traits whose undone changes the snapshot repeats, and whether several traits share it."""
    repeated: dict[tuple[RunId, RunId], list[Difference]] = {}
    for each in compared:
        runs = each.undone_runs if each.last else None
        if runs is not None and not each.is_approved(context.request.exceptions):
            repeated.setdefault(runs, []).append(each.difference)
    return {
        each.key: (repeated_changes_reason(group, *runs), len(group) > 1)
        for runs, group in repeated.items()
        for each in group
    }

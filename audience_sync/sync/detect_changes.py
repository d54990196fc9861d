"""Detect all changes of a run: audiences in waves by priority group, then computed traits; or a retire or an undo."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from audience_sync.errors import UnknownKeyError
from audience_sync.model import ALIAS_KEY, AudienceStatus, HoldKind
from audience_sync.sync.detect.audiences import AudienceDiff, Outcome, detect_audience
from audience_sync.sync.detect.computed_traits import detect_traits
from audience_sync.sync.detect.guard_diffs import guard_audiences
from audience_sync.sync.detect.names_from import detect_names_from
from audience_sync.sync.detect.suppression_lists import KEY as SUPPRESSED
from audience_sync.sync.diff.priority_groups import claims_changed, earlier_in_groups, grouped, processing_waves
from audience_sync.sync.guard.holds import supersede_missing
from audience_sync.sync.guard.messages import freeze_ended_message
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.values.findings import AudienceResult, Detection, RunFindings
from audience_sync.sync.values.request import Retire, Undo
from audience_sync.sync.values.run_context import RunContext
from audience_sync.text import not_found_message
from audience_sync.tracing import expect_entries

_PLURALS = {
    "audience": "Audiences",
    "computed trait": "Computed traits",
    "audience or computed trait": "Audiences and computed traits",
}


def detect_changes(context: RunContext, targets: Sequence[ResolvedAudience], before: Sequence[Detection]) -> Detection:
    """Load, diff and guard everything in the request, and add it to what was detected ``before``.

    Raises UnknownKeyError for a key that does not exist; without `names_from`, before anything is read.
    """
    match context.request:
        case Retire(key=key):
            from audience_sync.sync.operations.retire import retire

            return Detection.total([*before, retire(context, key, targets)])
        case Undo(undone_run=undone_run):
            from audience_sync.sync.operations.undo import undo

            return Detection.total([*before, undo(context, undone_run)])
    if not any(config.names_from for config in context.settings.audiences):
        _refuse_unknown(context, {target.key for target in targets})
    selected = {target.key for target in targets if _is_selected(context, target)}
    loads_traits = context.request.seeded_key is None
    if context.frames:
        from audience_sync.sync.load.frames import refuse_wrong_frames

        refuse_wrong_frames(context, targets, selected, loads_traits=loads_traits)
    expect_entries(_count_entries(context, selected, loads_traits=loads_traits))
    thaws = RunFindings(warnings=tuple(freeze_ended_message(freeze) for freeze in context.stored.ended_freezes))
    first = [*before, Detection(findings=thaws)]
    if context.stored.moves:
        from audience_sync.sync.operations.move_key import move_keys

        first.append(move_keys(context))
    found = _detect_audiences(context, targets, selected, first)
    if not loads_traits:
        return found
    return found + detect_traits(context, found.changes.chains, context.request.selection.traits)


def _detect_audiences(
    context: RunContext, targets: Sequence[ResolvedAudience], selected: Collection[str], before: Sequence[Detection]
) -> Detection:
    """Load, diff and guard the audiences in waves, and add them to what was detected ``before``.

    Those of a priority group come one after another, because each excludes the members of earlier ones.
    ``selected``: the keys of the audiences that the request names; a change of an earlier one concerns later ones too.
    """
    settings, diffs, found = context.settings, list[AudienceDiff](), Detection.total(before)
    groups = grouped(settings, targets, context.stored.properties) if settings.priority_groups else ()
    earlier = earlier_in_groups(groups) if groups else {}
    waves = list(processing_waves(targets, earlier)) if earlier else [targets]
    for wave in waves:
        outcomes = list[Outcome]()
        for target in wave:
            ahead = earlier.get(target.key, ())
            if target.key in selected or (ahead and claims_changed(context, found.changes, ahead)):
                outcomes += detect_audience(context, target, found.changes, ahead)
        if wave is waves[-1]:
            outcomes = _detect_named_audiences(context, {target.key for target in targets}, found, outcomes)
        found = Detection.total([found, guard_audiences(context, outcomes, diffs)])
        held = {each.key for each in found.findings.audiences if each.status is AudienceStatus.HELD}
        diffs += [each for each in outcomes if isinstance(each, AudienceDiff) and each.target.key not in held]
    results = [_with_held_out(context, found, each) for each in found.findings.audiences]
    found = replace(found, findings=replace(found.findings, audiences=tuple(results)))
    if not context.stored.last_holds or not context.request.selection.is_whole:
        return found
    return found + supersede_missing(context, HoldKind.AUDIENCE, {each.key for each in results})


def _count_entries(context: RunContext, selected: Collection[str], *, loads_traits: bool) -> int:
    """The number of audiences, `names_from` entries and entries of computed traits that the run is to load."""
    selection, settings = context.request.selection, context.settings
    audiences = [key for key in selected if key not in context.stored.frozen]
    named = [each for each in settings.audiences if each.names_from is not None and selection.is_due(each)]
    wanted = selection.traits
    traits = [each for each in settings.computed_traits if wanted is None or not set(wanted).isdisjoint(each.columns)]
    return len(audiences) + len(named) + (len(traits) if loads_traits else 0)


def _is_selected(context: RunContext, target: ResolvedAudience) -> bool:
    selection = context.request.selection
    return (selection.audiences is None or target.key in selection.audiences) and selection.is_due(target.config)


def _detect_named_audiences(
    context: RunContext, keys: Collection[str], found: Detection, outcomes: Sequence[Outcome]
) -> list[Outcome]:
    """The outcomes with those of ``names_from`` entries. ``keys``: the audiences that the config names.

    Unknown keys are refused after everything is read, unless a failed entry might have them.
    """
    selection, outcomes = context.request.selection, [*outcomes]
    named_alone = selection.audiences is not None and set(keys).issuperset(selection.audiences)
    entries = [each for each in context.settings.audiences if each.names_from is not None and selection.is_due(each)]
    for config in () if named_alone else entries:
        used = {each.key for each in _results(found, outcomes)}
        outcomes += detect_names_from(context, config, used)
    results = _results(found, outcomes)
    if not any(each.status is AudienceStatus.FAILED for each in results):
        _refuse_unknown(context, {*keys, *(each.key for each in results)})
    return outcomes


def _results(found: Detection, outcomes: Sequence[Outcome]) -> list[AudienceResult]:
    """The results so far; those to guard as if they were accepted."""
    fresh = ([each.result] if isinstance(each, AudienceDiff) else each.findings.audiences for each in outcomes)
    return [*found.findings.audiences, *(result for results in fresh for result in results)]


def _with_held_out(context: RunContext, found: Detection, result: AudienceResult) -> AudienceResult:
    """The result with the number of held-out users, of an unchanged audience too."""
    change = found.changes.properties.get(result.key)
    out = change.held_out.users if change and change.held_out else context.stored.held_out.get(result.key, 0)
    return replace(result, held_out=out) if out else result


def _refuse_unknown(context: RunContext, audiences: Collection[str]) -> None:
    """Raise UnknownKeyError for a requested key that no audience, trait or stored property has."""
    request = context.request
    traits = {key for config in context.settings.computed_traits for key in config.columns}
    accepted = {*audiences, *traits, *context.stored.properties, *context.settings.destinations, SUPPRESSED}
    by_name = {key for key, each in context.stored.properties.items() if each.origin and not each.retired}
    _require("audience", request.selection.audiences, audiences, also=by_name)
    _require("computed trait", request.selection.traits, traits)
    _require("audience or computed trait", request.exceptions.accepted, accepted - {ALIAS_KEY})


def _require(what: str, named: Collection[str] | None, known: Collection[str], *, also: Collection[str] = ()) -> None:
    """``also``: stored keys of `names_from`, which only the message lists."""
    missing = sorted(set(named or ()).difference(known))
    if missing:
        known = {*known, *also}.difference(missing)
        there = ", ".join(sorted(known)) or "none"
        raise UnknownKeyError(
            f"{not_found_message(what, missing, known)} Nothing was changed or sent.\n  {_PLURALS[what]}: {there}"
        )

"""Detect all changes of a run: audiences in waves by priority group, then computed traits; or a retire or an undo."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from audience_sync.errors import UnknownKeyError
from audience_sync.model import ALIAS_KEY, AudienceStatus
from audience_sync.sync.detect.collector import ChangeDetector
from audience_sync.sync.detect.computed_traits import detect_traits
from audience_sync.sync.detect.guard_audiences import finish_audiences, guard_audiences
from audience_sync.sync.detect.names_from import detect_names_from
from audience_sync.sync.detect.suppression_lists import KEY as SUPPRESSED
from audience_sync.sync.diff.priority_groups import earlier_in_groups, grouped, processing_waves
from audience_sync.sync.guard.messages import thawed
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.operations.move_key import move_keys
from audience_sync.sync.operations.retire import retire
from audience_sync.sync.operations.undo import undo
from audience_sync.sync.values.request import Retire, RunRequest, Undo
from audience_sync.text import not_found_message

_PLURALS = {
    "audience": "Audiences",
    "computed trait": "Computed traits",
    "audience or computed trait": "Audiences and computed traits",
}


def detect_changes(detector: ChangeDetector, targets: Sequence[ResolvedAudience], request: RunRequest) -> None:
    """Load, diff and guard everything in the request.

    The audiences of a priority group come one after another, because each excludes the members of earlier ones.
    Raises UnknownKeyError for a key that does not exist; without `names_from`, before anything is read.
    """
    match request:
        case Retire(key=key):
            retire(detector, key, targets)
        case Undo(undone_run=undone_run):
            undo(detector, undone_run)
        case _:
            _detect_from_sources(detector, targets, request)


def _detect_from_sources(detector: ChangeDetector, targets: Sequence[ResolvedAudience], request: RunRequest) -> None:
    asked = request.selection.audiences
    named = {target.key for target in targets}
    if not any(config.names_from for config in detector.settings.audiences):
        _refuse_unknown(detector, request, named)
    detector.changes.warnings += [thawed(freeze) for freeze in detector.stored.ended_freezes]
    move_keys(detector)
    detector.earlier = earlier_in_groups(grouped(detector.settings, targets, detector.stored.properties))
    waves = list(processing_waves(targets, detector.earlier))
    for wave in waves[:-1]:
        _process_wave(detector, wave)
        guard_audiences(detector)
    _process_wave(detector, waves[-1])
    for config in detector.settings.audiences:
        named_alone = asked is not None and named.issuperset(asked)
        if config.names_from is not None and detector.is_due(config) and not named_alone:
            detect_names_from(detector, config)
    _refuse_unfound(detector, request, named)
    guard_audiences(detector)
    finish_audiences(detector)
    if request.seeded_key is None:
        detect_traits(detector, request.selection.traits)


def _process_wave(detector: ChangeDetector, wave: Sequence[ResolvedAudience]) -> None:
    """Detect the selected audiences, and those that lose users because an earlier one of their group has changed."""
    for target in wave:
        asked = detector.keys is None or target.key in detector.keys
        if (asked and detector.is_due(target.config)) or detector.priority_groups.has_changed_before(target):
            detector.detect_audience(target)


def _refuse_unfound(detector: ChangeDetector, request: RunRequest, named: Collection[str]) -> None:
    """Refuse unknown keys after everything is read, unless a failed entry might have them."""
    if not any(each.status is AudienceStatus.FAILED for each in detector.changes.audiences):
        _refuse_unknown(detector, request, {*named, *(each.key for each in detector.changes.audiences)})


def _refuse_unknown(detector: ChangeDetector, request: RunRequest, audiences: Collection[str]) -> None:
    """Raise UnknownKeyError for a requested key that no audience, trait or stored property has."""
    traits = {key for config in detector.settings.computed_traits for key in config.columns}
    accepted = {*audiences, *traits, *detector.stored.properties, SUPPRESSED}
    by_name = {key for key, each in detector.stored.properties.items() if each.origin and not each.retired}
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

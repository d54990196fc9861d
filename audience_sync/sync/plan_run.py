"""Plan a run: load, diff and guard, then the pending changes of each destination. Nothing is written or sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from audience_sync.delivery.pending.pending import DeliveryInputs
from audience_sync.delivery.state.cursors import read_destination_states
from audience_sync.delivery.state.subscription_history import first_subscriptions
from audience_sync.destinations.base import Audiencing
from audience_sync.destinations.boundary import contained
from audience_sync.errors import FrozenError, RetiredError
from audience_sync.model import ALIAS_KEY, PropertyKind
from audience_sync.sources.boundary import bound_sources
from audience_sync.store.runs.clock import RunClock, read_run_clock
from audience_sync.store.snapshots.chain import Chain
from audience_sync.store.tables import refused_values, withheld_values
from audience_sync.sync.deliver.pending import add_run_changes, read_log, read_undelivered
from audience_sync.sync.deliver.run_plan import RunPlan
from audience_sync.sync.deliver.subscriptions import states_after_run
from audience_sync.sync.detect.aliases import read_aliases
from audience_sync.sync.detect.collector import ChangeDetector
from audience_sync.sync.detect.suppression_lists import read_suppressed
from audience_sync.sync.detect_changes import detect_changes
from audience_sync.sync.guard.holds import HoldPolicy
from audience_sync.sync.guard.messages import frozen, retired
from audience_sync.sync.load.resolve_audiences import refuse_traits, resolve_audiences
from audience_sync.sync.load.resolve_ids import erased_persons
from audience_sync.sync.load.retired import retired_warnings, without_retired_traits
from audience_sync.sync.operations.merge_users import carry_over
from audience_sync.sync.operations.move_key import check_moves, with_moved_keys
from audience_sync.sync.operations.retire import refuse_unretirable
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.request import (
    ProgressListener,
    Resync,
    Retire,
    RunDependencies,
    RunRequest,
    Seed,
    Sync,
    Undo,
)
from audience_sync.sync.values.stored_state import StoredState, read_stored_state
from audience_sync.workspace import Workspace


def plan_run(
    dependencies: RunDependencies,
    request: RunRequest,
    progress: ProgressListener,
    workspace: Workspace,
    now: datetime,
    run: int | None = None,
) -> RunPlan:
    """Load, diff and guard everything in the request. ``run`` is None for a preview."""
    with dependencies.store.reading() as connection:
        clock = read_run_clock(connection, now, before=run, accept=request.exceptions.accept_clock)
        known = read_stored_state(connection, clock.accepted_now)
        before = read_destination_states(connection, dependencies.settings.destinations)
        known = with_moved_keys(
            known, request.moves, frozenset(key for state in before.values() for key in state.seeds)
        )
        first = first_subscriptions(connection) if isinstance(request, Resync | Undo) else {}
    _refuse_retired(request, known)
    _refuse_frozen(request, known)
    check_moves(request.moves, dependencies.settings.audiences)
    targets = resolve_audiences(dependencies.settings.audiences, known.properties, leaving=request.retired_key)
    refuse_traits(dependencies.settings.computed_traits, known.properties, leaving=request.retired_key)
    skipped = [f"{place}: {words}" for place, words in retired_warnings(dependencies.settings, known.properties)]
    dependencies = replace(dependencies, settings=without_retired_traits(dependencies.settings, known.properties))
    detector = _collector(dependencies, request, progress, workspace, known, clock, run)
    detector.changes.warnings += [*clock.warnings(), *skipped]
    detector.aliases = read_aliases(detector, sources=request.reads_sources)
    detector.erased = erased_persons(detector.erased, detector.aliases.pairs)
    detect_changes(detector, targets, request)
    findings = detector.changes
    made = contained(dependencies.destinations(_about(known, findings, dependencies.settings.secrets)))
    joining = {name for name, each in made.items() if each.has_alias}
    states = states_after_run(dependencies, request, detector, targets, before, first, joining=joining)
    with dependencies.store.reading() as connection:
        suppressed = read_suppressed(
            connection,
            workspace,
            dependencies.settings,
            detector.sources,
            findings,
            detector.hold_policy,
            erased=detector.erased,
            aliases=detector.aliases,
        )
        stored = DeliveryInputs(
            log=read_log(connection, workspace, states),
            refused=read_undelivered(connection, workspace, refused_values),
            chains=ChainsAfterRun(detector),
            suppressed=suppressed.table,
            withheld=read_undelivered(connection, workspace, withheld_values),
            aliases=detector.aliases.sent,
        )
    carry_over(detector, stored, joining)
    return RunPlan(
        run=detector.run,
        clock=clock,
        stored=known,
        changes=findings,
        states=states,
        destinations=made,
        inputs=add_run_changes(workspace, stored, findings, detector.run),
        suppressed=suppressed,
    )


def _collector(
    dependencies: RunDependencies,
    request: RunRequest,
    progress: ProgressListener,
    workspace: Workspace,
    stored: StoredState,
    clock: RunClock,
    run: int | None,
) -> ChangeDetector:
    findings = ChangeSet()
    decisions = HoldPolicy(
        workspace=workspace,
        store=dependencies.store,
        last_holds=stored.last_holds,
        changes=findings,
        run=run,
        accepted=request.exceptions.accepted,
        approved_holds=request.exceptions.approved_holds,
    )
    return ChangeDetector(
        workspace=workspace,
        store=dependencies.store,
        settings=dependencies.settings,
        sources=bound_sources(dependencies.sources),
        stored=stored,
        run=stored.last_run + 1 if run is None else run,
        counted_at=clock.counted_at,
        changes=findings,
        hold_policy=decisions,
        profile_fields=dependencies.profile_fields,
        erased=_erased(workspace, stored),
        keys=request.selection.audiences,
        due=request.selection.entries,
        seeding=request.seeded_key,
        resends=request.resends,
        watch=progress.loading,
    )


def _erased(workspace: Workspace, stored: StoredState) -> str:
    """An SQL condition on ``user_id`` for erased users, of whom only hashes are stored."""
    if not stored.erased_hashes:
        return "false"
    table = workspace.load({"user_hash": "varchar"}, [[(each,) for each in stored.erased_hashes]])
    return f"sha256('{stored.installation}:' || user_id) in (select user_hash from {table})"


def _refuse_retired(request: RunRequest, stored: StoredState) -> None:
    """Raise RetiredError if the request names a retired key."""
    if request.retired_key is not None:
        refuse_unretirable(request.retired_key, stored)
    selection = request.selection
    named = {*(selection.audiences or ()), *(selection.traits or ()), *request.exceptions.accepted}
    found = [key for key in sorted(named) if key in stored.properties and stored.properties[key].retired]
    if found:
        raise RetiredError(retired(*found))


def _refuse_frozen(request: RunRequest, stored: StoredState) -> None:
    """Raise FrozenError if a seed, a resync, an approval or a retire names a frozen audience."""
    match request:
        case Seed() | Resync():
            wanted = set(request.selection.audiences or ())
        case Sync() if request.exceptions.approved_holds:
            wanted = set(request.selection.audiences or ())
        case Retire(key=key):
            wanted = {key}
        case _:
            return
    found = [f"audience '{key}' is {frozen(stored.frozen[key])}" for key in sorted(wanted & stored.frozen.keys())]
    if found:
        raise FrozenError(f"{'; '.join(found)}. Nothing was changed or sent.")


def _about(stored: StoredState, changes: ChangeSet, secrets: tuple[str, ...]) -> Audiencing:
    kinds = {key: each.kind for key, each in stored.properties.items()}
    kinds |= {each.key: each.kind for each in changes.created}
    kinds.pop(ALIAS_KEY, None)
    audiences = frozenset(key for key, kind in kinds.items() if kind is PropertyKind.AUDIENCE)
    return Audiencing(stored.installation, audiences, frozenset(kinds) - audiences, secrets)


class ChainsAfterRun(Mapping[str, Chain]):
    """The chain of every property after the run. Stored segments are downloaded when they are first used."""

    def __init__(self, detector: ChangeDetector) -> None:
        self._collector = detector
        self._changed = {key: each.chain for each in detector.changes.changes for key in each.chain.keys}

    def __getitem__(self, key: str) -> Chain:
        if key in self._changed:
            return self._changed[key]
        return self._collector.stored_chain(self._collector.stored.properties[key].chain_id)

    def __contains__(self, key: object) -> bool:
        return key in self._changed or key in self._collector.stored.properties

    def __iter__(self) -> Iterator[str]:
        return iter(self._changed.keys() | self._collector.stored.properties.keys())

    def __len__(self) -> int:
        return sum(1 for _ in self)

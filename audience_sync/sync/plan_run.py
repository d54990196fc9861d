"""Plan a run: load, diff and guard, then the changes pending at each destination. Nothing is written or sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.delivery.pending.inputs import DeliveryInputs, read_inputs, read_last_identifiers, read_lost_values
from audience_sync.delivery.state.cursors import DestinationState, read_destination_states
from audience_sync.delivery.state.subscription_history import SubscriptionVersion, first_subscriptions
from audience_sync.destinations.base import Audiencing, Destination
from audience_sync.destinations.boundary import contain_errors
from audience_sync.errors import FrozenError, RetiredError, StoreUnavailableError
from audience_sync.model import ALIAS_KEY, USER_ID, HoldKind, PropertyKind, RunId
from audience_sync.sources.boundary import ExcludedEntry, WorkspaceBrokenError, bound_sources, exclude_entries
from audience_sync.sql import NEVER, Condition
from audience_sync.store.audiences.user_traits import next_step
from audience_sync.store.connection.lease import MAX_ATTEMPTS
from audience_sync.store.runs.clock import RunClock, read_run_clock
from audience_sync.sync.deliver.subscriptions import guards_by_key, mappings_differ, needs_first_runs, states_after_run
from audience_sync.sync.detect.suppression_lists import read_suppressed
from audience_sync.sync.detect_changes import detect_changes
from audience_sync.sync.guard.messages import freeze_text, retired_message
from audience_sync.sync.load.resolve_audiences import ResolvedAudience, resolve_config
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.findings import Detection, RunFindings
from audience_sync.sync.values.request import ProgressListener, Resync, Retire, RunDependencies, RunRequest, Seed, Sync
from audience_sync.sync.values.run_context import RunContext
from audience_sync.sync.values.run_plan import RunPlan
from audience_sync.sync.values.stored_state import ChainsAfterRun, StoredState, StoreReader, read_stored_state
from audience_sync.tracing import span
from audience_sync.workspace import Workspace

Plan = TypeVar("Plan")


@contextmanager
def planned_run(
    dependencies: RunDependencies, request: RunRequest, progress: ProgressListener, now: datetime, run: RunId
) -> Iterator[tuple[Workspace, RunPlan]]:
    """Yield an open workspace and the run's plan. Planning only reads, so it starts again if the store fails."""

    def plan(dependencies: RunDependencies, workspace: Workspace) -> RunPlan:
        with span("load and compare"):
            for _ in range(MAX_ATTEMPTS - 1):
                with suppress(StoreUnavailableError):
                    return plan_run(dependencies, request, progress, workspace, now=now, run=run)
            return plan_run(dependencies, request, progress, workspace, now=now, run=run)

    with open_workspace(dependencies, plan) as found:
        yield found


@contextmanager
def open_workspace(
    dependencies: RunDependencies, make_plan: Callable[[RunDependencies, Workspace], Plan]
) -> Iterator[tuple[Workspace, Plan]]:
    """Yield an open workspace and the plan made in it; if an entry breaks the workspace, repeat both in a new one.

    That entry fails without being read in the next one, so the repeats end.
    """
    excluded: list[ExcludedEntry] = []
    limit, lean = dependencies.settings.memory_limit, _gets_changes_only(dependencies)
    while True:
        with Workspace(limit, dependencies.readable, lean=lean) as workspace:
            try:
                plan = make_plan(
                    replace(dependencies, sources=exclude_entries(dependencies.sources, excluded)), workspace
                )
            except WorkspaceBrokenError as error:
                excluded.append(error.entry)
                continue
            yield workspace, plan
            return


def _gets_changes_only(dependencies: RunDependencies) -> bool:
    """Whether all that is loaded was compared by its source, after the first run."""
    settings = dependencies.settings
    places = {each.source for each in (*settings.audiences, *settings.computed_traits)}
    sources = [settings.sources.get(each) for each in places]
    return bool(sources) and not dependencies.frames and all(each is not None and each.compares for each in sources)


def plan_run(
    dependencies: RunDependencies,
    request: RunRequest,
    progress: ProgressListener,
    workspace: Workspace,
    *,
    now: datetime,
    run: RunId | None = None,
) -> RunPlan:
    """Load, diff and guard everything in the request. ``run`` is None for a preview."""
    settings, leaving = dependencies.settings, request.retired_key
    before = _read_stored(dependencies, request, leaving, now=now, run=run)
    clock, stored, first = before.clock, before.state, before.first
    resolved = resolve_config(settings, stored.properties, leaving=leaving)
    warnings = (*clock.warnings(), *(f"{path}: {warning}" for path, warning in resolved.warnings))
    context = RunContext(
        workspace=workspace,
        reader=StoreReader(dependencies.store, workspace, stored, request.resends),
        sources=bound_sources(dependencies.sources),
        settings=resolved.settings,
        stored=stored,
        request=request,
        run=RunId(stored.last_run + 1) if run is None else run,
        recorded_run=run,
        counted_at=clock.counted_at,
        profile_fields=dependencies.profile_fields,
        frames=dependencies.frames,
        erased=_erased(workspace, stored),
        loading=progress.loading,
    )
    start = [Detection(findings=RunFindings(warnings=warnings))]
    if settings.aliases or ALIAS_KEY in stored.properties:
        from audience_sync.sync.detect.aliases import with_aliases

        context, aliased = with_aliases(context)
        start.append(aliased)
    detected = detect_changes(context, resolved.audiences, start)
    changes = detected.changes
    destinations = contain_errors(dependencies.destinations(_about(stored, changes, settings.secrets)))
    joining = {name for name, each in destinations.items() if each.has_alias}
    states, mappings = _guarded_states(
        context, changes, resolved.audiences, before.destinations, first=first, joining=joining
    )
    detected = detected if mappings is None else detected + mappings
    with dependencies.store.reading() as connection:
        suppressed, found = read_suppressed(context, connection)
        inputs = read_inputs(
            connection,
            workspace,
            states.values(),
            ChainsAfterRun(context.reader, changes),
            context.settings.destinations,
            aliases=context.aliases.sent,
        )
    detected += found
    if context.aliases.sent is not None:
        from audience_sync.sync.operations.merge_users import carry_over

        detected = replace(detected, changes=carry_over(context, detected.changes, inputs, joining))
    step, message = next_step(
        stored.chains.values(),
        [each.chain for each in detected.changes.chains],
        was_kept=stored.keeps_trait_values,
        option=context.settings.trait_values_table,
    )
    if message is not None:
        detected += Detection(findings=RunFindings(notices=(message,)))
    return RunPlan(
        run=context.run,
        request=request,
        clock=clock,
        installation=stored.installation,
        changes=detected.changes,
        findings=detected.findings,
        suppressed=suppressed,
        destinations=destinations,
        states=states,
        inputs=replace(
            _with_changes(context, inputs, detected, states, destinations.values()), suppressed=suppressed.table
        ),
        baselines={name: [key for key, each in terms.items() if each.is_baseline] for name, terms in first.items()},
        trait_values=step,
        kept_states=_kept_states(context, resolved.audiences, detected.changes) if stored.has_source_states else None,
        has_objects=stored.has_objects,
    )


class _StoredInputs(Struct, frozen=True, kw_only=True):
    """What the store has before the run. ``first``: see ``states_after_run``; empty if the run does not need it."""

    clock: RunClock
    state: StoredState
    destinations: Mapping[str, DestinationState]
    first: Mapping[str, Mapping[str, SubscriptionVersion]]


def _read_stored(
    dependencies: RunDependencies, request: RunRequest, leaving: str | None, *, now: datetime, run: RunId | None
) -> _StoredInputs:
    """Read what the store has, with moved keys, and refuse a request that does not fit it.

    ``leaving``: the key that the run retires.
    """
    settings = dependencies.settings
    with dependencies.store.reading() as connection:
        clock = read_run_clock(connection, now, before=run, accept=request.exceptions.accept_clock)
        stored = read_stored_state(connection, clock.accepted_now)
        before = read_destination_states(connection, settings.destinations)
        first = first_subscriptions(connection) if needs_first_runs(settings, request, before) else {}
    if request.moves:
        from audience_sync.sync.operations.move_key import check_moves, with_moved_keys

        seeding = frozenset(key for state in before.values() for key in state.seeds)
        stored = with_moved_keys(stored, request.moves, seeding)
    if leaving is not None:
        from audience_sync.sync.operations.retire import refuse_unretirable

        refuse_unretirable(leaving, stored)
    _refuse_retired(request, stored, dependencies.frames)
    _refuse_frozen(request, stored)
    if request.moves:
        check_moves(request.moves, settings.audiences)
    return _StoredInputs(clock=clock, state=stored, destinations=before, first=first)


def _with_changes(
    context: RunContext,
    inputs: DeliveryInputs,
    detected: Detection,
    states: Mapping[str, DestinationState],
    destinations: Iterable[Destination],
) -> DeliveryInputs:
    """The inputs of the delivery with the changes of this run, and with values that users have lost."""
    workspace, settings, logs = context.workspace, context.settings, detected.changes.logs
    if logs:
        changed = [f"select user_id, key, value, {context.run} as run_id from {table}" for table in logs]
        log = workspace.view("log", " union all ".join([f"from {inputs.log}", *changed]))
        inputs = replace(inputs, log=log)
    lost = last = None
    if any(each.form.user_id for state in states.values() for each in state.subscriptions.values()):
        with context.reader.reading() as connection:
            lost = read_lost_values(connection, workspace, states.values(), settings.destinations, inputs.log)
    identifiers = {key for each in destinations for key in (each.options.known_by, *(each.options.identifiers or ()))}
    if identifiers - {USER_ID}:
        with context.reader.reading() as connection:
            last = read_last_identifiers(connection, workspace, inputs, identifiers, logs=logs, run=context.run)
    users = sum(each.entered + each.left for each in detected.findings.audiences) + detected.findings.traits.changed
    return replace(inputs, last=last, lost=lost, changed_users=inputs.changed_users + users)


def _kept_states(
    context: RunContext, audiences: Sequence[ResolvedAudience], changes: ChangeSet
) -> Collection[str] | None:
    from audience_sync.sync.load.compared_elsewhere import states_to_keep

    return states_to_keep(context, audiences, changes)


def _guarded_states(
    context: RunContext,
    changes: ChangeSet,
    targets: Sequence[ResolvedAudience],
    before: Mapping[str, DestinationState],
    *,
    first: Mapping[str, Mapping[str, SubscriptionVersion]],
    joining: Collection[str],
) -> tuple[dict[str, DestinationState], Detection | None]:
    """The destination states after the run, and the changes of their mappings. A held one keeps its former mapping."""
    after = partial(states_after_run, context, changes, targets, before, first=first, joining=joining)
    states = after()
    is_held = any(kind is HoldKind.MAPPING for kind, _ in context.stored.last_holds)
    if not (is_held or mappings_differ(before, states)):
        return states, None
    from audience_sync.sync.deliver.mapping_changes import MappingGuard

    guards = guards_by_key(context, changes, targets)
    found = MappingGuard(context, ChainsAfterRun(context.reader, changes), guards).detect(before, states)
    held = {each.destination for each in found.findings.mappings if each.held}
    return after(held=held) if held else states, found


def _erased(workspace: Workspace, stored: StoredState) -> Condition:
    """An SQL condition on ``user_id`` for erased users, of whom only hashes are stored."""
    if not stored.erased_hashes:
        return NEVER
    table = workspace.load({"user_hash": "varchar"}, [[(each,) for each in stored.erased_hashes]])
    return Condition(f"sha256('{stored.installation}:' || user_id) in (select user_hash from {table})")


def _refuse_retired(request: RunRequest, stored: StoredState, frames: Collection[str]) -> None:
    """Raise RetiredError if the request names a retired key, or brings a frame for one."""
    selection = request.selection
    named = {*(selection.audiences or ()), *(selection.traits or ()), *request.exceptions.accepted, *frames}
    found = [key for key in sorted(named) if key in stored.properties and stored.properties[key].retired]
    if found:
        raise RetiredError(retired_message(*found))


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
    found = [f"audience '{key}' is {freeze_text(stored.frozen[key])}" for key in sorted(wanted & stored.frozen.keys())]
    if found:
        raise FrozenError(f"{'; '.join(found)}. Nothing was changed or sent.")


def _about(stored: StoredState, changes: ChangeSet, secrets: tuple[str, ...]) -> Audiencing:
    kinds = {key: each.kind for key, each in stored.properties.items()}
    kinds |= {each.key: each.kind for each in changes.created}
    kinds.pop(ALIAS_KEY, None)
    audiences = frozenset(key for key, kind in kinds.items() if kind is PropertyKind.AUDIENCE)
    return Audiencing(stored.installation, audiences, frozenset(kinds) - audiences, secrets)

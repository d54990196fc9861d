"""Plan a run: load, diff and guard, then the changes pending at each destination. Nothing is written or sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from audience_sync.delivery.state.cursors import DestinationState, read_destination_states
from audience_sync.delivery.state.sent_form import SentForm
from audience_sync.delivery.state.subscription_history import SubscriptionVersion, first_subscriptions
from audience_sync.destinations.base import Audiencing
from audience_sync.destinations.boundary import contain_errors
from audience_sync.errors import FrozenError, RetiredError, StoreUnavailableError
from audience_sync.model import ALIAS_KEY, NO_RUN, USER_ID, HoldKind, PropertyKind, RunId
from audience_sync.sources.boundary import ExcludedEntry, WorkspaceBrokenError, bound_sources, exclude_entries
from audience_sync.sql import NEVER, Condition
from audience_sync.store.audiences.user_traits import TableStep, count_values, next_step, step_message
from audience_sync.store.connection.lease import MAX_ATTEMPTS
from audience_sync.store.runs.clock import read_run_clock
from audience_sync.store.snapshots.chain import Chain
from audience_sync.sync.deliver.mapping_changes import MappingGuard
from audience_sync.sync.deliver.pending import read_last_identifiers, read_lost_values, read_pending
from audience_sync.sync.deliver.subscriptions import guards_by_key, needs_first_runs, states_after_run
from audience_sync.sync.detect.aliases import with_aliases
from audience_sync.sync.detect.suppression_lists import read_suppressed
from audience_sync.sync.detect_changes import detect_changes
from audience_sync.sync.guard.messages import freeze_text, retired_message
from audience_sync.sync.load.resolve_audiences import ResolvedAudience, resolve_config
from audience_sync.sync.operations.merge_users import carry_over
from audience_sync.sync.operations.move_key import check_moves, with_moved_keys
from audience_sync.sync.operations.retire import refuse_unretirable
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.findings import Detection, RunFindings
from audience_sync.sync.values.request import ProgressListener, Resync, Retire, RunDependencies, RunRequest, Seed, Sync
from audience_sync.sync.values.run_context import RunContext
from audience_sync.sync.values.run_plan import RunPlan
from audience_sync.sync.values.stored_state import StoredState, StoreReader, read_stored_state
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
    while True:
        with Workspace(dependencies.settings.memory_limit, dependencies.readable) as workspace:
            try:
                plan = make_plan(
                    replace(dependencies, sources=exclude_entries(dependencies.sources, excluded)), workspace
                )
            except WorkspaceBrokenError as error:
                excluded.append(error.entry)
                continue
            yield workspace, plan
            return


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
    settings = dependencies.settings
    with dependencies.store.reading() as connection:
        clock = read_run_clock(connection, now, before=run, accept=request.exceptions.accept_clock)
        stored = read_stored_state(connection, clock.accepted_now)
        before = read_destination_states(connection, settings.destinations)
        first = first_subscriptions(connection) if needs_first_runs(settings, request, before) else {}
    if request.moves:
        seeding = frozenset(key for state in before.values() for key in state.seeds)
        stored = with_moved_keys(stored, request.moves, seeding)
    _refuse_retired(request, stored)
    _refuse_frozen(request, stored)
    if request.moves:
        check_moves(request.moves, settings.audiences)
    resolved = resolve_config(settings, stored.properties, leaving=request.retired_key)
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
        erased=_erased(workspace, stored),
        loading=progress.loading,
    )
    context, aliased = with_aliases(context)
    start = [Detection(findings=RunFindings(warnings=warnings)), aliased]
    detected = detect_changes(context, resolved.audiences, start)
    changes = detected.changes
    destinations = contain_errors(dependencies.destinations(_about(stored, changes, settings.secrets)))
    joining = {name for name, each in destinations.items() if each.has_alias}
    states, mappings = _guarded_states(context, changes, resolved.audiences, before, first=first, joining=joining)
    detected = detected if mappings is None else detected + mappings
    with dependencies.store.reading() as connection:
        suppressed, found = read_suppressed(context, connection)
        inputs = read_pending(context, connection, states, ChainsAfterRun(context, changes))
    detected += found
    if context.aliases.sent is not None:
        detected = replace(detected, changes=carry_over(context, detected.changes, inputs, joining))
    if logs := detected.changes.logs:
        changed = " union all ".join(f"select user_id, key, value from {table}" for table in logs)
        workspace.run(f"insert into {inputs.log} select *, {context.run} as run_id from ({changed})")
    lost = None
    if any(each.form.user_id for state in states.values() for each in state.subscriptions.values()):
        with dependencies.store.reading() as connection:
            lost = read_lost_values(context, connection, states, inputs.log)
    step, message = _trait_values_step(context, detected.changes)
    if message is not None:
        detected += Detection(findings=RunFindings(notices=(message,)))
    identifiers = {
        key for each in destinations.values() for key in (each.options.known_by, *(each.options.identifiers or ()))
    }
    last = None
    if identifiers - {USER_ID}:
        with dependencies.store.reading() as connection:
            last = read_last_identifiers(context, connection, inputs, detected.changes.logs, identifiers)
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
            inputs,
            suppressed=suppressed.table,
            last=last,
            lost=lost,
            changed_users=inputs.changed_users + _changed_users(detected.findings),
        ),
        baselines={name: [key for key, each in terms.items() if each.is_baseline] for name, terms in first.items()},
        trait_values=step,
        kept_states=_kept_states(context, resolved.audiences, detected.changes) if stored.has_source_states else None,
    )


def _changed_users(findings: RunFindings) -> int:
    """At most so many users have changes in this run."""
    return sum(each.entered + each.left for each in findings.audiences) + findings.traits.changed


def _trait_values_step(context: RunContext, changes: ChangeSet) -> tuple[TableStep, str | None]:
    """What the run does with the table of trait values, and a message if its size decides that."""
    changed = [each.chain for each in changes.chains]
    ids = {chain.id for chain in changed}
    newest = {chain.id: chain for chain in changed if chain.id is not None}
    new = [chain for chain in changed if chain.id is None]
    unchanged = [chain for chain in context.stored.chains.values() if chain.id not in ids]
    values = count_values([*unchanged, *newest.values(), *new])
    was_kept, option = context.stored.keeps_trait_values, context.settings.trait_values_table
    step = next_step(was_kept, option, values)
    return step, step_message(step, was_kept, option, values)


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
    if not (is_held or _mappings_differ(before, states)):
        return states, None
    guards = guards_by_key(context, changes, targets)
    found = MappingGuard(context, ChainsAfterRun(context, changes), guards).detect(before, states)
    held = {each.destination for each in found.findings.mappings if each.held}
    return after(held=held) if held else states, found


def _mappings_differ(before: Mapping[str, DestinationState], after: Mapping[str, DestinationState]) -> bool:
    """Return whether a stored destination gets other properties after the run, or gets them in another form."""
    return any(_forms(state) != _forms(after[name]) for name, state in before.items() if state.id is not None)


def _forms(state: DestinationState) -> dict[str, SentForm]:
    """How each property is sent that the destination gets."""
    active = {key: each.form for key, each in state.subscriptions.items() if each.ended_run is None}
    skipping = {key: NO_RUN if form.skips_null else None for key, form in active.items()}
    return {
        key: replace(form, former=(), identifiers=(), skips_null_since=skipping[key]) for key, form in active.items()
    }


def _erased(workspace: Workspace, stored: StoredState) -> Condition:
    """An SQL condition on ``user_id`` for erased users, of whom only hashes are stored."""
    if not stored.erased_hashes:
        return NEVER
    table = workspace.load({"user_hash": "varchar"}, [[(each,) for each in stored.erased_hashes]])
    return Condition(f"sha256('{stored.installation}:' || user_id) in (select user_hash from {table})")


def _refuse_retired(request: RunRequest, stored: StoredState) -> None:
    """Raise RetiredError if the request names a retired key."""
    if request.retired_key is not None:
        refuse_unretirable(request.retired_key, stored)
    selection = request.selection
    named = {*(selection.audiences or ()), *(selection.traits or ()), *request.exceptions.accepted}
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


class ChainsAfterRun(Mapping[str, Chain]):
    """The chain of every property after the run. Stored files are downloaded when they are first used."""

    def __init__(self, context: RunContext, changes: ChangeSet) -> None:
        self._context = context
        self._changed = {key: each.chain for each in changes.chains for key in each.chain.keys}

    def __getitem__(self, key: str) -> Chain:
        if key in self._changed:
            return self._with_files(self._changed[key])
        return self._context.reader.chain(self._context.stored.properties[key].chain_id)

    def _with_files(self, chain: Chain) -> Chain:
        if chain.unfetched is None or chain.id is None:
            return chain
        stored = self._context.reader.chain(chain.id)
        return replace(chain, files=(*stored.files, *chain.files), unfetched=None)

    def __contains__(self, key: object) -> bool:
        return key in self._changed or key in self._context.stored.properties

    def __iter__(self) -> Iterator[str]:
        return iter(self._changed.keys() | self._context.stored.properties.keys())

    def __len__(self) -> int:
        return sum(1 for _ in self)

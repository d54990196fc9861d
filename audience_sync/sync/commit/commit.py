"""Commit the changes of a run in one transaction: snapshot files, change log, members, holds and destination states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace
from sqlalchemy import Connection, Table, update

from audience_sync.config.models import Settings
from audience_sync.delivery.state.cursors import (
    DestinationState,
    read_destination_states,
    save_cursor,
    save_destination_state,
)
from audience_sync.delivery.state.subscription_history import SubscriptionVersion, record_versions
from audience_sync.model import PropertyId, RunId
from audience_sync.sql import TableName
from audience_sync.store.audiences import holds, members, user_traits
from audience_sync.store.audiences.properties import (
    create_property,
    mark_holdout_changed,
    move_property,
    property_ids,
    read_chains,
    read_properties,
    rename_property,
    retire_properties,
    set_claims,
    set_guards,
    set_holdouts,
    set_loaded_from,
    set_min_stays,
    set_source_state,
)
from audience_sync.store.audiences.suppressions import CONFIG, suppress, unsuppress, withhold_refused_of_ended
from audience_sync.store.audiences.user_traits import TableStep
from audience_sync.store.connection.bulk import delete_rows, insert_rows
from audience_sync.store.connection.lease import Lease
from audience_sync.store.runs.deliveries import CursorCalls, plan_deliveries, plan_pending
from audience_sync.store.runs.stages import save_stages
from audience_sync.store.snapshots.chain import BASE
from audience_sync.store.snapshots.files import save_files
from audience_sync.store.tables import (
    absences,
    changes,
    claimed_users,
    held_out_users,
    open_refusals,
    refused_values,
    runs,
    withheld_values,
)
from audience_sync.sync.commit.decisions import record_decisions
from audience_sync.sync.commit.run_record import is_committed, record_findings
from audience_sync.sync.values.change_set import Absences, ChainChange, ChangeSet, Claimed, HeldOut, SuppressionUpdate
from audience_sync.sync.values.request import GuardExceptions, RunRequest, Sync
from audience_sync.sync.values.run_plan import RunPlan
from audience_sync.tracing import stage
from audience_sync.workspace import Workspace

if TYPE_CHECKING:
    from audience_sync.store.maintenance.state import PlacedState


def commit_run(
    lease: Lease, workspace: Workspace, settings: Settings, plan: RunPlan, planned: Sequence[CursorCalls]
) -> Mapping[str, DestinationState]:
    """Write the plan, and the number of calls to deliver from each cursor, in one transaction.

    Files that belong into a bucket are put there before it. Returns the stored destination states.
    """
    placed = None
    if settings.state is not None or plan.has_objects:
        with stage("commit"):
            plan, placed = _place_files(lease, workspace, settings, plan)

    def write(connection: Connection) -> Mapping[str, DestinationState]:
        states = commit(connection, workspace, settings, plan)
        if placed is not None:
            from audience_sync.store.maintenance.state import save_places

            save_places(connection, placed)
        _plan_calls(connection, plan.run, states, planned)
        save_stages(connection, plan.run)
        return states

    def done(connection: Connection) -> Mapping[str, DestinationState] | None:
        if not is_committed(connection, plan.run):
            return None
        return read_destination_states(connection, settings.destinations)

    with stage("commit"):
        states = lease.transact(write, done)
        if placed is not None:
            from audience_sync.store.maintenance.state import delete_unused

            delete_unused(lease, placed)
        return states


def _place_files(lease: Lease, workspace: Workspace, settings: Settings, plan: RunPlan) -> tuple[RunPlan, PlacedState]:
    """Bring all files to the place that `state` names. Returns the plan with the objects of the new ones."""
    from audience_sync.store.maintenance.state import place_files

    chains = plan.changes.chains
    folded = [each for each in chains if any(file.kind == BASE for file in each.files)]
    with lease.reading() as connection:
        fills = settings.members_table and not members.has_table(connection)
    placed, urls = place_files(
        lease,
        workspace,
        settings.state,
        plan.run,
        new=[file for change in chains for file in change.files],
        replaced={each.chain.id for each in folded if each.chain.id is not None},
        fetches_all=fills or plan.trait_values is TableStep.FILL,
    )
    placed_chains = tuple(
        replace(change, files=tuple(replace(file, object_url=urls.get(file.path)) for file in change.files))
        for change in chains
    )
    return replace(plan, changes=replace(plan.changes, chains=placed_chains)), placed


def _plan_calls(
    connection: Connection, run: RunId, states: Mapping[str, DestinationState], planned: Sequence[CursorCalls]
) -> None:
    calls, pending = dict[int, int](), dict[int, CursorCalls]()
    for each in planned:
        state = states[each.destination]
        cursor = state.seeds[each.seeding] if each.seeding else state.cursor
        assert state.id is not None
        assert cursor.id is not None
        calls[state.id] = calls.get(state.id, 0) + each.calls
        if each.calls or each.waiting or cursor.pending_since:
            pending[cursor.id] = each
    plan_deliveries(connection, run, calls)
    plan_pending(connection, run, pending)


def commit(
    connection: Connection, workspace: Workspace, settings: Settings, plan: RunPlan
) -> dict[str, DestinationState]:
    """Write the changes, findings and destination states of a plan; return the states with their ids."""
    changes, run = plan.changes, plan.run
    saved_chains = _save_chains(connection, changes, run)
    changed = changes.properties.items()
    for key, each in changed:
        if each.renamed:
            rename_property(connection, key, *each.renamed)
    retire_properties(connection, changes.retired, datetime.now(UTC))
    set_source_state(connection, {key: each.source[:3] for key, each in changed if each.source})
    compared = {key: each.source.compared for key, each in changed if each.source and each.source.compared}
    if compared or plan.kept_states is not None:
        from audience_sync.sync.commit.source_states import save_source_states

        save_source_states(connection, plan.kept_states, compared)
    set_loaded_from(connection, {key: each.loaded_from for key, each in changed if each.loaded_from}, run)
    set_min_stays(connection, {key: each.min_stay[0] for key, each in changed if each.min_stay})
    set_guards(connection, {key: each.guard for key, each in changed if each.guard})
    set_holdouts(connection, {key: each.holdout for key, each in changed if each.holdout})
    ids, out = property_ids(connection), {key: each.held_out for key, each in changed if each.held_out}
    missing = {key: each.absences for key, each in changed if each.absences}
    _write_holds(connection, changes, run)
    _log_changes(connection, workspace, changes, ids, run)
    _update_members_table(connection, workspace, settings, changes, ids=ids, run=run)
    _update_trait_values(connection, workspace, plan.trait_values, saved_chains)
    _update_users(connection, workspace, absences, missing, ids=ids, run=run)
    _update_users(connection, workspace, held_out_users, out, ids=ids, run=run)
    claimed = {key: each.claimed for key, each in changed if each.claimed}
    _update_users(connection, workspace, claimed_users, claimed, ids=ids, run=run)
    set_claims(connection, {key: each.version for key, each in claimed.items()})
    mark_holdout_changed(connection, out, run)
    record_findings(connection, plan)
    connection.execute(update(runs).where(runs.c.id == run).values(committed_at=datetime.now(UTC)))
    saved = {name: _save_state(connection, settings, state, ids, run) for name, state in plan.states.items()}
    if changes.merged_users is not None:
        joining = [state.id for name, state in saved.items() if name in changes.merged_users.destinations]
        _forget_unsent(connection, workspace, changes.merged_users.users, joining)
    _update_suppressions(connection, workspace, plan.suppressed)
    if _is_decision(plan.request):
        record_decisions(connection, plan, settings.secrets)
    return saved


def _is_decision(request: RunRequest) -> bool:
    """Whether a person asks for something that is recorded with its reason."""
    is_plain = isinstance(request, Sync) and request.exceptions == GuardExceptions()
    return bool(not is_plain or request.reason or request.moves)


def _save_chains(connection: Connection, changes: ChangeSet, run: RunId) -> list[ChainChange]:
    """Write the new files of all chains, then the properties that are created or moved.

    Returns the changes with the ids of their chains.
    """
    saved = [(each, save_files(connection, each.chain, each.files, run)) for each in changes.chains]
    for change, chain_id in saved:
        for new in change.creates:
            row = {"kind": new.kind.value, "key": new.key, "name": new.name, "origin": new.origin}
            stored = {"definition": new.definition, "chain_id": chain_id, "created_run_id": run}
            create_property(connection, {**row, **stored})
    for change, chain_id in saved:
        if change.moved_to:
            move_property(connection, change.chain.keys[0], change.moved_to, chain_id, run)
    return [replace(change, chain=replace(change.chain, id=chain_id)) for change, chain_id in saved]


def _update_suppressions(connection: Connection, workspace: Workspace, update: SuppressionUpdate) -> None:
    """Write the changes of the config's lists."""
    if update.error:
        return
    for rows in workspace.stream(f"select user_id from {update.removed}"):
        unsuppress(connection, [user for (user,) in rows], CONFIG, update.at)
    for rows in workspace.stream(f"select user_id from {update.added}"):
        suppress(connection, [user for (user,) in rows], CONFIG, update.at)


def _forget_unsent(connection: Connection, workspace: Workspace, users: str, ids: Sequence[int | None]) -> None:
    """Delete refused and withheld calls of merged users (a query) at the destinations with these ids."""
    for table in (open_refusals, refused_values, withheld_values):
        for batch in workspace.stream(users):
            rows = [(destination, user) for (user,) in batch for destination in ids]
            delete_rows(connection, table, ("destination_id", "user_id"), [rows])


def _write_holds(connection: Connection, changes: ChangeSet, run: RunId) -> None:
    now = datetime.now(UTC)
    holds.end_holds(connection, changes.ended_holds, run, now)
    holds.touch_holds(connection, changes.repeated_holds, run)
    holds.add_holds(connection, changes.new_holds, run, now)


def _save_state(
    connection: Connection, settings: Settings, state: DestinationState, ids: Mapping[str, PropertyId], run: RunId
) -> DestinationState:
    values = {"type": settings.destinations[state.name].type, "created_at": datetime.now(UTC)}
    saved = save_destination_state(connection, state, ids, values)
    assert saved.id is not None
    ended = [ids[key] for key, each in saved.subscriptions.items() if each.ended_run == run]
    if ended:
        withhold_refused_of_ended(connection, saved.id, ended)
    terms = [SubscriptionVersion(run, each, seeding=key in saved.seeds) for key, each in saved.subscriptions.items()]
    record_versions(connection, saved.id, terms, ids)
    seeds = {
        key: cursor if cursor.id is not None else save_cursor(connection, saved.id, cursor, ids[key])
        for key, cursor in saved.seeds.items()
    }
    return DestinationState(
        name=saved.name, id=saved.id, cursor=saved.cursor, seeds=seeds, subscriptions=saved.subscriptions
    )


def _log_changes(
    connection: Connection, workspace: Workspace, found: ChangeSet, ids: Mapping[str, PropertyId], run: RunId
) -> None:
    if not found.logs:
        return
    log = " union all ".join(f"select user_id, key, value, before from {table}" for table in found.logs)
    batches = workspace.stream(f"from ({log}) order by user_id, key")
    rows = ([(run, user, ids[key], value, before) for user, key, value, before in batch] for batch in batches)
    insert_rows(connection, changes, ("run_id", "user_id", "property_id", "value", "previous_value"), rows)


def _update_members_table(
    connection: Connection,
    workspace: Workspace,
    settings: Settings,
    changes: ChangeSet,
    *,
    ids: Mapping[str, PropertyId],
    run: RunId,
) -> None:
    """Update the `members` table, or clear it if the config no longer has `members_table`."""
    had_table = members.has_table(connection)
    if not settings.members_table:
        if had_table:
            members.empty_table(connection)
        return
    if not had_table:
        members.fill_table(connection, workspace)
        return
    moved = list[tuple[PropertyId, TableName]]()
    for change in changes.chains:
        if not change.members:
            continue
        audience = ids[change.chain.keys[0]]
        if change.creates:
            [file] = change.files
            members.insert_members(connection, workspace, audience, file, run)
        else:
            moved.append((audience, change.members))
    members.move_members(connection, workspace, moved, run)


def _update_trait_values(
    connection: Connection, workspace: Workspace, step: TableStep, changes: Sequence[ChainChange]
) -> None:
    """Update the table of trait values."""
    match step:
        case TableStep.EMPTY:
            user_traits.empty_table(connection)
        case TableStep.FILL:
            chains = read_chains(connection, read_properties(connection).values())
            user_traits.fill_table(connection, workspace, chains.values())
        case TableStep.FOLLOW:
            for change in changes:
                if not (change.files and user_traits.has_values(change.chain)):
                    continue
                [file] = change.files
                if change.creates:
                    user_traits.insert_values(connection, workspace, change.chain, file)
                elif change.rebuilt:
                    user_traits.replace_values(connection, workspace, change.chain, file)
                else:
                    user_traits.move_values(connection, workspace, change.chain, file, change.log)


def _update_users(
    connection: Connection,
    workspace: Workspace,
    table: Table,
    moves: Mapping[str, Absences | HeldOut | Claimed],
    *,
    ids: Mapping[str, PropertyId],
    run: RunId,
) -> None:
    """Update a table of absent, held-out or claimed users."""
    for key, each in moves.items():
        over = ([(ids[key], user) for (user,) in batch] for batch in workspace.stream(each.over))
        delete_rows(connection, table, ("property_id", "user_id"), over)
        begun = ([(ids[key], user, run) for (user,) in batch] for batch in workspace.stream(each.begun))
        insert_rows(connection, table, ("property_id", "user_id", "run_id"), begun)

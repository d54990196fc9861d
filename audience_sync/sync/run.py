"""Carry out one run: load, diff, guard, commit, deliver, record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from audience_sync.delivery.state.cursors import DestinationState, read_destination_states
from audience_sync.errors import (
    ConfigError,
    FrozenError,
    HistoryPrunedError,
    LeaseLostError,
    RetiredError,
    StoreUnavailableError,
    UnknownNameError,
)
from audience_sync.model import RunId
from audience_sync.store.connection.lease import MAX_ATTEMPTS, Lease, acquire
from audience_sync.store.integrity.quick_check import refuse_damaged
from audience_sync.sync.commit.commit import commit
from audience_sync.sync.commit.retention import apply_retention
from audience_sync.sync.commit.run_record import (
    forget_run,
    is_committed,
    plan_deliveries,
    record_failure,
    record_result,
    start_run,
)
from audience_sync.sync.deliver.dispatch import deliver_all, delivery_context
from audience_sync.sync.deliver.pending import PendingDelivery
from audience_sync.sync.deliver.run_plan import RunPlan
from audience_sync.sync.detect.workspaces import open_workspace
from audience_sync.sync.plan_run import plan_run
from audience_sync.sync.values.report import DestinationReport, Report, build_report
from audience_sync.sync.values.request import ProgressListener, RunDependencies, RunRequest
from audience_sync.tracing import set_span_attributes, span
from audience_sync.workspace import Workspace

#: The command can't be carried out as it was given, so its run is deleted again.
WRONG_USES = (ConfigError, HistoryPrunedError, FrozenError, RetiredError, UnknownNameError)

PlanReview = Callable[[Workspace, RunPlan], None]


def sync(
    dependencies: RunDependencies, request: RunRequest, progress: ProgressListener, *, review: PlanReview | None = None
) -> Report:
    """Carry out one run and return its report, which has the errors of single entries and destinations.

    ``review`` gets the plan before anything is written, and raises to refuse it. Raises RunInProgressError,
    SlotsTakenError, StoreError and the errors of WRONG_USES.
    """
    started, now = time.monotonic(), datetime.now(UTC)
    refuse_damaged(dependencies.store)
    with acquire(dependencies.store) as lease:
        run = start_run(lease, request, now)
        load_diff_and_guard = partial(_plan, request, progress, run, now)
        try:
            with (
                span("run", run=run, command=request.command),
                open_workspace(dependencies, load_diff_and_guard) as (workspace, plan),
            ):
                if review is not None:
                    review(workspace, plan)
                pending = plan.pending(workspace, request, plan.states)
                states = _commit(dependencies, workspace, lease, plan, pending)
                pending = [each.with_state(states[each.state.name]) for each in pending]
                destinations = _deliver(dependencies, request, progress, workspace, lease, plan, pending)
                report = build_report(run, plan.changes, destinations, time.monotonic() - started)
                record_result(lease, report, states)
                set_span_attributes(status=report.status.value)
        except LeaseLostError:  # the run that replaced this one has recorded its end
            raise
        except WRONG_USES as error:
            if request.slots:  # the scheduled time has had its run, so that it isn't repeated at once
                record_failure(lease, run, time.monotonic() - started, error, dependencies.settings.secrets)
            else:
                forget_run(lease, run)
            raise
        except BaseException as error:
            record_failure(lease, run, time.monotonic() - started, error, dependencies.settings.secrets)
            raise
        if plan.clock.counted_at is not None:
            elapsed = timedelta(seconds=time.monotonic() - started)
            apply_retention(lease, dependencies.settings, plan.clock.counted_at + elapsed)
        return report


def _plan(
    request: RunRequest,
    progress: ProgressListener,
    run: RunId,
    now: datetime,
    dependencies: RunDependencies,
    workspace: Workspace,
) -> RunPlan:
    """Load, diff and guard. This only reads, so it is repeated from the start if the store was unavailable."""
    with span("load and compare"):
        for _ in range(MAX_ATTEMPTS - 1):
            with suppress(StoreUnavailableError):
                return plan_run(dependencies, request, progress, workspace, now, run)
        return plan_run(dependencies, request, progress, workspace, now, run)


def _commit(
    dependencies: RunDependencies,
    workspace: Workspace,
    lease: Lease,
    plan: RunPlan,
    pending: Sequence[PendingDelivery],
) -> Mapping[str, DestinationState]:
    """Write all changes, and the number of calls to deliver, in one transaction; return the stored states."""
    run, calls = RunId(plan.run), Counter[str]()
    for each in pending:
        calls[each.state.name] += each.calls

    def write(connection: Connection) -> Mapping[str, DestinationState]:
        states = commit(connection, workspace, dependencies.settings, plan.changes, plan.states, run)
        plan.suppressed.commit(connection, workspace)
        plan_deliveries(connection, run, {states[name].id or 0: count for name, count in calls.items()})
        return states

    def done(connection: Connection) -> Mapping[str, DestinationState] | None:
        return (
            read_destination_states(connection, dependencies.settings.destinations)
            if is_committed(connection, run)
            else None
        )

    with span("commit"):
        return lease.transact(write, done)


def _deliver(
    dependencies: RunDependencies,
    request: RunRequest,
    progress: ProgressListener,
    workspace: Workspace,
    lease: Lease,
    plan: RunPlan,
    pending: Sequence[PendingDelivery],
) -> list[DestinationReport]:
    context = delivery_context(dependencies, progress, workspace, lease, plan, pending)
    return deliver_all(workspace, context, request, plan, pending)

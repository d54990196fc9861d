"""One run, in reading order: load, diff, guard, commit, deliver, record."""

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
    AudienceSyncError,
    ConfigError,
    FrozenError,
    HistoryPrunedError,
    LeaseLostError,
    RetiredError,
    StoreUnavailableError,
    UnknownNameError,
    summarize_error,
)
from audience_sync.model import RunId, RunStatus
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.store.connection.lease import MAX_ATTEMPTS, Lease, acquire
from audience_sync.store.integrity.quick_check import refuse_damaged
from audience_sync.store.runs import schedule_slots as slots
from audience_sync.sync.commit.commit import commit
from audience_sync.sync.commit.retention import apply_retention
from audience_sync.sync.commit.run_record import (
    begin_run,
    end_run,
    forget_run,
    has_ended,
    is_committed,
    new_nonce,
    plan_deliveries,
    record_interrupted,
    run_begun,
)
from audience_sync.sync.deliver.dispatch import deliver_all, delivery_context
from audience_sync.sync.deliver.pending import PendingDelivery
from audience_sync.sync.deliver.run_plan import RunPlan
from audience_sync.sync.detect.workspaces import open_workspace
from audience_sync.sync.plan_run import plan_run
from audience_sync.sync.values.report import Report, build_report
from audience_sync.sync.values.request import ProgressListener, RunDependencies, RunRequest
from audience_sync.tracing import set_span_attributes, span
from audience_sync.workspace import Workspace

#: The command was given what it can't be about: that is no run.
WRONG_USES = (ConfigError, HistoryPrunedError, FrozenError, RetiredError, UnknownNameError)

PlanReview = Callable[[Workspace, RunPlan], None]


def sync(
    dependencies: RunDependencies, request: RunRequest, progress: ProgressListener, *, review: PlanReview | None = None
) -> Report:
    """Carry out one run. ``review`` sees what it found before anything of it is written, and may refuse it (raise).

    Raises RunInProgressError, SlotsTakenError, StoreError and ConfigError; whatever else goes wrong is in the report.
    """
    started, now = time.monotonic(), datetime.now(UTC)
    refuse_damaged(dependencies.store)
    with acquire(dependencies.store) as lease:
        run = _begin(lease, request, now)
        try:
            with (
                span("run", run=run, command=request.command),
                open_workspace(dependencies, partial(_plan, request, progress, run, now)) as (workspace, plan),
            ):
                if review is not None:
                    review(workspace, plan)
                report = _commit_and_deliver(dependencies, request, progress, workspace, lease, plan, started)
                set_span_attributes(status=report.status.value)
        except LeaseLostError:
            raise
        except WRONG_USES as error:
            if request.slots:  # nobody typed it: the schedule's time has had its run
                _record_failure(dependencies, lease, run, started, error)
            else:
                lease.transact(partial(_forget, run=run))
            raise
        except BaseException as error:
            _record_failure(dependencies, lease, run, started, error)
            raise
        if plan.clock.counted_at is not None:
            took = timedelta(seconds=time.monotonic() - started)
            apply_retention(lease, dependencies.settings, plan.clock.counted_at + took)
        return report


def _begin(lease: Lease, request: RunRequest, now: datetime) -> RunId:
    nonce = new_nonce()

    def write(connection: Connection) -> RunId:
        free = slots.free_slots(connection, request.slots)
        run = begin_run(connection, request.command, now, nonce=nonce, accept_clock=request.exceptions.accept_clock)
        slots.claim_slots(connection, free, run)
        return run

    return lease.transact(write, partial(run_begun, nonce=nonce))


def _plan(
    request: RunRequest,
    progress: ProgressListener,
    run: int,
    now: datetime,
    dependencies: RunDependencies,
    workspace: Workspace,
) -> RunPlan:
    """It only reads: where the database went away in the middle, it is done again, from the start."""
    with span("load and compare"):
        for _ in range(MAX_ATTEMPTS - 1):
            with suppress(StoreUnavailableError):
                return plan_run(dependencies, request, progress, workspace, now, run)
        return plan_run(dependencies, request, progress, workspace, now, run)


def _words(error: BaseException, mask: Callable[[str], str]) -> str:
    if isinstance(error, AudienceSyncError):
        return mask(str(error))
    if isinstance(error, KeyboardInterrupt):
        return "The run was interrupted. Every answer received so far is recorded. The next run sends the rest."
    return summarize_error(error, mask)


def _commit_and_deliver(
    dependencies: RunDependencies,
    request: RunRequest,
    progress: ProgressListener,
    workspace: Workspace,
    lease: Lease,
    plan: RunPlan,
    started: float,
) -> Report:
    run = RunId(plan.run)
    planned = plan.pending(workspace, request, plan.states)
    states = _commit(dependencies, workspace, lease, plan, planned, run)
    pending = [each.with_state(states[each.state.name]) for each in planned]
    context = delivery_context(dependencies, progress, workspace, lease, plan, pending)
    reports = deliver_all(workspace, context, request, plan, pending)
    report = build_report(run, plan.changes, reports, time.monotonic() - started)
    lease.transact(partial(_end, report=report, states=states), partial(has_ended, run=run))
    return report


def _commit(
    dependencies: RunDependencies,
    workspace: Workspace,
    lease: Lease,
    plan: RunPlan,
    planned: Sequence[PendingDelivery],
    run: RunId,
) -> Mapping[str, DestinationState]:
    """Make what was found durable, whole or not at all, and with it how many calls are to be delivered. Returns the
    ledgers with their ids."""
    calls = Counter[str]()
    for each in planned:
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


def _end(connection: Connection, *, report: Report, states: Mapping[str, DestinationState]) -> bool:
    end_run(connection, report, {name: state.id or 0 for name, state in states.items()})
    slots.end_slots(connection, report.run)
    return True


def _forget(connection: Connection, *, run: int) -> bool:
    forget_run(connection, run)
    return True


def _record_failure(
    dependencies: RunDependencies, lease: Lease, run: int, started: float, error: BaseException
) -> None:
    words = _words(error, partial(mask_secrets, secrets=dependencies.settings.secrets))
    interrupted = isinstance(error, KeyboardInterrupt)
    status = RunStatus.INTERRUPTED if interrupted else RunStatus.FAILED
    seconds = time.monotonic() - started

    def write(connection: Connection) -> bool:
        if not has_ended(connection, run):
            record_interrupted(connection, run, status, seconds, words)
            if not interrupted:  # what was interrupted is still due
                slots.end_slots(connection, run)
        return True

    lease.transact(write)

"""Carry out one run: load, diff, guard, commit, deliver, record."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from audience_sync.store.connection.lease import acquire
from audience_sync.store.integrity.quick_check import refuse_damaged
from audience_sync.store.maintenance.retention import apply_retention
from audience_sync.store.runs.stages import recording_stages
from audience_sync.sync.commit.commit import commit_run
from audience_sync.sync.commit.run_record import record_result, recording_failure, start_run
from audience_sync.sync.deliver.dispatch import deliver_all
from audience_sync.sync.deliver.pending import pending_deliveries, planned_calls
from audience_sync.sync.load.wait_for_dbt import wait_for_dbt
from audience_sync.sync.plan_run import planned_run
from audience_sync.sync.values.report import Report, build_report
from audience_sync.sync.values.request import ProgressListener, RunDependencies, RunRequest
from audience_sync.sync.values.run_plan import RunPlan
from audience_sync.tracing import set_span_attributes, span
from audience_sync.workspace import Workspace

PlanReview = Callable[[Workspace, RunPlan], None]


def sync(
    dependencies: RunDependencies, request: RunRequest, progress: ProgressListener, *, review: PlanReview | None = None
) -> Report:
    """Carry out one run and return its report, which has the errors of single entries and destinations.

    ``review`` gets the plan before anything is written, and raises to refuse it. Raises RunInProgressError,
    SlotsClaimedError, StoreError and the errors of WRONG_USES.
    """
    if request.reads_sources and any(each.dbt for each in dependencies.settings.sources.values()):
        wait_for_dbt(dependencies, request)
    started, now, settings = time.monotonic(), datetime.now(UTC), dependencies.settings
    refuse_damaged(dependencies.store)
    with acquire(dependencies.store) as lease:
        run = start_run(lease, request, now, [each.label for each in settings.on_run])
        with (
            recording_stages(lease, run),
            recording_failure(lease, run, request, settings.secrets, started),
            span("run", run=run, command=request.command),
            planned_run(dependencies, request, progress, now, run) as (workspace, plan),  # load, diff and guard
        ):
            if review is not None:
                review(workspace, plan)
            pending = pending_deliveries(workspace, plan)
            states = commit_run(lease, workspace, settings, plan, planned_calls(workspace, plan, pending))
            pending = [each.committed(states) for each in pending]
            deliveries = deliver_all(dependencies, progress, workspace, lease, plan=plan, pending=pending)
            report = build_report(run, plan.findings, deliveries, time.monotonic() - started)
            record_result(lease, report, states)
            set_span_attributes(status=report.status.value)
        if plan.clock.counted_at is not None:
            elapsed = timedelta(seconds=time.monotonic() - started)
            apply_retention(lease, settings, plan.clock.counted_at + elapsed)
        return report

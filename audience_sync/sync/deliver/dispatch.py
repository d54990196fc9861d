"""Deliver pending calls to all destinations in parallel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from audience_sync.cancellation import wait_or_cancel
from audience_sync.delivery.deliver import DeliveryContext, DeliveryJob, DeliveryStats, deliver
from audience_sync.delivery.send.acknowledge import count_refused
from audience_sync.delivery.send.withheld import RecentSuppressions
from audience_sync.destinations.http.statuses import truncate
from audience_sync.model import UserId
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.store.audiences.properties import property_ids
from audience_sync.store.audiences.suppressions import suppressed_since
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import Lease
from audience_sync.store.runs.runs import times_and_nonces
from audience_sync.sync.deliver.pending import PendingDelivery
from audience_sync.sync.values.report import DestinationReport, destination_report
from audience_sync.sync.values.request import ProgressListener, RunDependencies
from audience_sync.sync.values.run_plan import RunPlan
from audience_sync.tracing import DELIVER, TraceContext, current_context, set_span_attributes, stage
from audience_sync.workspace import Workspace


def deliver_all(
    dependencies: RunDependencies,
    progress: ProgressListener,
    workspace: Workspace,
    lease: Lease,
    *,
    plan: RunPlan,
    pending: Sequence[PendingDelivery],
) -> list[DestinationReport]:
    """Deliver to all destinations in parallel, and over the cursors of each one after another."""
    by_name: dict[str, list[PendingDelivery]] = {}
    for each in pending:
        by_name.setdefault(each.state.name, []).append(each)
    if not by_name:
        return []
    context = _delivery_context(dependencies, progress, workspace, lease, plan=plan, pending=pending)
    with ThreadPoolExecutor(len(by_name), thread_name_prefix="destination") as pool:
        futures = {
            name: pool.submit(_deliver_one, workspace, context, plan, parts, current_context())
            for name, parts in by_name.items()
        }
        _wait(context, list(futures.values()))

    def count(connection: Connection) -> dict[str, int]:
        return {
            each.state.name: count_refused(connection, each.state.id) for each in pending if each.state.id is not None
        }

    refused = context.lease.transact(count)
    return [
        destination_report(plan.destinations[name].address, future.result(), refused[name])
        for name, future in futures.items()
    ]


def _delivery_context(
    dependencies: RunDependencies,
    progress: ProgressListener,
    workspace: Workspace,
    lease: Lease,
    *,
    plan: RunPlan,
    pending: Sequence[PendingDelivery],
) -> DeliveryContext:
    """The values that all deliveries of the run share."""
    runs = sorted({run for each in pending for run in each.sent_runs(workspace, plan.destinations[each.state.name])})
    times, nonces = dependencies.store.read_with_retry(partial(times_and_nonces, wanted=runs))
    ids = dependencies.store.read_with_retry(property_ids)
    recent = RecentSuppressions(partial(_recently_suppressed, dependencies.store, datetime.now(UTC)))
    return DeliveryContext(
        lease=lease,
        run=plan.run,
        installation=plan.installation,
        times=times,
        property_ids=ids,
        progress=progress.delivering,
        nonces=nonces,
        recently_suppressed=recent,
        mask=lambda text: truncate(mask_secrets(text, dependencies.settings.secrets)),
        # Several destinations share the memory.
        readers=max(workspace.threads // len({each.state.name for each in pending}), 1),
    )


def _recently_suppressed(store: Store, since: datetime) -> set[UserId]:
    return store.read_with_retry(partial(suppressed_since, since=since))


def _wait(context: DeliveryContext, futures: Sequence[Future[list[DeliveryStats]]]) -> None:
    try:
        wait_or_cancel(futures)
    except BaseException:  # the run is interrupted: requests in flight are still answered
        context.interrupt()
        wait(futures)
        raise


def _deliver_one(
    workspace: Workspace,
    context: DeliveryContext,
    plan: RunPlan,
    parts: Sequence[PendingDelivery],
    within: TraceContext,
) -> list[DeliveryStats]:
    if plan.suppressed.error:
        return [DeliveryStats(name=each.state.name, calls=each.calls, error=plan.suppressed.error) for each in parts]
    name = parts[0].state.name
    with stage(DELIVER, name, parent=within, run=plan.run, destination=name):
        stats = [deliver(workspace, context, _delivery(each, plan)) for each in parts]
        set_span_attributes(calls=sum(each.calls for each in stats), delivered=sum(each.delivered for each in stats))
        return stats


def _delivery(pending: PendingDelivery, plan: RunPlan) -> DeliveryJob:
    state = pending.state
    assert state.id is not None
    return DeliveryJob(
        name=state.name,
        destination_id=state.id,
        destination=plan.destinations[state.name],
        pending=pending,
        max_calls=_max_calls(pending, plan),
        rate=plan.request.limits.users_per_second,
        event_start_runs=pending.event_start_runs(plan.destinations[state.name]),
        subscriptions=tuple(state.subscriptions.values()),
    )


def _max_calls(pending: PendingDelivery, plan: RunPlan) -> int | None:
    """The limit of calls. With a share, it is the number that is missing to that share of the members."""
    limits = plan.request.limits
    if limits.share is None or pending.cursor.seeding is None:
        return limits.calls
    members = next(each.after for each in plan.findings.audiences if each.key == pending.cursor.seeding)
    everyone = members - pending.withheld_users
    sent = everyone - pending.calls
    return max(0, math.ceil(round(limits.share * everyone, 6)) - sent)

"""Deliver pending calls to one destination in batches, and advance its cursor with each answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial

from msgspec import Struct, field
from sqlalchemy import Connection

from audience_sync.delivery.fields import require_fields
from audience_sync.delivery.mapping import mapping_of
from audience_sync.delivery.pending.calls import PendingCalls
from audience_sync.delivery.send.acknowledge import AnswerRecorder, acknowledge
from audience_sync.delivery.send.batch_sender import BatchSender
from audience_sync.delivery.send.batches import Batch, BatchResult, batches, limit_calls
from audience_sync.delivery.send.body_limit import BodyLimit
from audience_sync.delivery.send.calls import CallReader
from audience_sync.delivery.send.rate_limiter import AdaptiveRateLimiter, UserRate, max_batch_users
from audience_sync.delivery.send.request_sender import RequestSender
from audience_sync.delivery.send.sender_pool import INTERRUPTED, SenderPool, StallTimer
from audience_sync.delivery.send.withheld import store_withheld
from audience_sync.delivery.state.cursors import (
    DeliveryCursor,
    Subscription,
    advance_position,
    end_seeding,
    is_seeded,
    mark_in_flight,
)
from audience_sync.delivery.state.subscription_history import SubscriptionVersion, record_versions
from audience_sync.destinations.base import Destination, Transport
from audience_sync.destinations.http.statuses import name_destination
from audience_sync.model import DestinationId, PropertyId, RunId, UserId
from audience_sync.pace import Wait
from audience_sync.prefetch import prefetch
from audience_sync.sql import TableName
from audience_sync.store.connection.lease import Lease
from audience_sync.store.runs.stages import save_begun_delivery
from audience_sync.workspace import Workspace

#: Why nothing is sent while another meaning of the user ids waits for a decision.
ID_IS_HELD = (
    "the config changes what the id of a user is there, and this change is held: nothing is sent. Approve it, or set "
    "the option back"
)


class DeliveryJob(Struct, frozen=True, kw_only=True):
    """The delivery of pending calls to one destination in a run.

    ``max_calls``: the rest stays pending. ``rate``: users a second. ``event_start_runs``: see ``CallReader``.
    ``subscriptions``: those of the destination.
    """

    name: str
    destination_id: DestinationId
    destination: Destination
    pending: PendingCalls
    max_calls: int | None = None
    rate: float | None = None
    event_start_runs: Mapping[str, RunId] = field(default_factory=dict)
    subscriptions: Sequence[Subscription] = ()


class DeliveryStats(Struct, kw_only=True):
    """The outcomes of a destination's calls: ``delivered + refused + pending = calls``.

    ``withheld`` counts suppressed users with pending values. ``seconds``: duration. ``rate_limited``: the delivery
    ended early because the destination accepts no further calls for now. ``most``: the calls that are sent at most; the
    rest stays pending. ``pause``: the last wait before an attempt, by the monotonic clock.
    """

    name: str
    calls: int
    delivered: int = 0
    refused: int = 0
    withheld: int = 0
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    error: str = ""
    rate_limited: bool = False
    complete: bool = False
    most: int | None = None
    pause: Wait | None = None

    @property
    def pending(self) -> int:
        return self.calls - self.delivered - self.refused


class DeliveryContext(Struct, frozen=True, kw_only=True):
    """The values that all deliveries of a run share.

    ``times``: the start of each run (ISO 8601). ``nonces``: see ``CallReader``. ``recently_suppressed`` returns the
    users suppressed since the run started. ``mask`` removes secrets from a text. ``readers``: see ``CallReader``.
    """

    lease: Lease
    run: RunId
    installation: str
    times: Mapping[RunId, str]
    property_ids: Mapping[str, PropertyId]
    progress: Callable[[DeliveryStats], None] = field(default=lambda stats: None)
    stall_timers: list[StallTimer] = field(default_factory=list)
    interrupted: threading.Event = field(default_factory=threading.Event)
    recently_suppressed: Callable[[], Collection[UserId]] = tuple
    mask: Callable[[str], str] = str
    nonces: Mapping[RunId, str] = field(default_factory=dict)
    readers: int = 1

    def begin(self, stall_timer: StallTimer) -> None:
        """Register a delivery. After an interruption it ends at once."""
        self.stall_timers.append(stall_timer)
        if self.interrupted.is_set():
            stall_timer.stop(INTERRUPTED)

    def interrupt(self) -> None:
        """End every delivery after its requests in flight."""
        self.interrupted.set()
        for stall_timer in self.stall_timers:
            stall_timer.stop(INTERRUPTED)


class _Pace(Struct, kw_only=True):
    """What the slices of a delivery share: when to wait and to stop, how large a request may be, and how far they are.

    ``after``: the last user of the batches so far. ``left``: the calls that may still be sent; None without a limit.
    """

    stall_timer: StallTimer
    rate_limiter: AdaptiveRateLimiter
    user_rate: UserRate
    body_limit: BodyLimit
    left: int | None
    after: UserId = UserId("")
    has_begun: bool = False

    @classmethod
    def of(cls, job: DeliveryJob) -> _Pace:
        options = job.destination.options
        stall_timer = StallTimer(give_up_after=options.give_up_after.total_seconds())
        return cls(
            stall_timer=stall_timer,
            rate_limiter=AdaptiveRateLimiter(options.rate_limit, wait=stall_timer.stopped.wait),
            user_rate=UserRate(job.rate, wait=stall_timer.stopped.wait),
            body_limit=BodyLimit(stall_timer.stopped.is_set),
            left=job.max_calls,
        )

    @property
    def is_over(self) -> bool:
        """Whether nothing more is sent."""
        return self.stall_timer.stopped.is_set() or self.left == 0

    def limited(self, found: Iterator[Batch]) -> Iterator[Batch]:
        """Yield as many of the batches as may still be sent."""
        for batch in limit_calls(found, self.left):
            self.after = batch.through
            if self.left is not None:
                self.left -= len(batch.calls)
            yield batch


def deliver(workspace: Workspace, context: DeliveryContext, job: DeliveryJob) -> DeliveryStats:
    """Send pending calls until all are answered or the destination stops. Raises LeaseLostError."""
    started = time.monotonic()
    stats = DeliveryStats(
        name=job.name, calls=job.pending.calls, withheld=job.pending.withheld_users, most=job.max_calls
    )
    cursor, pace = job.pending.cursor, _Pace.of(job)
    problem = _problem(workspace, job) if job.pending.calls else None
    if problem is not None:
        stats.error, stats.rate_limited = problem
    with closing(job.pending.tables(workspace)) as slices:
        for own, part in slices:
            if part.withheld_table and part.withheld_users:
                cursor = _withhold(own, context, job, part.withheld_table, cursor)
            if part.calls and problem is None:
                cursor = _send_batches(own, context, job, part, cursor=cursor, pace=pace, stats=stats)
            if stats.pending and (problem is not None or pace.is_over):
                break
    if pace.stall_timer.reason:
        stats.error, stats.rate_limited = pace.stall_timer.reason, pace.stall_timer.rate_limited
    if job.pending.includes_everyone and not stats.pending:
        _complete(context, job, cursor)
        stats.complete = True
    stats.seconds = time.monotonic() - started
    return stats


def _problem(workspace: Workspace, job: DeliveryJob) -> tuple[str, bool] | None:
    """Return why nothing can be sent, and whether that is a rate limit; or None."""
    mapping = mapping_of(job.destination, job.subscriptions)
    if mapping.id_kind != job.destination.options.id_kind:
        return ID_IS_HELD, False
    if problem := require_fields(workspace, job.pending, job.destination, mapping):
        return name_destination(str(problem), job.name), problem.rate_limited
    return None


def _complete(context: DeliveryContext, job: DeliveryJob, cursor: DeliveryCursor) -> None:
    if cursor.seeding is None:
        context.lease.transact(partial(advance_position, cursor=cursor, run=context.run))
        return

    def end(connection: Connection) -> bool:
        subscription = end_seeding(connection, cursor, context.run)
        version = SubscriptionVersion(RunId(context.run + 1), subscription, seeding=False)
        record_versions(connection, job.destination_id, [version], context.property_ids)
        return True

    context.lease.transact(end, partial(is_seeded, cursor=cursor))


def _withhold(
    workspace: Workspace, context: DeliveryContext, job: DeliveryJob, table: TableName, cursor: DeliveryCursor
) -> DeliveryCursor:
    """Store the values that suppressed users are not sent; `unsuppress` makes them pending again."""

    def write(connection: Connection) -> DeliveryCursor:
        store_withheld(connection, workspace, table, job.destination_id, context.property_ids)
        return mark_in_flight(connection, cursor, context.run)

    return context.lease.transact(write)


def _send_batches(
    workspace: Workspace,
    context: DeliveryContext,
    job: DeliveryJob,
    part: PendingCalls,
    *,
    cursor: DeliveryCursor,
    pace: _Pace,
    stats: DeliveryStats,
) -> DeliveryCursor:
    """Send the calls of a table. Returns the cursor after the last answer."""
    stall_timer = pace.stall_timer
    if not pace.has_begun:
        context.begin(stall_timer)
        cursor = context.lease.transact(partial(_begin, cursor=cursor, run=context.run, name=job.name))
        pace.has_begun = True
    stall_timer.record_progress()  # the time in which its calls were made does not count as a stall

    def new_sender(transport: Transport) -> Callable[[Batch], BatchResult]:
        requests = RequestSender(
            transport,
            pace.rate_limiter,
            stall_timer,
            context.lease.confirm,
            suppressed=context.recently_suppressed,
            mask=context.mask,
            report_wait=report_wait,
            note_attempt=recorder.attempts.append,
        )
        return BatchSender(
            requests,
            pace.body_limit,
            parts=job.destination.parts,
            limits=job.destination.limits,
            split_call=partial(calls.split, destination=job.destination),
            own_key=calls.mapping.own_key,
        ).send

    def report_wait(seconds: float, *, for_all: bool) -> None:
        now = time.monotonic()
        stats.pause = Wait(now, now + seconds, for_all)
        context.progress(stats)

    context.progress(stats)
    calls = _call_reader(workspace, context, job, part)
    recorder = _answer_recorder(context, job, part, calls)
    waiting = partial(recorder.record_waiting, cursor=cursor)
    found = pace.limited(_batches(calls, job, pace.after))
    with (
        context.lease.renewing(waiting),
        SenderPool(job.destination, stall_timer, new_sender, pace.user_rate) as senders,
    ):
        for results in senders.send_all(found):
            cursor = acknowledge(context.lease, cursor, results, recorder)
            _add_results(stats, results)
            context.progress(stats)
    if recorder.attempts:
        context.lease.transact(waiting)
    return cursor


def _call_reader(workspace: Workspace, context: DeliveryContext, job: DeliveryJob, part: PendingCalls) -> CallReader:
    return CallReader(
        workspace=workspace,
        table=part.table,
        installation=context.installation,
        destination=job.name,
        times=context.times,
        event_start_runs=job.event_start_runs,
        nonces=context.nonces,
        mapping=mapping_of(job.destination, job.subscriptions),
        is_mapped=part.is_mapped,
        readers=context.readers,
    )


def _answer_recorder(
    context: DeliveryContext, job: DeliveryJob, part: PendingCalls, calls: CallReader
) -> AnswerRecorder:
    return AnswerRecorder(
        destination=job.destination_id,
        run=context.run,
        property_ids=context.property_ids,
        find_calls=calls.for_users,
        includes_everyone=job.pending.includes_everyone,
        releases=part.releases,
        retries=job.pending.retries,
    )


def _begin(connection: Connection, cursor: DeliveryCursor, run: RunId, name: str) -> DeliveryCursor:
    """Record, before anything is sent, that calls are in flight, and which stage the run is at."""
    save_begun_delivery(connection, run, name)
    return mark_in_flight(connection, cursor, run)


def _batches(calls: CallReader, job: DeliveryJob, after: UserId) -> Iterator[Batch]:
    sizes = [each for each in (job.max_calls, max_batch_users(job.rate)) if each is not None]
    encoded = prefetch(calls.encoded(job.destination))
    return batches(encoded, job.destination, max_calls=min(sizes, default=None), after=after)


def _add_results(stats: DeliveryStats, results: Sequence[BatchResult]) -> None:
    for result in results:
        stats.requests += result.requests
        stats.retries += result.retries
        if result.answered:
            stats.delivered += result.delivered
            stats.refused += len(result.refusals)
            stats.withheld += len(result.withheld)
            stats.calls -= len(result.withheld)
        else:
            stats.error = f"no answer to some calls, last: {result.reason}"

"""How is one destination brought up to date? Owed calls go out in batches, and the position follows the answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection

from audience_sync.delivery.send.acknowledge import acknowledge
from audience_sync.delivery.send.batches import Batch, Calls, batches, limited
from audience_sync.delivery.send.body_limit import BodyLimit
from audience_sync.delivery.send.prefetch import ahead
from audience_sync.delivery.send.rate_limiter import Pace
from audience_sync.delivery.send.sender import BatchSender, Outcome, Progress
from audience_sync.delivery.send.sender_pool import INTERRUPTED, Senders
from audience_sync.delivery.send.user_rate import UserRate, most_at_once
from audience_sync.delivery.send.withheld import keep_withheld
from audience_sync.delivery.state.cursors import Feed, begin, complete, end_seeding, is_seeded
from audience_sync.delivery.state.subscription_history import Terms, note_terms
from audience_sync.destinations.base import Destination, Transport
from audience_sync.errors import BrokenDestinationError
from audience_sync.model import RunId
from audience_sync.store.connection.lease import Lease
from audience_sync.workspace import Workspace

#: Answers are acknowledged at once, and those that come within so many seconds of the last transaction together in the
#: next one, or as soon as there are so many. A kill repeats these requests at most, with the same message ids: see
#: docs/decisions/0009-answers-in-groups.md.
GROUP = 16
GROUP_SECONDS = 0.025


@dataclass(frozen=True, slots=True)
class Delivery:
    """One destination's share of a run, ready to be sent.

    ``table``: what is owed. ``whole``: to everyone, not only to those whom the feed has reached. ``most``: send
    no more calls than this, and leave the rest pending. ``rate``: at most so many users a second. ``kept_back``,
    ``kept_calls``: what suppressed users are not sent; ``releases``: some of the calls carry what was withheld before;
    ``retries``: refused ones are among them. ``told_since``: see ``Calls``.
    """

    name: str
    destination_id: int
    destination: Destination
    feed: Feed
    table: str
    calls: int
    whole: bool = True
    most: int | None = None
    rate: float | None = None
    kept_back: str | None = None
    kept_calls: int = 0
    releases: bool = False
    retries: bool = False
    told_since: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """What became of a destination's calls: ``delivered + refused + pending = calls``.

    ``withheld`` counts the users who are not sent what they would be, since they are suppressed.
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

    @property
    def pending(self) -> int:
        return self.calls - self.delivered - self.refused


@dataclass(frozen=True, slots=True)
class Context:
    """What all deliveries of a run share.

    ``times``: when each run started (ISO 8601). ``nonces``: see ``Calls``. ``latecomers``: users who were suppressed
    since.
    """

    lease: Lease
    run: RunId
    installation: str
    times: Mapping[int, str]
    property_ids: Mapping[str, int]
    watch: Callable[[Tally], None] = field(default=lambda tally: None)
    under_way: list[Progress] = field(default_factory=list)
    interrupted: threading.Event = field(default_factory=threading.Event)
    latecomers: Callable[[], Collection[str]] = tuple
    mask: Callable[[str], str] = str
    nonces: Mapping[int, str] = field(default_factory=dict)

    def begin(self, progress: Progress) -> None:
        """A delivery starts; after an interruption it ends at once."""
        self.under_way.append(progress)
        if self.interrupted.is_set():
            progress.stop(INTERRUPTED)

    def interrupt(self) -> None:
        """Let every delivery end after the requests that are under way."""
        self.interrupted.set()
        for progress in self.under_way:
            progress.stop(INTERRUPTED)


def deliver(workspace: Workspace, context: Context, work: Delivery) -> Tally:
    """Send what is owed until all is answered, or the destination has stopped. Raises LeaseLostError."""
    started = time.monotonic()
    tally = Tally(work.name, work.calls, withheld=work.kept_calls)
    feed = work.feed
    if work.kept_back and work.kept_calls:
        feed = context.lease.carry_out(partial(_keep_back, workspace=workspace, context=context, work=work, feed=feed))
    if work.calls:
        feed, progress = _send(workspace, context, work, feed, tally)
        tally.error = progress.reason or tally.error
        tally.rate_limited = progress.rate_limited
    if work.whole and not tally.pending:
        _finish(context, work, feed)
        tally.complete = True
    tally.seconds = time.monotonic() - started
    return tally


def _finish(context: Context, work: Delivery, feed: Feed) -> None:
    if feed.seeding is None:
        context.lease.carry_out(partial(complete, feed=feed, run=context.run))
        return

    def end(connection: Connection) -> bool:
        terms = Terms(context.run + 1, end_seeding(connection, feed, context.run), seeding=False)
        note_terms(connection, work.destination_id, [terms], context.property_ids)
        return True

    context.lease.carry_out(end, partial(is_seeded, feed=feed))


def _keep_back(connection: Connection, *, workspace: Workspace, context: Context, work: Delivery, feed: Feed) -> Feed:
    """What suppressed users are not sent is owed, as if it had been sent."""
    assert work.kept_back is not None
    keep_withheld(connection, workspace, work.kept_back, work.destination_id, context.property_ids)
    return begin(connection, feed, context.run)


def _send(workspace: Workspace, context: Context, work: Delivery, feed: Feed, tally: Tally) -> tuple[Feed, Progress]:
    options = work.destination.options
    progress = Progress(options.give_up_after.total_seconds())
    context.begin(progress)
    pace = Pace(options.rate_limit, wait=progress.stopped.wait)
    user_rate = UserRate(work.rate, wait=progress.stopped.wait)
    feed = context.lease.carry_out(partial(begin, feed=feed, run=context.run))

    def sender(transport: Transport) -> BatchSender:
        return BatchSender(
            transport,
            pace,
            progress,
            context.lease.confirm,
            suppressed=context.latecomers,
            parts=work.destination.parts,
            limits=work.destination.limits,
            bodies=bodies,
            divide=partial(calls.divided, destination=work.destination),
            mask=context.mask,
        )

    calls = Calls(
        workspace, work.table, context.installation, work.name, context.times, work.told_since, context.nonces
    )
    bodies = BodyLimit(progress.stopped.is_set)
    with Senders(work.destination, progress, sender, user_rate) as senders:
        for outcomes in _answers(senders, limited(_batches(calls, work), work.most), progress):
            feed = acknowledge(
                context.lease,
                feed,
                work.destination_id,
                context.run,
                outcomes,
                context.property_ids,
                calls.of,
                whole=work.whole,
                releases=work.releases,
                retries=work.retries,
            )
            _count(tally, outcomes)
            context.watch(tally)
    return feed, progress


def _batches(calls: Calls, work: Delivery) -> Iterator[Batch]:
    sizes = [each for each in (work.most, most_at_once(work.rate)) if each is not None]
    return batches(ahead(calls.encoded(work.destination)), work.destination, most=min(sizes, default=None))


def _answers(senders: Senders, found: Iterator[Batch], progress: Progress) -> Iterator[Sequence[Outcome]]:
    """Yield outcomes in groups, each to be acknowledged in one transaction; submit no more batches after a stop.

    An error of a sender is raised once everything that was answered before has been yielded.
    """
    batches = _until_broken(found, progress)
    under_way: set[Future[Outcome]] = set()
    group: list[Outcome] = []
    due = time.monotonic()
    while True:
        batch = None if progress.stopped.is_set() else next(batches, None)
        if batch is not None:
            under_way.add(senders.submit(batch))
        while len(under_way) >= (1 if batch is None else senders.size):
            patience = max(due - time.monotonic(), 0) if group else None
            done, under_way = wait(under_way, timeout=patience, return_when=FIRST_COMPLETED)
            group += [future.result() for future in done if future.exception() is None]
            failed = [error for future in done if (error := future.exception())]
            if failed or len(group) >= GROUP or time.monotonic() >= due:
                yield group
                group, due = [], time.monotonic() + GROUP_SECONDS
            if failed:
                raise failed[0]
        if batch is None:
            break
    if group:
        yield group


def _until_broken(found: Iterator[Batch], progress: Progress) -> Iterator[Batch]:
    """The batches until the destination's own code fails at all calls: what is under way is still answered."""
    try:
        yield from found
    except BrokenDestinationError as error:
        progress.stop(str(error))


def _count(tally: Tally, outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        tally.requests += outcome.requests
        tally.retries += outcome.retries
        if outcome.answered:
            tally.delivered += outcome.delivered
            tally.refused += len(outcome.refusals)
            tally.withheld += len(outcome.withheld)
            tally.calls -= len(outcome.withheld)
        else:
            tally.error = f"no answer to some calls, last: {outcome.reason}"

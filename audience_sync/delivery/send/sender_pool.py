"""Send batches in a pool of threads, each with its own transport, and stop after too long without progress."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from queue import SimpleQueue

from msgspec import Struct, field

from audience_sync.delivery.send.batches import Batch, BatchResult
from audience_sync.delivery.send.rate_limiter import UserRate
from audience_sync.destinations.base import Destination, Transport
from audience_sync.errors import BrokenDestinationError

INTERRUPTED = "the run was interrupted"
#: An answer is recorded at once, unless the last transaction is less than GROUP_SECONDS old: then answers wait and
#: share a transaction, at most GROUP_SIZE of them. After a kill at most these requests are sent again, with the same
#: message ids: see docs/decisions/0009-answers-in-groups.md.
GROUP_SIZE = 16
GROUP_SECONDS = 0.025

#: Sends one batch over a thread's transport.
Send = Callable[[Batch], BatchResult]


class StallTimer(Struct, kw_only=True):
    """The time since the last final answer, and whether to stop. All senders of a destination share it.

    ``give_up_after``: seconds without progress. ``rate_limited``: the destination stopped because it accepts no further
    calls for now, which does not count as a failure.
    """

    give_up_after: float
    clock: Callable[[], float] = time.monotonic
    stopped: threading.Event = field(default_factory=threading.Event)
    reason: str = ""
    rate_limited: bool = False
    last_progress: float = 0.0

    def __post_init__(self) -> None:
        self.last_progress = self.clock()

    def record_progress(self) -> None:
        self.last_progress = self.clock()

    def stop(self, reason: str, *, rate_limited: bool = False) -> None:
        if not self.stopped.is_set():
            self.reason, self.rate_limited = reason, rate_limited
            self.stopped.set()

    def remaining(self) -> float:
        """Return the seconds left before the destination is given up."""
        return self.last_progress + self.give_up_after - self.clock()


class SenderPool:
    """A pool with the destination's ``concurrency`` of threads. ``new_sender`` opens that of each thread.

    Each batch first waits for ``user_rate``.
    """

    def __init__(
        self,
        destination: Destination,
        stall_timer: StallTimer,
        new_sender: Callable[[Transport], Send],
        user_rate: UserRate,
    ) -> None:
        self._size = destination.options.concurrency
        self._destination = destination
        self._stall_timer = stall_timer
        self._new_sender = new_sender
        self._user_rate = user_rate
        self._local = threading.local()
        self._opened: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._pool = ThreadPoolExecutor(self._size, thread_name_prefix="sender")

    def send_all(self, found: Iterator[Batch]) -> Iterator[Sequence[BatchResult]]:
        """Yield the results of the batches in groups, each for one transaction. No batch is submitted after a stop.

        An error of a sender is raised after all earlier results have been yielded.
        """
        batches = self._until_broken(found)
        in_flight: set[Future[BatchResult]] = set()
        group: list[BatchResult] = []
        due = time.monotonic()
        while True:
            batch = None if self._stall_timer.stopped.is_set() else next(batches, None)
            if batch is not None:
                in_flight.add(self._pool.submit(self._send, batch))
            while len(in_flight) >= (1 if batch is None else self._size):
                timeout = max(due - time.monotonic(), 0) if group else None
                done, in_flight = wait(in_flight, timeout=timeout, return_when=FIRST_COMPLETED)
                group += [future.result() for future in done if future.exception() is None]
                failed = [error for future in done if (error := future.exception())]
                if failed or len(group) >= GROUP_SIZE or time.monotonic() >= due:
                    yield group
                    group, due = [], time.monotonic() + GROUP_SECONDS
                if failed:
                    raise failed[0]
            if batch is None:
                break
        if group:
            yield group

    def _until_broken(self, found: Iterator[Batch]) -> Iterator[Batch]:
        """Yield batches until the destination's own code fails at all calls. Requests in flight are still answered."""
        try:
            yield from found
        except BrokenDestinationError as error:
            self._stall_timer.stop(str(error))

    def _send(self, batch: Batch) -> BatchResult:
        try:
            if self._user_rate.acquire(len(batch.calls)):
                self._stall_timer.record_progress()  # waiting for the user rate does not count as a stall
            return self._sender()(batch)
        except BaseException:
            self._stall_timer.stop("an unexpected error")
            raise

    def _sender(self) -> Send:
        if not hasattr(self._local, "sender"):
            transport = self._destination.open()
            self._opened.put(transport.close)
            self._local.sender = self._new_sender(transport)
        sender: Send = self._local.sender
        return sender

    def __enter__(self) -> SenderPool:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._stall_timer.stop(INTERRUPTED)
        self._pool.shutdown(cancel_futures=True)
        while not self._opened.empty():
            self._opened.get()()

"""Send batches in a pool of threads, each with its own transport, and stop after too long without progress."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from msgspec import Struct, field

from audience_sync.delivery.send.batches import Batch, BatchResult
from audience_sync.delivery.send.rate_limiter import UserRate
from audience_sync.destinations.base import Destination, Transport

INTERRUPTED = "the run was interrupted"


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
        self.size = destination.options.concurrency
        self._destination = destination
        self._stall_timer = stall_timer
        self._new_sender = new_sender
        self._user_rate = user_rate
        self._local = threading.local()
        self._opened: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._pool = ThreadPoolExecutor(self.size, thread_name_prefix="sender")

    def submit(self, batch: Batch) -> Future[BatchResult]:
        return self._pool.submit(self._send, batch)

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

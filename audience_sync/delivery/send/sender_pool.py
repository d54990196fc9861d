"""Send batches in a pool of threads, each with its own transport."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from audience_sync.delivery.send.batches import Batch
from audience_sync.delivery.send.results import BatchResult
from audience_sync.delivery.send.sender import BatchSender
from audience_sync.delivery.send.stall_timer import StallTimer
from audience_sync.delivery.send.user_rate import UserRate
from audience_sync.destinations.base import Destination, Transport

INTERRUPTED = "the run was interrupted"


class SenderPool:
    """A pool with the destination's ``concurrency`` of threads. ``sender`` creates the sender of each thread.

    Each batch first waits for ``user_rate``.
    """

    def __init__(
        self,
        destination: Destination,
        stall_timer: StallTimer,
        sender: Callable[[Transport], BatchSender],
        user_rate: UserRate,
    ) -> None:
        self.size = destination.options.concurrency
        self._destination = destination
        self._progress = stall_timer
        self._new_sender = sender
        self._user_rate = user_rate
        self._local = threading.local()
        self._opened: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._pool = ThreadPoolExecutor(self.size, thread_name_prefix="sender")

    def submit(self, batch: Batch) -> Future[BatchResult]:
        return self._pool.submit(self._send, batch)

    def _send(self, batch: Batch) -> BatchResult:
        try:
            if self._user_rate.acquire(len(batch.calls)):
                self._progress.record_progress()  # waiting for the user rate does not count as a stall
            return self._sender().send(batch)
        except BaseException:
            self._progress.stop("an unexpected error")
            raise

    def _sender(self) -> BatchSender:
        if not hasattr(self._local, "sender"):
            transport = self._destination.open()
            self._opened.put(transport.close)
            self._local.sender = self._new_sender(transport)
        sender: BatchSender = self._local.sender
        return sender

    def __enter__(self) -> SenderPool:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._progress.stop(INTERRUPTED)
        self._pool.shutdown(cancel_futures=True)
        while not self._opened.empty():
            self._opened.get()()

"""Learn the largest request body that a destination accepts, for one run.

A proxy on the way may limit bodies, and answer 413, 500 or 502. All senders of a destination share the accepted and
refused sizes, so that they meet a limit once and not with every batch. Sizes are bytes of messages before compression.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

#: The next size is half of the first refused one, then a quarter each, until one is accepted.
FIRST_SHARE, NEXT_SHARE = 2, 4
#: Accepted requests near the limit, after which it grows half way to the refused size.
GROW_AFTER = 8
#: The refused size is near if it is at most this share above the limit.
NEAR_SHARE = 0.15
#: Accepted requests, after which the refused size is tried again; doubled each time that it is refused again.
FORGET_AFTER = 256
#: The factor by which the limit grows then.
GROWTH = 1.25
#: Messages that failed repeatedly, after which their size is the cause.
MAX_FAILURES = 3
#: Seconds between two checks whether another sender has the result.
POLL_SECONDS = 0.1


class BodyLimit:
    """The accepted and refused sizes of one destination. Thread-safe; it costs nothing before the first refusal.

    Only one sender at a time tries a size that was not accepted since the last refusal; the others wait for the result.
    ``stopped`` returns whether the delivery has stopped.
    """

    def __init__(self, stopped: Callable[[], bool] = lambda: False) -> None:
        self._stopped = stopped
        self._changed = threading.Condition()
        self._limit: int | None = None
        self._proven = 0
        self._refused: int | None = None
        self._failed: int | None = None
        self._failures = 0
        self._successes = 0
        self._forget_after = FORGET_AFTER
        self._is_trying = False

    @property
    def is_active(self) -> bool:
        """Whether accepted sizes have to be recorded."""
        return self._limit is not None or self._failed is not None

    def record_failed(self, size: int) -> None:
        """Record that one message of this size failed repeatedly, while a smaller part of the same call was accepted.

        The size is the cause after MAX_FAILURES such messages, if nothing larger was accepted since.
        """
        with self._changed:
            self._failures += 1
            self._failed = size if self._failed is None else min(self._failed, size)
            if self._failures >= MAX_FAILURES:
                self.record_refused(self._failed)

    def has_failed(self, size: int) -> bool:
        return self._failed is not None and size >= self._failed

    def has_refused(self, size: int) -> bool:
        return self._refused is not None and size >= self._refused

    @contextmanager
    def fitting(self, sizes: Callable[[], Sequence[int]]) -> Iterator[int | None]:
        """Yield how many of the first messages, of these sizes, fit one request: at least one. None: all of them."""
        if self._limit is None:
            yield None
            return
        count, tries = self._wait_for_size(sizes())
        try:
            yield count
        finally:
            if tries:
                with self._changed:
                    self._is_trying = False
                    self._changed.notify_all()

    def _wait_for_size(self, sizes: Sequence[int]) -> tuple[int, bool]:
        with self._changed:
            while True:
                count, size = self._fitting_count(sizes)
                if size <= self._proven or self._stopped():
                    return count, False
                if not self._is_trying:
                    self._is_trying = True
                    return count, True
                self._changed.wait(POLL_SECONDS)

    def _fitting_count(self, sizes: Sequence[int]) -> tuple[int, int]:
        assert self._limit is not None
        count, total = 1, sizes[0]
        for number, size in enumerate(accumulate(sizes), 1):
            if size > self._limit:
                break
            count, total = number, size
        return count, total

    def record_refused(self, size: int) -> None:
        """Record that a request was refused because of this size."""
        with self._changed:
            if self._limit is not None and self._refused is None and size <= self._limit:
                self._forget_after *= 2  # the earlier limit still holds
            self._refused = size if self._refused is None else min(self._refused, size)
            if size <= self._proven:
                self._proven = 0
            if self._limit is None or size <= self._limit:
                share = FIRST_SHARE if self._limit is None else NEXT_SHARE
                self._limit = self._proven or max(1, size // share)
            self._successes = 0

    def record_accepted(self, size: int) -> None:
        """Record that a request of this size was accepted."""
        with self._changed:
            if self._failed is not None and size >= self._failed:
                self._failed, self._failures = None, 0
            if self._limit is None:
                return
            self._proven = max(self._proven, size)
            if size * 2 < self._limit:
                return
            self._successes += 1
            is_near = self._refused is not None and self._refused <= self._limit * (1 + NEAR_SHARE)
            if self._successes < (self._forget_after if is_near else GROW_AFTER):
                return
            self._successes = 0
            if self._refused is None or is_near:
                self._refused, self._limit = None, int(self._limit * GROWTH) + 1
            else:
                self._limit = (self._limit + self._refused) // 2

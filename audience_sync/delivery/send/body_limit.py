"""Learn the largest request body that a destination takes, for as long as a run lasts.

A proxy on the way limits bodies and says so with a 413, or fails with a 500 or 502. All senders of a destination share
what went through and what didn't, so that they meet a limit once and not with every batch. Sizes are bytes of messages,
before compression.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

#: After the first refusal half of what was refused is tried, after others a quarter, until something goes through.
FIRST_SHARE, NEXT_SHARE = 2, 4
#: Requests near the limit that went through, after which it grows: half way to what was refused.
GROW_AFTER = 8
#: Half way is near enough when it is no more than this share above the limit.
NEAR_SHARE = 0.15
#: Requests that went through, after which what was refused is tried again; doubled whenever it is refused again.
FORGET_AFTER = 256
#: By how much the limit grows then.
GROWTH = 1.25
#: Messages at which a server kept failing, and at nothing smaller, after which it is their size.
MAX_FAILURES = 3
#: Seconds after which a sender looks again whether another has found out.
POLL_SECONDS = 0.1


class BodyLimit:
    """Thread-safe. Without any refusal nothing is counted, and nothing costs.

    Only one sender at a time tries a size of which nothing is known since the last refusal: the others wait for what it
    finds. ``stopped``: whether everything is to end.
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
        """Whether anything is: if not, what goes through need not be counted."""
        return self._limit is not None or self._failed is not None

    def record_failed(self, size: int) -> None:
        """The server kept failing at one message of this size, while a smaller one of the same call went through.

        Once it may be that message; several times, and nothing larger went through since, it is the size.
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
        """How many of the first messages, of these sizes, may go in one request: one at least. None: all of them."""
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
        """A request of this size was refused for its size."""
        with self._changed:
            if self._limit is not None and self._refused is None and size <= self._limit:
                self._forget_after *= 2  # what was forgotten still holds
            self._refused = size if self._refused is None else min(self._refused, size)
            if size <= self._proven:
                self._proven = 0
            if self._limit is None or size <= self._limit:
                share = FIRST_SHARE if self._limit is None else NEXT_SHARE
                self._limit = self._proven or max(1, size // share)
            self._successes = 0

    def record_accepted(self, size: int) -> None:
        """A request of this size went through."""
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

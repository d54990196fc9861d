"""Limit a seed to a number of users a second, for any size of request."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

#: A request holds at most the users of so many seconds, because they are all sent at once.
BATCH_SECONDS = 1.0
#: Seconds by which a request may go early, to catch up when no sender was free in time.
CATCH_UP_SECONDS = 0.02


def max_batch_users(rate: float | None) -> int | None:
    """Return the users for one request: those of a second, at least one. None without a rate."""
    return None if rate is None else max(1, math.floor(rate * BATCH_SECONDS))


class UserRate:
    """Delay each request until its users fit the rate.

    ``rate``: users a second; None delays nothing. ``wait`` sleeps for some seconds, and returns true if the delivery
    stopped meanwhile. A retry does not count again, because it reaches the same users.
    """

    def __init__(
        self,
        rate: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object],
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._next = clock()

    def acquire(self, users: int) -> bool:
        """Wait until so many users fit the rate. Return whether there was a wait."""
        if self._rate is None:
            return False
        with self._lock:
            turn = max(self._next, self._clock() - CATCH_UP_SECONDS)
            self._next = turn + users / self._rate
        waited = False
        while (pause := turn - self._clock()) > 0:
            waited = True
            if self._wait(pause):
                break
        return waited

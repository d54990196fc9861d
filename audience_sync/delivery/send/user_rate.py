"""Keep a seed within a number of users a second, whatever a request holds."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

#: Seconds of users that go out in one request at most: those of one request leave at once.
BATCH_SECONDS = 1.0
#: Seconds by which a turn may be made up for, because no sender was free at its time.
CATCH_UP_SECONDS = 0.02


def max_batch_users(rate: float | None) -> int | None:
    """Users for one request: those of a second, and one where the rate is slower. None without a rate."""
    return None if rate is None else max(1, math.floor(rate * BATCH_SECONDS))


class UserRate:
    """Delays each request until its users fit the rate.

    ``rate``: users a second; None delays nothing. ``wait`` (seconds) is true when the waiting was cut short because
    everything is to stop. A request that is sent again counts once: it reaches the same users.
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
        """Wait for the turn of so many users; whether there was anything to wait for."""
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

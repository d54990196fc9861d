"""How fast may a destination's senders go? One gate for all of them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

#: Requests a second that a success adds, and the share that a refusal for the rate takes off.
SPEED_UP, SLOW_DOWN = 0.2, 0.2
#: Seconds to wait after being limited by a destination that doesn't say how long.
DEFAULT_WAIT = 1.0


class Pace:
    """Lets one request through at a time, no faster than the rate.

    ``rate`` (requests a second) is never exceeded; None starts without a limit. A destination that says "too
    many requests" slows all senders down, and successes speed them up again. ``wait`` (seconds) is true when
    the waiting was cut short because everything is to stop.
    """

    def __init__(
        self,
        rate: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object],
    ) -> None:
        self._most = rate
        self._rate = rate
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._next = clock()
        self._closed_until = clock()
        self._sent = 0
        self._since = clock()

    def enter(self) -> None:
        """Wait for one's turn; whoever waits while the gate is closed waits for another turn."""
        turn = self._next_turn()
        while (pause := turn - self._clock()) > 0:
            if self._wait(pause):
                return
            if turn < self._closed_until:
                turn = self._next_turn()
        with self._lock:
            self._sent += 1

    def _next_turn(self) -> float:
        with self._lock:
            turn = max(self._next, self._clock())
            self._next = turn + (1 / self._rate if self._rate else 0)
            return turn

    def succeeded(self) -> None:
        with self._lock:
            if self._rate is not None:
                faster = self._rate + SPEED_UP
                self._rate = faster if self._most is None else min(faster, self._most)

    def limited(self, retry_after: float | None) -> None:
        """The destination said: too many requests. Nobody goes before it allows."""
        with self._lock:
            now = self._clock()
            if now >= self._closed_until:  # one slow-down for all requests that were under way
                measured = self._sent / max(now - self._since, 1.0)
                self._rate = max((self._rate or measured) * (1 - SLOW_DOWN), 0.1)
            until = now + (DEFAULT_WAIT if retry_after is None else retry_after)
            self._closed_until = max(self._closed_until, until)
            self._next = max(self._next, until)


def backoff(
    attempt: int, *, first: float = 0.5, most: float = 60.0, chance: Callable[[], float] = random.random
) -> float:
    """Seconds to wait after a failed attempt (counted from 1): exponential, with full jitter."""
    return chance() * min(most, first * 2.0 ** min(attempt - 1, 30))

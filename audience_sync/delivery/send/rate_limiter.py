"""Keep all senders of a destination within its rate and a seed's rate, and slow down after a 429."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable

#: The share of the refused rate with which senders continue.
AFTER_REFUSAL = 0.85
#: The share of a rate that counts as refused, if it is lower than the one refused before.
AFTER_DESCENT = 0.925
#: The first rate is a guess: it grows by this factor a second until it is refused too.
#: "Blind": the destination does not send how long to wait.
SEARCH_GROWTH, BLIND_SEARCH_GROWTH = 2.0, 4.0
#: Seconds until the rate is back where it was refused; longer at slow rates, for so many requests.
PLATEAU, LONGEST_PLATEAU, PLATEAU_REQUESTS = 15.0, 60.0, 100
#: Blind, the limit is a guess at first: the plateau has so many seconds, and doubles each time that about the same rate
#: (within SAME_RATE_SHARE) is refused. After it the rate grows by BLIND_GROWTH a second.
FIRST_PLATEAU, SAME_RATE_SHARE, BLIND_GROWTH = 2.0, 0.85, 3.0
#: Seconds to wait after a 429 without a time to wait, or with zero repeatedly; doubled while nothing is accepted.
BLIND_WAIT, ZERO_WAIT, LONGEST_WAIT = 0.5, 1.0, 60.0
#: Seconds for which the other senders wait for the answer to a probe, and between two checks of it.
PROBE_SECONDS, POLL_SECONDS = 5.0, 0.02
#: The accepted rate is counted over so many seconds, and at slow rates over so many requests. The blind span is
#: shorter, because the rate may grow threefold within a second.
SPAN, BLIND_SPAN, SPAN_REQUESTS = 1.0, 0.3, 4
#: Seconds by which a request may go early, to catch up when no sender was free in time.
CATCH_UP_SECONDS = 0.02
#: A request of a seed holds at most the users of so many seconds, because they are all sent at once.
BATCH_SECONDS = 1.0


class AdaptiveRateLimiter:
    """Give each request a slot, so that all senders together keep the rate.

    ``rate`` (requests a second) is never exceeded; None starts without a limit. A 429 shows the rate that a destination
    accepts. Senders continue below it, approach it again ever more slowly, stay there, and only then try more, ever
    faster. This is the curve of CUBIC (RFC 9438); docs/decisions/0006 has the reason, benchmarks/pace.py the measure.

    A 429 without a time to wait may have another cause than the rate. Then senders stay there for a shorter time, and
    one of them probes for all whether the destination accepts requests again. ``wait`` sleeps for some seconds, and
    returns true if the delivery stopped meanwhile.
    """

    def __init__(
        self,
        rate: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object],
    ) -> None:
        self._max_rate = rate
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._next_slot_at = self._open_since = clock()
        self._refused_rate: float | None = None
        self._refused_at = float("-inf")
        self._searching = False
        self._plateau = FIRST_PLATEAU
        self._is_blind = False
        self._probe_until = float("-inf")
        self._first_success = float("inf")
        self._fruitless = 0
        self._successes: deque[float] = deque()

    def acquire(self) -> float:
        """Wait for a slot and return its time. A sender that waits when a 429 comes gets another slot."""
        turn = self._next_slot()
        while True:
            while (pause := turn - self._clock()) > 0:
                if self._wait(pause):
                    return self._clock()
                if turn < self._open_since:
                    turn = self._next_slot()
            if self._may_probe():
                return self._clock()
            if self._wait(POLL_SECONDS):
                return self._clock()
            if turn < self._open_since or not self._fruitless:
                turn = self._next_slot()

    def _may_probe(self) -> bool:
        """Return whether this sender may send: only one may while nothing was accepted since the last 429."""
        with self._lock:
            now = self._clock()
            if self._is_blind and self._fruitless and now < max(self._probe_until, self._open_since):
                return False
            self._probe_until = now + PROBE_SECONDS
            return True

    def closed_for(self) -> float:
        """Return the seconds until the next request may go after a 429; 0 or less if one may go now."""
        return self._open_since - self._clock()

    def on_success(self) -> None:
        with self._lock:
            now, times = self._clock(), self._successes
            self._fruitless, self._probe_until = 0, now
            self._first_success = min(self._first_success, now)
            times.append(now)
            while len(times) > SPAN_REQUESTS and times[0] <= now - SPAN:
                times.popleft()

    def on_rate_limited(self, retry_after: float | None, started_at: float, most: float = LONGEST_WAIT) -> None:
        """Slow down after a 429 to the request that began at ``started_at``. No request goes before the wait is over.

        ``retry_after``: seconds to wait, or None if the answer has no time. ``most`` limits the wait then.
        """
        with self._lock:
            now = self._clock()
            if started_at >= self._refused_at:  # requests in flight slow down once
                self._probe_until = now
                self._slow_down(now, is_blind=retry_after is None)
            blind_answers = self._fruitless - (retry_after is not None)  # zero counts once
            if not retry_after and blind_answers > 0:
                first = BLIND_WAIT if retry_after is None else ZERO_WAIT
                retry_after = min(first * 2.0 ** (blind_answers - 1), LONGEST_WAIT, most)
            self._open_since = max(self._open_since, now + (retry_after or 0.0))
            self._next_slot_at = max(self._next_slot_at, self._open_since)

    def _slow_down(self, now: float, *, is_blind: bool) -> None:
        """Set the refused rate to the rate accepted before. If nothing was accepted since, only waiting helps."""
        self._fruitless += 1
        if self._fruitless == 1 and self._successes:
            span = BLIND_SPAN if is_blind else SPAN
            accepted = self._accepted_rate(now, span)
            before = self._refused_rate
            is_as_before = before is not None and SAME_RATE_SHARE <= accepted / before <= 1 / SAME_RATE_SHARE
            self._plateau = min(self._plateau * 2, PLATEAU) if is_as_before else FIRST_PLATEAU
            self._is_blind = is_blind
            if before is not None and accepted < before:
                accepted = max(accepted * AFTER_DESCENT, before / 2)
            self._refused_rate, self._searching = accepted, now < self._first_success + span
        self._refused_at = now

    def _accepted_rate(self, now: float, span: float) -> float:
        """Return the requests a second that were accepted lately."""
        times = list(self._successes)
        latest = [each for each in times if each > times[-1] - span]
        counted = latest if len(latest) >= SPAN_REQUESTS else times[-SPAN_REQUESTS:]
        return len(counted) / (now - min(counted[0], now - span))

    def _rate(self, at: float) -> float | None:
        """Return the requests a second at a time; None without a limit."""
        refused = self._refused_rate
        if refused is None:
            return self._max_rate
        since = at - self._open_since
        if self._searching:
            growth = BLIND_SEARCH_GROWTH if self._is_blind else SEARCH_GROWTH
            rate = refused * AFTER_REFUSAL * math.pow(growth, min(since, LONGEST_PLATEAU))
        else:
            seconds = self._plateau if self._is_blind else PLATEAU
            plateau = min(max(seconds, seconds / PLATEAU * PLATEAU_REQUESTS / refused), LONGEST_PLATEAU)
            beyond = since - plateau
            rate = refused * (1 + (1 - AFTER_REFUSAL) * math.pow(beyond / plateau, 3))
            if self._is_blind and beyond > 0:
                rate = refused * math.pow(BLIND_GROWTH, min(beyond, LONGEST_PLATEAU))
        return rate if self._max_rate is None else min(rate, self._max_rate)

    def _next_slot(self) -> float:
        with self._lock:
            now = self._clock()
            rate = self._rate(max(self._next_slot_at, now))
            turn = max(self._next_slot_at, now if rate is None else now - CATCH_UP_SECONDS)
            self._next_slot_at = turn + (1 / rate if rate else 0.0)
            return turn


def backoff(
    attempt: int, *, first: float = 0.5, most: float = 60.0, chance: Callable[[], float] = random.random
) -> float:
    """Return the seconds to wait after a failed attempt (counted from 1): exponential, with full jitter."""
    return chance() * min(most, first * 2.0 ** min(attempt - 1, 30))


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

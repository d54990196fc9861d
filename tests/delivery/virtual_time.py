"""Simulate senders, their rate limiter and a limited server, by a clock that moves only while all threads wait."""

from __future__ import annotations

import heapq
import math
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from audience_sync.delivery.send.rate_limiter import AdaptiveRateLimiter


class Limit(Protocol):
    """The limit of a server: seconds until it accepts another request, 0 if it accepts this one."""

    def __call__(self, now: float) -> float: ...


class TokenBucket:
    """So many requests a second, and at once as many as were saved up."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst, self.tokens, self.at = rate, burst, burst, 0.0

    def __call__(self, now: float) -> float:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return (1 - self.tokens) / self.rate
        self.tokens -= 1
        return 0.0


class SlidingWindow:
    """So many requests within any span of seconds."""

    def __init__(self, most: int, span: float = 1.0) -> None:
        self.most, self.span = most, span
        self.accepted: deque[float] = deque()

    def __call__(self, now: float) -> float:
        while self.accepted and self.accepted[0] <= now - self.span:
            self.accepted.popleft()
        if len(self.accepted) >= self.most:
            return self.accepted[0] + self.span - now
        self.accepted.append(now)
        return 0.0


class FixedWindow:
    """So many requests from one full second (or span) to the next."""

    def __init__(self, most: int, span: float = 1.0) -> None:
        self.most, self.span, self.window, self.count = most, span, -1, 0

    def __call__(self, now: float) -> float:
        window = int(now // self.span)
        if window != self.window:
            self.window, self.count = window, 0
        if self.count >= self.most:
            return max((window + 1) * self.span - now, 1e-6)
        self.count += 1
        return 0.0


#: The Retry-After of a server, from the seconds until it accepts another request.
RETRY_AFTER: dict[str, Callable[[float], float | None]] = {
    "whole seconds": lambda wait: float(math.ceil(wait)),
    "a reset time": lambda wait: wait,
    "zero": lambda wait: 0.0,
    "none": lambda wait: None,
}


@dataclass
class SeenRequest:
    """One request: when the server received it, and whether it accepted it."""

    at: float
    accepted: bool


class ChangingLimit:
    """One limit after another, each from its second."""

    def __init__(self, *limits: tuple[float, Limit]) -> None:
        self.limits = limits

    def __call__(self, now: float) -> float:
        return next(limit for start, limit in reversed(self.limits) if now >= start)(now)


class VirtualTime:
    """Threads that run in turns, the one with the earliest end of its wait first."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, threading.Semaphore]] = []
        self._back = threading.Semaphore(0)
        self._count = 0
        self._own = threading.local()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> bool:
        self._queue(self.now + max(seconds, 0.0), self._own.semaphore)
        self._back.release()
        self._own.semaphore.acquire()
        return False

    def run(self, work: Callable[[], None], threads: int) -> None:
        """Run so many of ``work`` at the same time, to their end."""
        workers = [threading.Thread(target=self._start, args=(work, threading.Semaphore(0))) for _ in range(threads)]
        for worker in workers:
            worker.start()
            self._back.acquire()
        while self._waiting:
            self.now, _, semaphore = heapq.heappop(self._waiting)
            semaphore.release()
            self._back.acquire()
        for worker in workers:
            worker.join()

    def _queue(self, at: float, semaphore: threading.Semaphore) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (at, self._count, semaphore))

    def _start(self, work: Callable[[], None], semaphore: threading.Semaphore) -> None:
        self._own.semaphore = semaphore
        self.sleep(0.0)
        work()
        self._back.release()


def simulate(
    limit: Limit,
    answer: str,
    *,
    senders: int,
    seconds: float,
    rate: float | None = None,
    round_trip: tuple[float, float] = (0.005, 0.02),
    seed: int = 1,
) -> list[SeenRequest]:
    """Return the requests that a server received of senders that send all the time."""
    time, chance, seen = VirtualTime(), random.Random(seed), list[SeenRequest]()
    limiter = AdaptiveRateLimiter(rate, clock=time.clock, wait=time.sleep)

    def send() -> None:
        while True:
            entered = limiter.acquire()
            if time.now >= seconds:
                return
            time.sleep(chance.uniform(*round_trip) / 2)
            wait = limit(time.now)
            seen.append(SeenRequest(time.now, not wait))
            time.sleep(chance.uniform(*round_trip) / 2)
            if wait:
                limiter.on_rate_limited(RETRY_AFTER[answer](wait), entered)
            else:
                limiter.on_success()

    time.run(send, senders)
    return seen


def used(seen: list[SeenRequest], allowance: float, start: float, end: float) -> float:
    """The share of an allowance (requests a second) that was used in that time."""
    return sum(request.accepted for request in seen if start <= request.at < end) / (allowance * (end - start))


def refused(seen: list[SeenRequest]) -> float:
    """The share of the requests that were refused."""
    return sum(not request.accepted for request in seen) / len(seen)

"""Wait before another attempt at a request, or stop the destination."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from audience_sync.delivery.send.rate_limiter import AdaptiveRateLimiter
from audience_sync.delivery.send.sender_pool import StallTimer
from audience_sync.destinations.base import LONGEST_WAIT, Judgement, Meaning

#: Waits of so many seconds are reported.
SHOWN_WAIT = 1.0


class ReportWait(Protocol):
    """Receives a wait before another attempt, in seconds. ``for_all``: no sender sends meanwhile."""

    def __call__(self, seconds: float, *, for_all: bool) -> None: ...


def report_nothing(seconds: float, *, for_all: bool) -> None:
    """Ignore the wait."""


class RetryWait:
    """The waits of one sender. ``retry_delay``: the seconds after a failed attempt, counted from 1."""

    def __init__(
        self,
        rate_limiter: AdaptiveRateLimiter,
        stall_timer: StallTimer,
        retry_delay: Callable[[int], float],
        report_wait: ReportWait,
    ) -> None:
        self._rate_limiter = rate_limiter
        self._stall_timer = stall_timer
        self._retry_delay = retry_delay
        self._report_wait = report_wait

    def wait_or_stop(self, judgement: Judgement, attempt: int, started_at: float) -> None:
        """Wait as long as the answer asks for, or stop the destination if it can't be asked again in this run.

        ``started_at``: when the request started, by the rate limiter's clock.
        """
        timer, limited = self._stall_timer, judgement.meaning is Meaning.SLOW_DOWN
        if judgement.meaning is Meaning.STOP:
            timer.stop(judgement.reason)
        elif timer.remaining() <= 0:
            timer.stop(f"no progress for {timer.give_up_after:g} s, last: {judgement.reason}", rate_limited=limited)
        elif limited and (judgement.retry_after or 0) > timer.remaining():
            wait = f"{'at least ' if judgement.retry_after == LONGEST_WAIT else ''}{judgement.retry_after:g} s"
            asks = "The destination asks to wait"
            whose = "The answer has no time to wait; ours is" if judgement.has_own_wait else asks
            timer.stop(
                f"{judgement.reason}. {whose} {wait}, which is longer than "
                f"`give_up_after: {timer.give_up_after:g}s` leaves",
                rate_limited=True,
            )
        elif limited:
            self._rate_limiter.on_rate_limited(judgement.retry_after, started_at, timer.remaining())
            self._report_long(self._rate_limiter.closed_for(), for_all=True)
        else:
            pause = self._retry_delay(attempt) if judgement.retry_after is None else judgement.retry_after
            pause = min(pause, timer.remaining())
            self._report_long(pause, for_all=False)
            timer.stopped.wait(pause)

    def _report_long(self, seconds: float, *, for_all: bool) -> None:
        if seconds >= SHOWN_WAIT:
            self._report_wait(seconds, for_all=for_all)

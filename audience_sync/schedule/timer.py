"""Wait for the next scheduled time, also if the wall clock is set meanwhile, and log when it is."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from audience_sync.store.runs.schedule_slots import MAX_CLOCK_DIFFERENCE
from audience_sync.text import duration, utc_time

log = logging.getLogger("audience_sync.schedule")

#: The longest wait (seconds): another scheduler may have died, and its slots have become due.
MAX_WAIT = 30.0
#: Seconds between two comparisons of the clocks during a wait. A jump of the wall clock ends the wait.
COMPARE_EVERY = 1.0
#: A larger difference of the two clocks (seconds) is a jump; a smaller one is synchronisation.
MIN_JUMP = 5.0
#: The id of APScheduler's job, which ends a wait.
_JOB = "due"
#: Counts while the machine is suspended. Linux's monotonic clock does not.
_STEADY_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class ClockReading(NamedTuple):
    """One moment by both clocks: ``wall`` is the system time; ``steady`` counts seconds and can't be set."""

    wall: datetime
    steady: float


def read_clocks() -> ClockReading:
    return ClockReading(datetime.now(UTC), time.clock_gettime(_STEADY_CLOCK))


def clock_jump(before: ClockReading, after: ClockReading) -> timedelta | None:
    """By how much the wall clock was set between two readings, negative = back; None if it was not set."""
    found = after.wall - before.wall - timedelta(seconds=after.steady - before.steady)
    return found if abs(found.total_seconds()) > MIN_JUMP else None


def wait_seconds(most: float | None = None) -> float:
    """The longest duration of a wait in seconds: ``most``, up to MAX_WAIT."""
    return MAX_WAIT if most is None else min(most, MAX_WAIT)


class _FunctionTrigger(BaseTrigger):  # type: ignore[misc]  # it has no types
    """Fires at the times that a function returns: the first one after a moment."""

    def __init__(self, after: Callable[[datetime], datetime]) -> None:
        self._after = after

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        return self._after(max(previous_fire_time or now, now))


class Timer:
    """A context that waits until something is due, and notices when the wall clock is set.

    APScheduler ends the wait on time, but by the wall clock: a clock set back would prolong the wait by the jump. So a
    jump ends a wait within COMPARE_EVERY, and APScheduler computes the next time again.

    ``after``: the next due time later than a moment, both in UTC. ``set_back`` is called with the size of each jump
    back, before the next due time is computed.
    """

    def __init__(
        self,
        after: Callable[[datetime], datetime],
        now: Callable[[], ClockReading] = read_clocks,
        set_back: Callable[[timedelta], None] = lambda by: None,
    ) -> None:
        self._after, self._now, self._set_back = after, now, set_back
        self._woken = threading.Event()
        self._last_reading = now()
        # It keeps the next time in memory only. The store has the slots and their runs.
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._scheduler.add_job(self.wake, _FunctionTrigger(after), id=_JOB, coalesce=True, misfire_grace_time=None)

    def wake(self) -> None:
        self._woken.set()

    def read_clock(self) -> datetime:
        """The time in UTC. If the clock was set since the last reading, log it and compute the next time again."""
        before, self._last_reading = self._last_reading, self._now()
        if by := clock_jump(before, self._last_reading):
            _log_jump(by, before.wall, self._last_reading.wall, self._after(self._last_reading.wall))
            if by < timedelta(0):
                self._set_back(-by)
            self.reschedule()
        return self._last_reading.wall

    def wait(self, most: float | None = None) -> None:
        """Wait until something is due, ``wake`` is called, or the wall clock is set.

        ``most``: the longest wait in seconds, up to MAX_WAIT.
        """
        remaining = wait_seconds(most)
        while not self._woken.wait(min(remaining, COMPARE_EVERY)) and remaining > COMPARE_EVERY:
            remaining -= COMPARE_EVERY
            if clock_jump(self._last_reading, self._now()):
                return
        self._woken.clear()

    def reschedule(self) -> None:
        """Compute the next time from now, after a change of the clock or of the schedules."""
        self._scheduler.reschedule_job(_JOB, trigger=_FunctionTrigger(self._after))

    def __enter__(self) -> Self:
        self._scheduler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._scheduler.shutdown(wait=False)


def _log_jump(by: timedelta, before: datetime, now: datetime, following: datetime) -> None:
    direction, effect = "forward", "One run makes up for the times in between."
    if by < timedelta(0):
        direction, effect = "back", "Times that had their run do not run again."
        if -by > MAX_CLOCK_DIFFERENCE:
            effect = "Times run again, by the present clock."
    size, was, shown, next_time = (
        duration(abs(by.total_seconds())),
        utc_time(before),
        utc_time(now),
        utc_time(following),
    )
    message = "the clock was set %s by %s: it was %s, it is %s. %s The next time is %s"
    log.warning(message, direction, size, was, shown, effect, next_time)

"""Wait for the next time of a schedule in short waits, whatever becomes of the wall clock, and log when it is set."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import NamedTuple, Self

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from audience_sync.store.runs.schedule_slots import MAX_CLOCK_DIFFERENCE
from audience_sync.text import duration

log = logging.getLogger("audience_sync.schedule")

#: Seconds after which a look is taken at the latest: another scheduler may have died.
MAX_WAIT = 30.0
#: Seconds between two comparisons of the clocks during a wait. A wall clock that was set ends the wait.
COMPARE_EVERY = 1.0
#: Seconds by which the wall clock may differ from the steady one before it was set, and not only kept in step.
MIN_JUMP = 5.0
#: The job that wakes whoever waits.
_JOB = "due"
#: Counts the time in which the machine is suspended, which Linux's monotonic clock doesn't.
_STEADY_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class ClockReading(NamedTuple):
    """One moment by both clocks: ``wall`` is what people call it, ``steady`` counts seconds and can't be set."""

    wall: datetime
    steady: float


def read_clocks() -> ClockReading:
    return ClockReading(datetime.now(UTC), time.clock_gettime(_STEADY_CLOCK))


def clock_jump(before: ClockReading, after: ClockReading) -> timedelta | None:
    """By how much the wall clock was set meanwhile, less than zero where it was set back; None where it was not."""
    found = after.wall - before.wall - timedelta(seconds=after.steady - before.steady)
    return found if abs(found.total_seconds()) > MIN_JUMP else None


def wait_seconds(most: float | None = None) -> float:
    """Seconds that a wait lasts at the longest: ``most``, or LOOK_EVERY where that is less."""
    return MAX_WAIT if most is None else min(most, MAX_WAIT)


class _FunctionTrigger(BaseTrigger):  # type: ignore[misc]  # it has no types
    """Fires at the times that a function gives: the first one after a moment."""

    def __init__(self, after: Callable[[datetime], datetime]) -> None:
        self._after = after

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        return self._after(max(previous_fire_time or now, now))


class Timer:
    """A context. Waits until something is due, and notices when the wall clock is set.

    APScheduler wakes it on time. It waits by the wall clock, though: one that was set would keep it asleep for as long
    as the jump. So a jump ends a wait within COMPARE_EVERY, and APScheduler counts again.

    ``after``: when something is due next, later than a moment; both in UTC. ``set_back`` is called with the size of
    each jump back, before the next time is asked for.
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
        # Only times are kept here, and in memory: the store has what is due and what was done.
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._scheduler.add_job(self.wake, _FunctionTrigger(after), id=_JOB, coalesce=True, misfire_grace_time=None)

    def wake(self) -> None:
        self._woken.set()

    def read_clock(self) -> datetime:
        """Return the time in UTC. A clock that was set since the last look is logged."""
        before, self._last_reading = self._last_reading, self._now()
        if by := clock_jump(before, self._last_reading):
            _log_jump(by, before.wall, self._last_reading.wall, self._after(self._last_reading.wall))
            if by < timedelta(0):
                self._set_back(-by)
            self.reschedule()
        return self._last_reading.wall

    def wait(self, most: float | None = None) -> None:
        """Until something is due, ``wake`` is called, the wall clock is set, or ``most`` seconds have passed; not
        longer than LOOK_EVERY."""
        left = wait_seconds(most)
        while not self._woken.wait(min(left, COMPARE_EVERY)) and left > COMPARE_EVERY:
            left -= COMPARE_EVERY
            if clock_jump(self._last_reading, self._now()):
                return
        self._woken.clear()

    def reschedule(self) -> None:
        """Find the next time from the present: the clock or the schedules are others."""
        self._scheduler.reschedule_job(_JOB, trigger=_FunctionTrigger(self._after))

    def __enter__(self) -> Self:
        self._scheduler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._scheduler.shutdown(wait=False)


def _log_jump(by: timedelta, before: datetime, now: datetime, following: datetime) -> None:
    words = "the clock was set %s by %s: it was %s, it is %s. %s The next time is %s"
    if by < timedelta(0):
        way = "back"
        effect = (
            "Times run again, by the present clock."
            if -by > MAX_CLOCK_DIFFERENCE
            else "Times that had their run do not run again."
        )
    else:
        way, effect = "forward", "One run makes up for the times in between."
    size = duration(abs(by.total_seconds()))
    log.warning(words, way, size, _text(before), _text(now), effect, _text(following))


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

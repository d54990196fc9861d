"""Wait for the next time of a schedule in short waits, whatever becomes of the wall clock, and log when it is set."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from audience_sync.wording import duration

log = logging.getLogger("audience_sync.schedule")

#: Seconds after which a look is taken at the latest: the machine's clock may have been set, or another scheduler died.
LOOK_EVERY = 30.0
#: Seconds by which the wall clock may differ from the steady one before it was set, and not only kept in step.
STEP = 5.0
#: Seconds that a wait goes beyond the time it is for, so that the time has come when it ends.
_BEYOND = 0.001
#: Counts the time in which the machine is suspended, which Linux's monotonic clock doesn't.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Instant(NamedTuple):
    """One moment by both clocks: ``wall`` is what people call it, ``steady`` counts seconds and can't be set."""

    wall: datetime
    steady: float


def instant() -> Instant:
    return Instant(datetime.now(UTC), time.clock_gettime(_STEADY))


def jump(before: Instant, after: Instant) -> timedelta | None:
    """By how much the wall clock was set meanwhile, less than zero where it was set back; None where it was not."""
    found = after.wall - before.wall - timedelta(seconds=after.steady - before.steady)
    return found if abs(found.total_seconds()) > STEP else None


def pause(due: datetime, now: datetime, most: float | None = None) -> float:
    """Seconds to wait until something is due: ``most`` or LOOK_EVERY at the longest, however far away it seems."""
    longest = LOOK_EVERY if most is None else min(most, LOOK_EVERY)
    return min(max((due - now).total_seconds() + _BEYOND, 0.0), longest)


@dataclass
class Clock:
    """Waits until something is due, and notices when the wall clock is set.

    ``after``: when something is due next, later than a moment; both in UTC.
    """

    after: Callable[[datetime], datetime]
    now: Callable[[], Instant] = instant

    def __post_init__(self) -> None:
        self._woken = threading.Event()
        self._seen = self.now()

    def wake(self) -> None:
        self._woken.set()

    def look(self) -> datetime:
        """What time it is. A clock that was set since the last look is logged."""
        before, self._seen = self._seen, self.now()
        if by := jump(before, self._seen):
            _log_jump(by, before.wall, self._seen.wall, self.after(self._seen.wall))
        return self._seen.wall

    def wait(self, since: datetime, most: float | None = None) -> None:
        """Until something is due that was not ``since``, ``wake`` is called, or ``most`` seconds have passed."""
        self._woken.wait(pause(self.after(since), self.look(), most))
        self._woken.clear()


def _log_jump(by: timedelta, before: datetime, now: datetime, following: datetime) -> None:
    words = "the clock was set %s by %s: it was %s, it is %s. %s The next time is %s"
    if by < timedelta(0):
        way, effect = "back", "Times that had their run do not run again."
    else:
        way, effect = "forward", "One run makes up for the times in between."
    size = duration(abs(by.total_seconds()))
    log.warning(words, way, size, _text(before), _text(now), effect, _text(following))


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

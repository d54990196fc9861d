"""The clock: it wakes whoever waits when something is due, and now and then to look."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

#: Seconds after which a look is taken at the latest: the machine's clock may have been set, or another scheduler died.
LOOK_EVERY = 30


class _Next(BaseTrigger):  # type: ignore[misc]  # it has no types
    """Fires at the times that a function gives: the first one after a moment."""

    def __init__(self, after: Callable[[datetime], datetime]) -> None:
        self._after = after

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        return self._after(max(previous_fire_time or now, now))


class Clock:
    """A context. ``after``: when something is due next, later than a moment; both in UTC."""

    def __init__(self, after: Callable[[datetime], datetime]) -> None:
        self._woken = threading.Event()
        # Only times are kept here, and in memory: what is due, and what was done, is the store's to know.
        self._scheduler = BackgroundScheduler(timezone=UTC)
        options = {"coalesce": True, "misfire_grace_time": None}
        self._scheduler.add_job(self.wake, _Next(after), id="due", **options)
        self._scheduler.add_job(self.wake, "interval", seconds=LOOK_EVERY, **options)

    def wake(self) -> None:
        self._woken.set()

    def wait(self, seconds: float | None = None) -> None:
        """Until something is due, ``wake`` is called, or so many seconds have passed."""
        self._woken.wait(seconds)
        self._woken.clear()

    def set(self, after: Callable[[datetime], datetime]) -> None:
        """Other times from now on."""
        self._scheduler.reschedule_job("due", trigger=_Next(after))

    def __enter__(self) -> Self:
        self._scheduler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._scheduler.shutdown(wait=False)

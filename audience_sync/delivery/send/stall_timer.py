"""Give a destination up after too long a time without progress."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class StallTimer:
    """The time since the last final answer, and whether to stop. All senders of a destination share it.

    ``give_up_after``: seconds without progress. ``rate_limited``: the destination stopped because it accepts no further
    calls for now, which does not count as a failure.
    """

    give_up_after: float
    clock: Callable[[], float] = time.monotonic
    stopped: threading.Event = field(default_factory=threading.Event)
    reason: str = ""
    rate_limited: bool = False
    last_progress: float = 0.0

    def __post_init__(self) -> None:
        self.last_progress = self.clock()

    def record_progress(self) -> None:
        self.last_progress = self.clock()

    def stop(self, reason: str, *, rate_limited: bool = False) -> None:
        if not self.stopped.is_set():
            self.reason, self.rate_limited = reason, rate_limited
            self.stopped.set()

    def remaining(self) -> float:
        """Return the seconds left before the destination is given up."""
        return self.last_progress + self.give_up_after - self.clock()

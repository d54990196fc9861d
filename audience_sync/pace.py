"""Estimate speed and time left from counts over time, and claim nothing that the counts don't show."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

#: Seconds over which the speed is measured, waits included; at slow rates over so many samples.
WINDOW, MIN_SAMPLES = 30.0, 4
#: Samples closer than this are one, in seconds.
STEP = 0.2
#: Nothing is estimated before so many seconds and so many samples after the start.
KNOWN_AFTER, KNOWN_SAMPLES = 2.0, 2
#: An answer is overdue after so many seconds, or so many times the usual time between two samples.
OVERDUE, OVERDUE_TIMES = 2.0, 3.0
#: Seconds without an answer that are worth showing.
SILENT = 5.0


class Sample(Struct, frozen=True):
    """A count at a time (seconds of a monotonic clock)."""

    at: float
    count: int


class Wait(Struct, frozen=True):
    """A pause that a destination asked for, or that follows its failure: from when until when.

    ``for_all``: no request goes meanwhile; otherwise other senders may get answers.
    """

    since: float
    until: float
    for_all: bool = False


class Pace(Struct, frozen=True):
    """How a count has grown since the sending started. ``wait``: the last pause."""

    samples: tuple[Sample, ...]
    wait: Wait | None = None

    @classmethod
    def started(cls, at: float, count: int = 0) -> Pace:
        return cls((Sample(at, count),))

    def counted(self, at: float, count: int) -> Pace:
        """The pace with another count: an equal one adds nothing, and after a smaller one the measure starts again.

        It also starts again after an outage, because the speed before it shows nothing about the one after it.
        """
        last = self.samples[-1]
        if count < last.count:
            return Pace.started(at, count)
        if count == last.count:
            return self
        wait = self._pause_since_answer
        if wait is not None and at - last.at >= WINDOW:
            return Pace((Sample(min(wait.until, at), last.count), Sample(at, count)))
        kept = self.samples
        if len(kept) > 1 and at - kept[-2].at < STEP:
            kept = kept[:-1]
        return replace(self, samples=_within(WINDOW, (*kept, Sample(max(at, last.at), count))))

    def waiting(self, wait: Wait) -> Pace:
        return replace(self, wait=wait)

    def wait_left(self, now: float) -> float | None:
        """Seconds until the pause ends; None without one, or if others have got an answer since it began."""
        wait = self._pause_since_answer
        return wait.until - now if wait is not None and now < wait.until else None

    def rate(self, now: float) -> float | None:
        """Units a second lately; None if too little has come to know, and from a pause until the next answer."""
        first, last = self.samples[0], self.samples[-1]
        if self._pause_since_answer is not None:
            return None
        if len(self.samples) <= KNOWN_SAMPLES or now - first.at < KNOWN_AFTER or last.at <= first.at:
            return None
        return (last.count - first.count) / (last.at - first.at)

    def seconds_left(self, now: float, remaining: int) -> float | None:
        """Seconds until ``remaining`` more are counted, more than 0.

        None if that can't be known: at the start, from a pause until the next answer, and while an answer is overdue.
        """
        rate = self.rate(now)
        if not rate or remaining <= 0 or now - self.samples[-1].at > self._patience:
            return None
        left = remaining / rate - (now - self.samples[-1].at)
        return left if left > 0 else None

    def silent(self, now: float) -> float | None:
        """Seconds without an answer, if they are many for this pace; None during a pause.

        A pause that the destination asked for does not count, and one after its failure does.
        """
        since, wait = self.samples[-1].at, self._pause_since_answer
        if wait is not None and now < wait.until:
            return None
        quiet = now - (max(since, wait.until) if wait is not None and wait.for_all else since)
        is_outage = wait is not None and not wait.for_all
        return quiet if quiet >= SILENT and (is_outage or quiet > self._patience) else None

    @property
    def _pause_since_answer(self) -> Wait | None:
        """The last pause, unless only one sender made it and others have got an answer since."""
        wait, last = self.wait, self.samples[-1]
        return wait if wait is not None and (wait.since >= last.at or (wait.for_all and wait.until > last.at)) else None

    @property
    def _patience(self) -> float:
        """Seconds after which an answer is overdue."""
        first, last, steps = self.samples[0], self.samples[-1], len(self.samples) - 1
        return max(OVERDUE, OVERDUE_TIMES * (last.at - first.at) / steps if steps else SILENT)


def _within(window: float, samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The samples of the last seconds and the one before them, and at least MIN_SAMPLES."""
    start = samples[-1].at - window
    old = sum(each.at <= start for each in samples[1:])
    return tuple(samples[min(old, max(len(samples) - MIN_SAMPLES, 0)) :])

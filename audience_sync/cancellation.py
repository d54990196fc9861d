"""Cancel a run from another thread, with the effect of Ctrl-C: KeyboardInterrupt is raised where the run waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future

#: Seconds between two looks at a request, and between two attempts to interrupt a query.
INTERVAL = 0.1


class Cancellation:
    """The request to cancel one run. ``is_raised``: the run has met it, and cleans up without further interruption."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._stops = list[Callable[[], None]]()
        self.is_raised = False

    @property
    def is_requested(self) -> bool:
        return self._requested.is_set()

    def request(self) -> None:
        """Cancel the run, and interrupt its present queries. It may be called again, for a query that began later."""
        self._requested.set()
        if not self.is_raised:
            for stop in tuple(self._stops):
                with suppress(Exception):  # the query may have ended
                    stop()

    @contextmanager
    def interrupting(self, stop: Callable[[], None]) -> Iterator[None]:
        """A context whose work ``stop`` interrupts."""
        self._stops.append(stop)
        try:
            yield
        finally:
            self._stops.remove(stop)

    def check(self) -> None:
        """Raise KeyboardInterrupt once, after the request."""
        if self.is_requested and not self.is_raised:
            self.is_raised = True
            raise KeyboardInterrupt


_current: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)


@contextmanager
def cancelled_by(cancellation: Cancellation) -> Iterator[None]:
    """A context whose run this cancels; also in the threads that get a copy of its context."""
    token = _current.set(cancellation)
    try:
        yield
    finally:
        _current.reset(token)


def check_cancelled() -> None:
    """Raise KeyboardInterrupt if the present run is cancelled."""
    if (cancellation := _current.get()) is not None:
        cancellation.check()


def wait_or_cancel(futures: Collection[Future[Any]], timeout: float | None = None) -> bool:
    """Wait until all are done, at most ``timeout`` seconds; whether they are. Raises KeyboardInterrupt if cancelled."""
    from concurrent.futures import wait

    if (cancellation := _current.get()) is None:
        return not wait(futures, timeout).not_done
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        rest = INTERVAL if until is None else max(0.0, min(INTERVAL, until - time.monotonic()))
        if not wait(futures, rest).not_done:
            return True
        cancellation.check()
        if until is not None and time.monotonic() >= until:
            return False


@contextmanager
def interruptible(stop: Callable[[], None]) -> Iterator[None]:
    """A context whose work ``stop`` interrupts if the run is cancelled; its error is then a KeyboardInterrupt."""
    if (cancellation := _current.get()) is None:
        yield
        return
    with cancellation.interrupting(stop):
        try:
            yield
        except Exception as error:
            if cancellation.is_requested and "interrupt" in str(error).lower():
                cancellation.is_raised = True
                raise KeyboardInterrupt from None
            raise

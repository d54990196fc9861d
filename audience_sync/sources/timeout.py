"""Stop work that takes too long: a query, a file system, a server that no longer answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from datetime import timedelta
from typing import Generic, TypeVar

Result = TypeVar("Result")
#: Seconds that work has to end after a request to stop; then its thread is abandoned.
GRACE_SECONDS = 5.0
#: Seconds between two attempts to stop: the first may fall between two statements.
STOP_INTERVAL_SECONDS = 0.2


class OverdueError(Exception):
    """The work took longer than allowed and was stopped."""


class Deadline:
    """A moment, some time from now."""

    def __init__(self, allowed: timedelta) -> None:
        self._at = time.monotonic() + allowed.total_seconds()

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, at most as many as a thread can wait."""
        return min(max(self._at - time.monotonic(), 0.0), threading.TIMEOUT_MAX)


def run_in_time(deadline: Deadline, work: Callable[[], Result], stop: Callable[[], None]) -> Result:
    """The result of work in a separate thread; at the deadline, ``stop`` interrupts it.

    A driver may wait for its server forever; then only another thread can continue, and the work is abandoned. Raises
    the errors of the work, and OverdueError.
    """
    outcome = _Outcome[Result]()
    context = copy_context()
    threading.Thread(target=lambda: context.run(outcome.run, work), daemon=True).start()
    try:
        is_done = outcome.done.wait(deadline.remaining)
    except BaseException:  # a person interrupts the run
        _stop_until(outcome.done, stop)
        raise
    if not is_done:
        _stop_until(outcome.done, stop)
        raise OverdueError
    return outcome.result()


@contextmanager
def stop_when_overdue(deadline: Deadline, stop: Callable[[], None]) -> Iterator[None]:
    """Interrupt the work of this thread by ``stop`` at the deadline. Raises OverdueError."""
    done, is_late = threading.Event(), threading.Event()

    def watch() -> None:
        if not done.wait(deadline.remaining):
            is_late.set()
            _stop_until(done, stop, grace=threading.TIMEOUT_MAX)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except Exception:
        if is_late.is_set():
            raise OverdueError from None
        raise
    finally:
        done.set()
        watcher.join()


def _stop_until(done: threading.Event, stop: Callable[[], None], grace: float = GRACE_SECONDS) -> None:
    until = time.monotonic() + grace
    while time.monotonic() < until:
        with suppress(Exception):  # work that can't be stopped is abandoned
            stop()
        if done.wait(STOP_INTERVAL_SECONDS):
            return


class _Outcome(Generic[Result]):
    """The result or the error of work in another thread."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self._results: list[Result] = []
        self._error: BaseException | None = None

    def run(self, work: Callable[[], Result]) -> None:
        try:
            self._results.append(work())
        except BaseException as error:
            self._error = error
        finally:
            self.done.set()

    def result(self) -> Result:
        if self._error is not None:
            raise self._error
        return self._results[0]

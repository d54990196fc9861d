"""Stop work that takes too long: a query, a file system, a server that no longer answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from contextvars import copy_context
from datetime import timedelta
from typing import TypeVar

from audience_sync.cancellation import wait_or_cancel

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
    outcome = Future[Result]()
    context = copy_context()

    def run() -> None:
        try:
            outcome.set_result(context.run(work))
        except BaseException as error:
            outcome.set_exception(error)

    def ends_within(seconds: float) -> bool:
        return bool(wait([outcome], seconds).done)

    threading.Thread(target=run, daemon=True).start()
    try:
        is_done = wait_or_cancel([outcome], deadline.remaining)
    except BaseException:  # a person interrupts the run
        _stop_until(ends_within, stop)
        raise
    if not is_done:
        _stop_until(ends_within, stop)
        raise OverdueError
    return outcome.result()


@contextmanager
def stop_when_overdue(deadline: Deadline, stop: Callable[[], None]) -> Iterator[None]:
    """Interrupt the work of this thread by ``stop`` at the deadline. Raises OverdueError."""
    done, is_late = threading.Event(), threading.Event()

    def watch() -> None:
        if not done.wait(deadline.remaining):
            is_late.set()
            _stop_until(done.wait, stop, grace=threading.TIMEOUT_MAX)

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


def _stop_until(ends_within: Callable[[float], bool], stop: Callable[[], None], grace: float = GRACE_SECONDS) -> None:
    until = time.monotonic() + grace
    while time.monotonic() < until:
        with suppress(Exception):  # work that can't be stopped is abandoned
            stop()
        if ends_within(STOP_INTERVAL_SECONDS):
            return

"""Stop what takes too long: a query, a file system, a server that no longer answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from datetime import timedelta
from typing import Generic, TypeVar

Found = TypeVar("Found")
#: Seconds that work has to end once it was asked to, before its thread is left behind.
GRACE = 5.0
#: Seconds between two attempts to stop a statement: the first may come just between two of them.
AGAIN = 0.2


class OverdueError(Exception):
    """The work was not done in time, and was stopped."""


class Deadline:
    """A moment, some time from now."""

    def __init__(self, allowed: timedelta) -> None:
        self._at = time.monotonic() + allowed.total_seconds()

    @property
    def left(self) -> float:
        """Seconds, at most as many as a thread can wait."""
        return min(max(self._at - time.monotonic(), 0.0), threading.TIMEOUT_MAX)


def in_time(deadline: Deadline, work: Callable[[], Found], stop: Callable[[], None]) -> Found:
    """The result of work in a thread of its own. ``stop`` asks it to end; what doesn't is left behind.

    A driver may wait for its server for ever, and only another thread can go on then. Raises what the work raises, and
    OverdueError.
    """
    outcome = _Outcome[Found]()
    context = copy_context()
    threading.Thread(target=lambda: context.run(outcome.fill, work), daemon=True).start()
    try:
        is_done = outcome.done.wait(deadline.left)
    except BaseException:  # a person interrupts the run
        _stop(outcome.done, stop)
        raise
    if not is_done:
        _stop(outcome.done, stop)
        raise OverdueError
    return outcome.result()


@contextmanager
def watched(deadline: Deadline, stop: Callable[[], None]) -> Iterator[None]:
    """While this thread works, another one asks it to ``stop`` when it is time. Raises OverdueError."""
    done, is_late = threading.Event(), threading.Event()

    def watch() -> None:
        if not done.wait(deadline.left):
            is_late.set()
            _stop(done, stop, grace=threading.TIMEOUT_MAX)

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


def _stop(done: threading.Event, stop: Callable[[], None], grace: float = GRACE) -> None:
    until = time.monotonic() + grace
    while time.monotonic() < until:
        with suppress(Exception):  # what can't be stopped is left behind
            stop()
        if done.wait(AGAIN):
            return


class _Outcome(Generic[Found]):
    """What becomes of work in another thread."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self._found: list[Found] = []
        self._error: BaseException | None = None

    def fill(self, work: Callable[[], Found]) -> None:
        try:
            self._found.append(work())
        except BaseException as error:
            self._error = error
        finally:
            self.done.set()

    def result(self) -> Found:
        if self._error is not None:
            raise self._error
        return self._found[0]

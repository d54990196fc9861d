"""Report the progress of a run to a function, and cancel the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, Self

from msgspec import Struct

from audience_sync.cancellation import INTERVAL, Cancellation, cancelled_by, check_cancelled
from audience_sync.errors import RunCancelledError
from audience_sync.pace import Wait

if TYPE_CHECKING:
    from audience_sync.delivery.deliver import DeliveryStats
    from audience_sync.sync.values.request import ProgressListener


class Loading(Struct, frozen=True):
    """The run begins to load an audience or an entry of computed traits."""

    entry: str


class Delivering(Struct, frozen=True, kw_only=True):
    """How far the delivery to one destination is: ``delivered`` and ``refused`` of ``calls`` have an answer.

    ``calls``: those that the run sends at most. ``pause``: the last wait before a request, by the monotonic clock.
    """

    destination: str
    calls: int
    delivered: int
    refused: int
    requests: int
    retries: int
    pause: Wait | None = None


Event = Loading | Delivering
Progress = Callable[[Event], None]


class CancelEvent(Protocol):
    """An event of ``threading`` or ``multiprocessing``."""

    def is_set(self) -> bool: ...


Cancelled = CancelEvent | Callable[[], bool]

_CANCELLED = "The run was cancelled. Every answer received so far is recorded. The next run sends the rest."


@contextmanager
def watching(progress: Progress | None, cancelled: Cancelled | None) -> Iterator[ProgressListener]:
    """A context with the listener of a run, which ``cancelled`` ends as Ctrl-C ends a command.

    Raises RunCancelledError, or the error that ``progress`` or ``cancelled`` raised, which cancels the run, too.
    """
    from audience_sync.sync.values.request import ProgressListener

    if progress is None and cancelled is None:
        yield ProgressListener()
        return
    watch = _Watch(progress, cancelled)
    with watch, cancelled_by(watch.cancellation):
        try:
            watch.ask()
            check_cancelled()  # before anything is done
            yield ProgressListener(watch.load, watch.deliver)
        except KeyboardInterrupt:
            if watch.error is None and watch.cancellation.is_raised:
                raise RunCancelledError(_CANCELLED) from None
            if watch.error is None:
                raise
    if watch.error is not None:
        raise watch.error


class _Watch:
    """Passes events on, one at a time, and asks every tenth of a second whether to cancel."""

    def __init__(self, progress: Progress | None, cancelled: Cancelled | None) -> None:
        self._progress = progress
        self._is_cancelled = cancelled if cancelled is None or callable(cancelled) else cancelled.is_set
        self._lock = threading.RLock()
        self._parts: dict[str, list[DeliveryStats]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="cancellation", daemon=True)
        self.cancellation = Cancellation()
        self.error: BaseException | None = None

    def load(self, entry: str) -> None:
        self._report(Loading(entry))
        self.ask()
        check_cancelled()

    def deliver(self, stats: DeliveryStats) -> None:
        with self._lock:
            parts = self._parts.setdefault(stats.name, [])
            if not any(each is stats for each in parts):
                parts.append(stats)
        self._report(delivering(parts))

    def _report(self, event: Event) -> None:
        if self._progress is None:
            return
        with self._lock:
            if self.error is None:
                try:
                    self._progress(event)
                except BaseException as error:
                    self._fail(error)

    def _look(self) -> None:
        while not self._ended.wait(INTERVAL):
            self.ask()

    def ask(self) -> None:
        try:
            if self.cancellation.is_requested or (self._is_cancelled is not None and self._is_cancelled()):
                self.cancellation.request()
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End the run, which has no use for an error of the caller's own code."""
        self.error = self.error or error
        self.cancellation.request()

    def __enter__(self) -> Self:
        if self._is_cancelled is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._is_cancelled is not None:
            self._thread.join()


def delivering(parts: Sequence[DeliveryStats]) -> Delivering:
    """The progress of one destination, whose deliveries come one after another."""
    return Delivering(
        destination=parts[-1].name,
        calls=sum(each.calls if each.most is None else min(each.calls, each.most) for each in parts),
        delivered=sum(each.delivered for each in parts),
        refused=sum(each.refused for each in parts),
        requests=sum(each.requests for each in parts),
        retries=sum(each.retries for each in parts),
        pause=parts[-1].pause,
    )

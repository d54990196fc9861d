"""Report the progress of a run to a function, and cancel the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from audience_sync.delivery.deliver import DeliveryStats
    from audience_sync.sync.values.request import ProgressListener


class Loading(Struct, frozen=True):
    """The run begins to load an audience or an entry of computed traits."""

    entry: str


class Delivering(Struct, frozen=True, kw_only=True):
    """How far the delivery to one destination is: ``delivered`` and ``refused`` of ``calls`` have an answer."""

    destination: str
    calls: int
    delivered: int
    refused: int
    requests: int
    retries: int


Event = Loading | Delivering
Progress = Callable[[Event], None]
Cancelled = threading.Event | Callable[[], bool]


@contextmanager
def watching(progress: Progress | None, cancelled: Cancelled | None) -> Iterator[ProgressListener]:
    """A context with the listener of a run."""
    from audience_sync.sync.values.request import ProgressListener

    if progress is None:
        yield ProgressListener()
        return
    lock = threading.Lock()

    def report(event: Event) -> None:
        with lock:
            progress(event)

    def deliver(stats: DeliveryStats) -> None:
        report(
            Delivering(
                destination=stats.name,
                calls=stats.calls,
                delivered=stats.delivered,
                refused=stats.refused,
                requests=stats.requests,
                retries=stats.retries,
            )
        )

    yield ProgressListener(lambda entry: report(Loading(entry)), deliver)

"""What does a person see while a run is at work? Bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from audience_sync.delivery.deliver import Tally
from audience_sync.sync.order import Watch

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = logging.getLogger("audience_sync")

#: Seconds between two lines where there is no terminal.
LINE_EVERY = 10.0


class RunProgress:
    """Shows on stderr what is loaded, and how far each destination is, with the time left."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._loading: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}
        self._lines: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def watch(self) -> Watch:
        return Watch(self._load, self._deliver)

    def _load(self, what: str) -> None:
        log.debug("loading %s", what)
        if self._bars:
            if self._loading is None:
                self._loading = self._bars.add_task("loading", total=None)
            self._bars.update(self._loading, description=f"loading {what}")

    def _deliver(self, tally: Tally) -> None:
        with self._lock:
            if self._bars:
                self._advance(self._bars, tally)
            elif time.monotonic() - self._lines.setdefault(tally.name, time.monotonic()) > LINE_EVERY:
                self._lines[tally.name] = time.monotonic()
                words = "destination %s: %d of %d calls answered"
                log.info(words, tally.name, _answered(tally), tally.calls, extra={"destination": tally.name})

    def _advance(self, bars: Progress, tally: Tally) -> None:
        if self._loading is not None:
            bars.remove_task(self._loading)
            self._loading = None
        if tally.name not in self._tasks:
            self._tasks[tally.name] = bars.add_task(f"telling {tally.name}", total=tally.calls)
        bars.update(self._tasks[tally.name], completed=_answered(tally), total=tally.calls)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bars = _bars()
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()


def _answered(tally: Tally) -> int:
    return tally.delivered + tally.refused


def _bars() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from audience_sync.cli.output import console

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(error=True),
        transient=True,
    )

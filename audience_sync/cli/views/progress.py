"""Show a run's progress on stderr: bars on a terminal, otherwise a line every 10 s."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from audience_sync.cli.base.layout import NORMAL, Screen
from audience_sync.cli.base.output import console, screen
from audience_sync.delivery.deliver import DeliveryStats
from audience_sync.sync.values.request import ProgressListener
from audience_sync.text import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = logging.getLogger("audience_sync")

#: Seconds between two lines without a terminal.
LINE_EVERY = 10.0
#: Width of a bar, in characters.
BAR = 14
#: Width of a destination's counts, rate and refusals, in characters.
COUNTS = 46
#: Characters between the columns of a line.
_GAPS = 2


class RunProgress:
    """Shows what is being loaded, and each destination's progress with calls a second and the time left."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars: Progress | None = None
        self._screen = Screen()
        self._loading: TaskID | None = None
        self._loaded = 0
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._lines: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def watch(self) -> ProgressListener:
        return ProgressListener(self._load, self._deliver)

    def _load(self, what: str) -> None:
        log.debug("loading %s", what)
        if self._bars:
            self._loaded += 1
            if self._loading is None:
                self._loading = self._bars.add_task("", total=None, text="", is_loading=True)
            self._bars.update(self._loading, description=loading_text(self._loaded, what, self._screen))

    def _deliver(self, stats: DeliveryStats) -> None:
        with self._lock:
            now = time.monotonic()
            began = self._began.setdefault(stats.name, now)
            if self._bars:
                self._advance(self._bars, stats, now - began)
            elif now - self._lines.setdefault(stats.name, now) > LINE_EVERY:
                self._lines[stats.name] = now
                log.info(progress_line(stats, now - began), extra={"destination": stats.name})

    def _advance(self, bars: Progress, stats: DeliveryStats, seconds: float) -> None:
        if self._loading is not None:
            bars.remove_task(self._loading)
            self._loading = None
        if stats.name not in self._tasks:
            name = sending_text(stats.name, self._screen)
            self._tasks[stats.name] = bars.add_task(name, total=stats.calls, text="", is_loading=False)
        text = f"{_answered_calls(stats):,} of {stats.calls:,}  {progress_text(stats, seconds)}"
        bars.update(self._tasks[stats.name], completed=_answered_calls(stats), total=stats.calls, text=text)

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._quiet:
            self._screen = screen(error=True)
            self._bars = _bars(self._screen)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()


def loading_text(number: int, what: str, where: Screen) -> str:
    """``Loading 2: audience vip``, without the name if it does not fit on the line."""
    text = f"Loading {number}: {what}"
    is_short = where.width is None or len(text) + _GAPS <= where.width
    return text if is_short else f"Loading {number}"


def sending_text(name: str, where: Screen) -> str:
    """The text before a destination's counts. A long name is split into several lines, to leave room for the counts."""
    width = where.width or NORMAL
    room = max(10, width - COUNTS - (0 if where.is_narrow else BAR + _GAPS))
    text = name if where.is_narrow else f"Sending to {name}"
    text = text if len(text) <= room else name
    return "\n".join(text[at : at + room] for at in range(0, len(text), room))


def progress_text(stats: DeliveryStats, seconds: float) -> str:
    """``200/s, 18 s left, 0 refused``, and ``done`` at the end."""
    answered = _answered_calls(stats)
    if answered >= stats.calls:
        return "done" if not stats.refused else f"done, {stats.refused:,} refused"
    rate = answered / seconds if seconds > 0 else 0.0
    speed = [f"{rate:,.0f}/s" if rate >= 1 else f"{rate * 60:,.0f}/min"] if rate else []
    left = [f"{duration((stats.calls - answered) / rate)} left"] if rate else []
    return ", ".join([*speed, *left, f"{stats.refused:,} refused"])


def progress_line(stats: DeliveryStats, seconds: float) -> str:
    """``segment: 2,200 of 4,700 calls answered, 0 refused, 13 s left``."""
    answered = _answered_calls(stats)
    rate = answered / seconds if seconds > 0 else 0.0
    left = f", {duration((stats.calls - answered) / rate)} left" if rate and answered < stats.calls else ""
    return f"{stats.name}: {answered:,} of {stats.calls:,} calls answered, {stats.refused:,} refused{left}"


def _answered_calls(stats: DeliveryStats) -> int:
    return stats.delivered + stats.refused


def _bars(where: Screen) -> Progress:
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Bar(BarColumn):
        """A bar that is hidden while snapshots are loaded, whose number is unknown."""

        def render(self, task: Task) -> object:  # type: ignore[override]  # an empty text in place of the bar
            return Text("") if task.fields["is_loading"] else super().render(task)

    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
    if where.width is not None and where.width >= NORMAL:
        columns.append(Bar(bar_width=BAR))
    columns.append(TextColumn("{task.fields[text]}", markup=False))
    return Progress(*columns, console=console(error=True), transient=True)

"""Show a run's progress on stderr: bars on a terminal, otherwise a line every 10 s."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from audience_sync.cli.base.layout import NORMAL, Screen
from audience_sync.cli.base.output import console, screen
from audience_sync.delivery.deliver import DeliveryStats
from audience_sync.pace import Pace
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
#: From so many seconds on the time left is in minutes.
MINUTES_FROM = 100
#: Characters between the columns of a line.
_GAPS = 2


class Sending(Struct, frozen=True, kw_only=True):
    """The progress of one destination. ``answered`` of ``calls`` have an answer, ``refused`` of them a refusal."""

    name: str
    calls: int
    answered: int
    refused: int
    pace: Pace


class RunProgress:
    """Shows what is being loaded, and each destination's progress with calls a second and the time left."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars: Progress | None = None
        self._screen = Screen()
        self._loading: TaskID | None = None
        self._loaded = 0
        self._tasks: dict[str, TaskID] = {}
        self._stats: dict[str, list[DeliveryStats]] = {}
        self._sending: dict[str, Sending] = {}
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
                self._loading = self._bars.add_task("", total=None, name="")
            self._bars.update(self._loading, description=loading_text(self._loaded, what, self._screen))

    def _deliver(self, stats: DeliveryStats) -> None:
        with self._lock:
            now, name = time.monotonic(), stats.name
            parts = self._stats.setdefault(name, [])
            if not any(each is stats for each in parts):
                parts.append(stats)
            sending = self._sending[name] = next_sending(self._sending.get(name), parts, now)
            if self._bars:
                self._advance(self._bars, sending)
            elif now - self._lines.setdefault(name, now) > LINE_EVERY:
                self._lines[name] = now
                log.info(progress_line(sending, now), extra={"destination": name})

    def _advance(self, bars: Progress, sending: Sending) -> None:
        if self._loading is not None:
            bars.remove_task(self._loading)
            self._loading = None
        if sending.name not in self._tasks:
            title = sending_text(sending.name, self._screen)
            self._tasks[sending.name] = bars.add_task(title, total=sending.calls, name=sending.name)
        bars.update(self._tasks[sending.name], completed=sending.answered, total=sending.calls)

    def _text(self, name: str) -> str:
        """The text of a destination now. It acquires no lock: the thread that draws owns one that `_deliver` needs."""
        return counts_text(self._sending[name], time.monotonic()) if name in self._sending else ""

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._quiet:
            self._screen = screen(error=True)
            self._bars = self._new_bars()
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def _new_bars(self) -> Progress:
        from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
        from rich.text import Text

        text_of = self._text

        class Bar(BarColumn):
            """A bar that is hidden while snapshots are loaded, whose number is unknown."""

            def render(self, task: Task) -> object:  # type: ignore[override]  # an empty text in place of the bar
                return super().render(task) if task.fields["name"] else Text("")

        class Counts(ProgressColumn):
            """The counts and the time left at the moment when the line is drawn."""

            def render(self, task: Task) -> Text:
                return Text(text_of(task.fields["name"]))

        columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
        if self._screen.width is not None and self._screen.width >= NORMAL:
            columns.append(Bar(bar_width=BAR))
        return Progress(*columns, Counts(), console=console(error=True), transient=True)


def next_sending(before: Sending | None, parts: list[DeliveryStats], now: float) -> Sending:
    """The progress of a destination after another answer or pause. ``parts``: its deliveries, one after another."""
    answered = sum(each.delivered + each.refused for each in parts)
    pace = Pace.started(now, answered) if before is None else before.pace.counted(now, answered)
    if parts[-1].pause is not None:
        pace = pace.waiting(parts[-1].pause)
    return Sending(
        name=parts[-1].name,
        calls=sum(each.calls if each.most is None else min(each.calls, each.most) for each in parts),
        answered=answered,
        refused=sum(each.refused for each in parts),
        pace=pace,
    )


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


def counts_text(sending: Sending, now: float) -> str:
    """``1,400 of 5,000  200/s, 18 s left, 0 refused``. The name is repeated where it fits."""
    counts = f"{sending.answered:,} of {sending.calls:,}  "
    named = counts + progress_text(sending, now)
    return named if len(named) <= COUNTS else counts + progress_text(sending, now, named=False)


def progress_text(sending: Sending, now: float, *, named: bool = True) -> str:
    """``200/s, 18 s left, 0 refused``; ``waiting for connect, 20 s, 0 refused``; ``done`` at the end."""
    if sending.answered >= sending.calls:
        return "done" if not sending.refused else f"done, {sending.refused:,} refused"
    return ", ".join([*_speed(sending, now, named=named), f"{sending.refused:,} refused"])


def progress_line(sending: Sending, now: float) -> str:
    """``segment: 2,200 of 4,700 calls answered, 0 refused, 200/s, 13 s left``."""
    speed = _speed(sending, now) if sending.answered < sending.calls else ()
    counts = f"{sending.answered:,} of {sending.calls:,} calls answered, {sending.refused:,} refused"
    return f"{sending.name}: {', '.join([counts, *speed])}"


def _speed(sending: Sending, now: float, *, named: bool = True) -> list[str]:
    """The pause, the time without an answer, or users a second and the time left: what the answers show."""
    pace = sending.pace
    if (wait := pace.wait_left(now)) is not None:
        return [f"waiting for {sending.name}" if named else "waiting", duration(wait)]
    if (silent := pace.silent(now)) is not None:
        return [f"no answer for {duration(silent)}"]
    rate, left = pace.rate(now), pace.seconds_left(now, sending.calls - sending.answered)
    speed = [f"{rate:,.0f}/s" if rate >= 1 else f"{rate * 60:,.0f}/min"] if rate else []
    return [*speed, *([f"{_left_text(left)} left"] if left is not None else [])]


def _left_text(seconds: float) -> str:
    """``18 s``, ``3 min``, ``2 h 5 min``: rounded, because it is an estimate."""
    return duration(seconds) if seconds < MINUTES_FROM else duration(round(seconds / 60) * 60)

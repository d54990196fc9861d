"""Show a run's progress on stderr: live lines on a terminal, otherwise a line in the log every 10 s."""

from __future__ import annotations

import logging
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from audience_sync.cli.base.layout import Screen, width_of
from audience_sync.cli.base.logging import is_json_log
from audience_sync.cli.base.output import console, screen
from audience_sync.cli.views.progress_lines import (
    BETWEEN,
    COUNTS,
    Sending,
    counts_text,
    loading_text,
    next_sending,
    progress_line,
    sending_lines,
)
from audience_sync.project.progress import Delivering, Event, Loading
from audience_sync.tracing import StageLog, current_stages

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

log = logging.getLogger("audience_sync")

#: Seconds between two lines of a destination without a terminal, and drawings a second on one.
LINE_EVERY, DRAWINGS = 10.0, 4


class RunProgress:
    """Shows what is being loaded, and each destination's progress with calls a second and the time left.

    It draws and logs in a thread of its own, so that a run which waits for an answer shows that, too.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet, self._has_begun = quiet, False
        self._live: Live | None = None
        self._screen = Screen()
        self._loading = ""
        self._loaded = 0
        self._stages: StageLog | None = None
        self._sending: dict[str, Sending] = {}
        self._room = COUNTS
        self._ended = threading.Event()

    def report(self, event: Event) -> None:
        """Show an event; the first one begins the display. An entry is loaded in the thread of the run."""
        self._begin()
        match event:
            case Loading(entry=what):
                log.debug("loading %s", what)
                self._loading, self._stages = what, current_stages()
                self._loaded += 1
            case Delivering(destination=name):
                self._sending[name] = next_sending(self._sending.get(name), event, time.monotonic())

    def _lines(self, where: Screen, now: float) -> list[str]:
        sending = list(self._sending.values())
        if sending:
            self._room = max(self._room, *(width_of(counts_text(each, now)) for each in sending))
            return sending_lines(sending, where, now, room=self._room)
        return [self._loading_line(where)] if self._loading else []

    def _loading_line(self, where: Screen) -> str:
        stages = self._stages.stages if self._stages else []
        between = BETWEEN.get(stages[-1].name) if stages else None
        of = self._stages.entries if self._stages else 0
        return between or loading_text(self._loaded, of, self._loading, where)

    def _drawing(self, shown: Console) -> Text:
        from rich.text import Text

        where = replace(self._screen, width=shown.width)
        return Text.from_ansi("\n".join(self._lines(where, time.monotonic())), no_wrap=True, overflow="crop")

    def _log_lines(self) -> None:
        while not self._ended.wait(LINE_EVERY):
            now = time.monotonic()
            for each in list(self._sending.values()):
                if each.answered < each.calls:
                    log.info(progress_line(each, now), extra={"destination": each.name})

    def _begin(self) -> None:
        if self._quiet or self._has_begun:
            return
        self._has_begun = True
        if sys.stderr.isatty() and not is_json_log():
            from rich.live import Live

            self._screen = screen(error=True)
            shown = console(error=True)
            self._live = Live(
                console=shown, get_renderable=partial(self._drawing, shown), refresh_per_second=DRAWINGS, transient=True
            )
            self._live.start()
        else:
            threading.Thread(target=self._log_lines, name="progress", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._live:
            self._live.stop()

"""Give the part of an open page that changes while a run is in progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audience_sync.dashboard.page import Visit
from audience_sync.dashboard.queries.progress import Progress, read_progress
from audience_sync.dashboard.queries.runs import newest_run, run_status

#: Seconds between two looks at the store: while a run is in progress, and otherwise.
BUSY_PAUSE, IDLE_PAUSE = 1.0, 5.0
#: Seconds after which a stream ends, and the browser connects again.
MOST_SECONDS = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A run now, with its progress while it is running. When ``state`` changes, the page asks for itself again."""

    state: tuple[int, str] | None
    progress: Progress | None = None

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        return IDLE_PAUSE if self.progress is None else BUSY_PAUSE


LivePart = Callable[[Visit], Live]


def home_part(visit: Visit) -> Live:
    """The newest run: the page asks for itself again when a run begins or ends."""
    found = newest_run(visit.connection)
    return _part(visit, *found) if found is not None else Live(state=None)


def run_part(visit: Visit) -> Live:
    """The run of the address."""
    run = visit.number("run")
    return _part(visit, run, run_status(visit.connection, run) or "")


def _part(visit: Visit, run: int, status: str) -> Live:
    progress = read_progress(visit.connection, run, visit.now) if status == "running" else None
    return Live(state=(run, status), progress=progress)

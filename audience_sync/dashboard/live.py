"""Give the parts of pages that change while a run is in progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from audience_sync.dashboard.page import Visit
from audience_sync.dashboard.queries.progress import read_progress
from audience_sync.dashboard.queries.runs import newest_run, run_status

#: Seconds between two looks at the store: while a run is in progress, and otherwise.
BUSY_PAUSE, IDLE_PAUSE = 1.0, 5.0
#: Seconds after which a stream ends, and the browser connects again.
MOST_SECONDS = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A part of a page now. When ``state`` changes, the whole page shows something else and asks for itself again.

    ``template``: of the part; empty if nothing is to be replaced. ``pause``: seconds until the next look.
    """

    state: object
    template: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    pause: float = IDLE_PAUSE


LivePart = Callable[[Visit], Live]


def home_part(visit: Visit) -> Live:
    """The run in progress; the page asks for itself again when a run begins or ends."""
    found = newest_run(visit.connection)
    if found is None:
        return Live(state=None)
    return _part(visit, *found)


def run_part(visit: Visit) -> Live:
    """The progress of one run."""
    run = visit.number("run")
    return _part(visit, run, run_status(visit.connection, run) or "")


def _part(visit: Visit, run: int, status: str) -> Live:
    if status != "running":
        return Live(state=(run, status))
    progress = read_progress(visit.connection, run, visit.now)
    return Live(
        state=(run, status),
        template="progress.html",
        context={"progress": progress, "now": visit.now},
        pause=BUSY_PAUSE,
    )

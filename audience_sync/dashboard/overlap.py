"""Keep the overlap of audiences, counted once after each run that changed them, in the background.

A page never waits for long: it shows what is counted, or that it is being counted.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from enum import Enum

from sqlalchemy import Connection

from audience_sync.dashboard.queries.overlap import SharedUsers, count_shared, has_members, read_sizes
from audience_sync.history.view_rows import read

log = logging.getLogger("audience_sync.dashboard")

#: The largest audiences that each audience is compared with.
LARGEST = 10
#: Seconds that one audience may take to be compared with all others.
SECONDS = 60.0
#: Seconds that a page waits for the count; then it asks for that part again.
PATIENCE = 0.2
Pair = frozenset[str]


class Progress(Enum):
    """How far the count is. A paused one continues when the run in progress has ended."""

    COUNTING = "counting"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """The counts after a run. ``sizes``: the compared audiences with their members."""

    run: int
    sizes: Mapping[str, int]
    shared: Mapping[Pair, SharedUsers]
    progress: Progress

    def between(self, one: str, other: str) -> SharedUsers | None:
        return self.shared.get(frozenset((one, other)))


@dataclass(slots=True, kw_only=True)
class _Counts:
    """The counts after one run, which threads fill: one for each audience whose page was opened."""

    run: int
    sizes: dict[str, int] = field(default_factory=dict)
    shared: dict[Pair, SharedUsers] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)
    workers: dict[str, threading.Thread] = field(default_factory=dict)


class OverlapCache:
    """The overlaps after the newest run, for all pages of a process."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection]]) -> None:
        """``connect``: a connection that only reads, whose statements have a time limit."""
        self._connect = connect
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._counts = _Counts(run=0)

    def of(self, key: str, size: int, *, patience: float = PATIENCE) -> Overlap | None:
        """Return what is counted for an audience and the largest ones; None if the store has no rows of members.

        While a run is in progress nothing is counted: the numbers of the run before it are shown.
        """
        with self._connect() as connection:
            if not has_members(connection):
                return None
            run, is_running = last_run(connection)
            sizes = {**({key: size} if size else {}), **read_sizes(connection, LARGEST)}
        with self._lock:
            if run != self._counts.run and not is_running:
                self._counts = _Counts(run=run)
            counts = self._counts
            if counts.run == run:
                counts.sizes |= sizes
            worker = counts.workers.get(key)
            if worker is None and not is_running and counts.progress.get(key) is not Progress.DONE:
                worker = threading.Thread(target=self._count, args=(counts, key, sizes), daemon=True, name="overlap")
                counts.progress[key] = Progress.COUNTING
                counts.workers[key] = worker
                worker.start()
        if worker is not None:
            worker.join(patience)
        with self._lock:
            shown = {each: counts.sizes[each] for each in sizes if each in counts.sizes}
            shared = {pair: each for pair, each in counts.shared.items() if pair <= shown.keys()}
            progress = counts.progress.get(key, Progress.PAUSED)
            return Overlap(run=counts.run, sizes=shown, shared=shared, progress=progress)

    def _count(self, counts: _Counts, key: str, sizes: Mapping[str, int]) -> None:
        """Count the missing pairs in a thread that gives way to everything else."""
        with suppress(OSError, AttributeError):  # on Linux a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        try:
            progress = Progress.DONE if self._count_pairs(counts, sizes) else Progress.PAUSED
        except Exception as error:  # a page without these numbers is better than none
            log.warning("The overlap of audience %s is not counted: %s", key, type(error).__name__)
            progress = Progress.FAILED
        with self._lock:
            counts.progress[key] = progress
            if progress is Progress.PAUSED:
                counts.workers.pop(key, None)  # the next visit starts another one

    def _count_pairs(self, counts: _Counts, sizes: Mapping[str, int]) -> bool:
        """Count one audience after the other, each in a short transaction; return False if a run began meanwhile."""
        with self._counting:  # one core is enough
            ordered = sorted(sizes, key=lambda key: (sizes[key], key))
            for number, smaller in enumerate(ordered, 1):
                missing = [each for each in ordered[number:] if frozenset((smaller, each)) not in counts.shared]
                if not missing:
                    continue
                with self._connect() as connection:
                    if last_run(connection) != (counts.run, False):
                        return False
                    found = count_shared(connection, smaller, sizes[smaller], missing)
                with self._lock:
                    counts.shared |= {frozenset((smaller, other)): each for other, each in found.items()}
        return True


def last_run(connection: Connection) -> tuple[int, bool]:
    """The newest run that has ended, and whether another one is in progress."""
    rows = read(connection, "select run, status from {views}sync_runs order by run desc limit 2")
    if not rows:
        return 0, False
    if rows[0]["status"] == "running":
        return (rows[1]["run"] if len(rows) > 1 else 0), True
    return rows[0]["run"], False

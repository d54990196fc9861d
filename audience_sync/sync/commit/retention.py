"""How old may the history become? After each run, what is older than ``retention`` goes, a little at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from audience_sync.config.models import Settings
from audience_sync.errors import StoreError
from audience_sync.model import HistoryKind
from audience_sync.store.audiences.absences import run_before_first_absence
from audience_sync.store.connection.lease import Lease
from audience_sync.store.runs.pruning import delivered_through, mark_pruned, prune
from audience_sync.store.runs.runs import last_run_started_by

log = logging.getLogger("audience_sync")

#: Rows looked at in one transaction: nobody who reads or writes waits for longer.
STEP = 10_000
#: Seconds of a run; where more has to go, the next runs go on.
MAX_SECONDS = 5.0


def apply_retention(
    lease: Lease, settings: Settings, counted_at: datetime, *, clock: Callable[[], float] = time.monotonic
) -> None:
    """Delete what has become too old, when everything a run had to do is done. ``counted_at``: the time that ages
    are measured by; ``clock`` counts seconds.

    A store that fails meanwhile doesn't make a failure of the run: the next one goes on.
    """
    ends = clock() + MAX_SECONDS
    try:
        for history in HistoryKind:
            age = settings.retention.of(history)
            if age is not None and _let_go(lease, settings, history, counted_at - age):
                _delete(lease, history, clock, ends)
    except StoreError as error:
        log.warning("History that is too old could not be deleted; the next run tries again. %s", error)


def _let_go(lease: Lease, settings: Settings, history: HistoryKind, before: datetime) -> bool:
    """Whether there is anything old enough. What a destination has not been told is kept with what led to it, and so
    are the runs that count for how long a member is missing."""
    with lease.reading() as connection:
        through = last_run_started_by(connection, before)
        if history in (HistoryKind.CHANGES, HistoryKind.REQUESTS):
            through = min(through, delivered_through(connection, settings.destinations, through))
        if history is HistoryKind.RUNS:
            through = min(through, run_before_first_absence(connection, through))
    if not through:
        return False
    with lease.transaction() as connection:
        mark_pruned(connection, history, through)
    return True


def _delete(lease: Lease, history: HistoryKind, clock: Callable[[], float], ends: float) -> None:
    more = True
    while more and clock() < ends:
        with lease.transaction() as connection:
            more = prune(connection, history, STEP)

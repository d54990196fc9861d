"""Delete history that is older than `retention` after each run, a little at a time."""

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
from audience_sync.store.maintenance.pruning import delivered_through, mark_pruned, prune
from audience_sync.store.runs.runs import last_run_started_by

log = logging.getLogger("audience_sync")

#: Rows of one transaction: no reader or writer waits for longer.
STEP = 10_000
#: Seconds of one run; the next runs delete the rest.
MAX_SECONDS = 5.0


def apply_retention(
    lease: Lease, settings: Settings, counted_at: datetime, *, clock: Callable[[], float] = time.monotonic
) -> None:
    """Delete history that is too old, at the end of a run.

    ``counted_at``: the time that ages are measured by. ``clock`` counts seconds. An error of the store doesn't fail the
    run; the next run continues.
    """
    ends = clock() + MAX_SECONDS
    try:
        for history in HistoryKind:
            age = settings.retention.of(history)
            if age is not None and _mark_old(lease, settings, history, counted_at - age):
                _delete(lease, history, clock, ends)
    except StoreError as error:
        log.warning("History that is too old could not be deleted; the next run tries again. %s", error)


def _mark_old(lease: Lease, settings: Settings, history: HistoryKind, before: datetime) -> bool:
    """Mark history as pruned, and return whether there is any to delete.

    Pending changes with their requests, and runs that count for absences, are kept.
    """
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

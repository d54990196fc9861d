"""How old may the history become? After each run, what is older than ``retention`` goes, a little at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from audience_sync.config.models import Settings
from audience_sync.errors import StoreError
from audience_sync.model import History
from audience_sync.store.audiences.absences import before_absences
from audience_sync.store.connection.lease import Lease
from audience_sync.store.runs.pruning import let_go, prune, told_through
from audience_sync.store.runs.runs import last_run_by

log = logging.getLogger("audience_sync")

#: Rows looked at in one transaction: nobody who reads or writes waits for longer.
STEP = 10_000
#: Seconds of a run; where more has to go, the next runs go on.
PATIENCE = 5.0


def keep_recent(
    lease: Lease, settings: Settings, counted_at: datetime, *, clock: Callable[[], float] = time.monotonic
) -> None:
    """Delete what has become too old, when everything a run had to do is done. ``counted_at``: the time that ages
    are measured by; ``clock`` counts seconds.

    A store that fails meanwhile doesn't make a failure of the run: the next one goes on.
    """
    ends = clock() + PATIENCE
    try:
        for history in History:
            age = settings.retention.of(history)
            if age is not None and _let_go(lease, settings, history, counted_at - age):
                _delete(lease, history, clock, ends)
    except StoreError as error:
        log.warning("History that is too old could not be deleted; the next run tries again. %s", error)


def _let_go(lease: Lease, settings: Settings, history: History, before: datetime) -> bool:
    """Whether there is anything old enough. What a destination has not been told is kept with what led to it, and so
    are the runs that count for how long a member is missing."""
    with lease.reading() as connection:
        through = last_run_by(connection, before)
        if history in (History.CHANGES, History.REQUESTS):
            through = min(through, told_through(connection, settings.destinations, through))
        if history is History.RUNS:
            through = min(through, before_absences(connection, through))
    if not through:
        return False
    with lease.transaction() as connection:
        let_go(connection, history, through)
    return True


def _delete(lease: Lease, history: History, clock: Callable[[], float], ends: float) -> None:
    more = True
    while more and clock() < ends:
        with lease.transaction() as connection:
            more = prune(connection, history, STEP)

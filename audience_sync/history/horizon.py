"""Find the run that was the latest at a time, within the history that `retention` keeps."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from audience_sync.errors import HistoryPrunedError
from audience_sync.model import HistoryKind
from audience_sync.store.runs.pruning import pruned_through
from audience_sync.store.runs.runs import last_run_started_by
from audience_sync.store.tables import runs


def run_at(connection: Connection, at: datetime) -> int:
    """Return the last run that had started by then. Raises HistoryPrunedError if its changes were deleted."""
    run, pruned = last_run_started_by(connection, at), pruned_through(connection)[HistoryKind.CHANGES]
    if run < pruned:
        since = connection.execute(select(runs.c.started_at).where(runs.c.id == pruned)).scalar_one()
        raise HistoryPrunedError(
            f"history before {since:%Y-%m-%d %H:%M:%S} UTC (run {pruned}) was deleted by `retention`. "
            "Use that time or a later one."
        )
    return run

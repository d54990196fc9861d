"""Find the run that was the last one at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from audience_sync.model import NO_RUN, RunId
from audience_sync.store.runs.clock import counted_at
from audience_sync.store.tables import runs


def last_run_started_by(connection: Connection, at: datetime) -> RunId:
    """The last run that had started by then, by the time that ages are measured by; 0 if there was none."""
    return connection.execute(select(func.max(runs.c.id)).where(counted_at(runs) <= at)).scalar() or NO_RUN

"""Find a run by its number, or the last one at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from audience_sync.model import NO_RUN, RunId
from audience_sync.store.runs.clock import counted_at
from audience_sync.store.tables import runs


def last_run_started_by(connection: Connection, at: datetime) -> RunId:
    """The last run that had started by then, by the time that ages are measured by; 0 if there was none."""
    return connection.execute(select(func.max(runs.c.id)).where(counted_at(runs) <= at)).scalar() or NO_RUN


def command_and_start(connection: Connection, run: int) -> tuple[str, datetime] | None:
    """The command of a run, and when it started; None if there is no such run."""
    row = connection.execute(select(runs.c.command, runs.c.started_at).where(runs.c.id == run)).one_or_none()
    return None if row is None else (row.command, row.started_at)

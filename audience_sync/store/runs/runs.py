"""Read the times and nonces of runs, and find the last run at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from audience_sync.model import NO_RUN, RunId
from audience_sync.store.runs.clock import counted_at
from audience_sync.store.tables import runs
from audience_sync.text import iso_time


def last_run_started_by(connection: Connection, at: datetime) -> RunId:
    """The last run that had started by then, by the time that ages are measured by; 0 if there was none."""
    return connection.execute(select(func.max(runs.c.id)).where(counted_at(runs) <= at)).scalar() or NO_RUN


def command_and_start(connection: Connection, run: int) -> tuple[str, datetime] | None:
    """The command of a run, and when it started; None if there is no such run."""
    row = connection.execute(select(runs.c.command, runs.c.started_at).where(runs.c.id == run)).one_or_none()
    return None if row is None else (row.command, row.started_at)


def start_times(connection: Connection, wanted: Sequence[RunId]) -> dict[RunId, str]:
    """The start of each run as identify calls have it: ISO 8601, UTC, with milliseconds."""
    query = select(runs.c.id, runs.c.started_at).where(runs.c.id.in_(wanted))
    return {row.id: iso_time(row.started_at) for row in connection.execute(query)}


def times_and_nonces(connection: Connection, wanted: Sequence[RunId]) -> tuple[dict[RunId, str], dict[RunId, str]]:
    return start_times(connection, wanted), nonces_of(connection, wanted)


def nonces_of(connection: Connection, wanted: Sequence[RunId]) -> dict[RunId, str]:
    """The nonce of each run for its message ids; runs of a version without nonces are missing."""
    query = select(runs.c.id, runs.c.nonce).where(runs.c.id.in_(wanted), runs.c.nonce.is_not(None))
    return {row.id: row.nonce for row in connection.execute(query)}

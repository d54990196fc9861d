"""Keep the stages of each run: when each began, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from audience_sync.model import RunId
from audience_sync.store.connection.lease import Lease
from audience_sync.store.tables import runs, stage_log
from audience_sync.tracing import Stage, StageLog, current_stages, logged_stages

#: Seconds. A stage that found nothing to do is not stored if it took less: a run may have hundreds of them.
IDLE_SECONDS = 0.1


@contextmanager
def recording_stages(lease: Lease, run: RunId) -> Iterator[None]:
    """A context whose stages are recorded. Each renewal of the lease stores those so far."""
    with logged_stages() as log, lease.renewing(partial(save_progress, run=run, log=log)):
        yield


def save_progress(connection: Connection, run: RunId, log: StageLog | None = None) -> None:
    """Store how far a run is, unless its row was deleted. ``log``: of a run in another thread."""
    if (found := log or current_stages()) is not None:
        progress = update(runs).where(runs.c.id == run).values(entries=found.entries, entries_loaded=found.loaded)
        if connection.execute(progress).rowcount:
            _save(connection, run, found, until=None)


def save_stages(connection: Connection, run: RunId, *, at_end: bool = False) -> None:
    """Store the stages of the run in progress that are new or have ended. ``at_end``: those in progress end now."""
    if (log := current_stages()) is not None:
        _save(connection, run, log, until=datetime.now(UTC) if at_end else None)


def _save(connection: Connection, run: RunId, log: StageLog, until: datetime | None) -> None:
    """``until``: when the stages in progress end; None = they continue."""
    mine = stage_log.c.run_id == run
    query = select(stage_log.c.number, stage_log.c.seconds).where(mine)
    stored = {row.number: row.seconds for row in connection.execute(query)}
    if None in stored.values():
        connection.execute(delete(stage_log).where(mine, stage_log.c.seconds.is_(None)))
    ended = {number for number, seconds in stored.items() if seconds is not None}
    rows = [
        _row(run, number, each, until)
        for number, each in enumerate(tuple(log.stages), 1)
        if number not in ended and not (each.is_idle and (each.seconds or 0.0) < IDLE_SECONDS)
    ]
    if rows:
        connection.execute(insert(stage_log), rows)


def _row(run: RunId, number: int, each: Stage, until: datetime | None) -> dict[str, Any]:
    seconds = each.seconds
    if seconds is None and until is not None:
        seconds = round(max((until - each.started_at).total_seconds(), 0.0), 3)
    row = {"stage": each.name, "subject": each.subject, "started_at": each.started_at, "seconds": seconds}
    return {"run_id": run, "number": number, **row}

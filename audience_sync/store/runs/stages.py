"""Keep the stages of each run: when each began, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from audience_sync.model import RunId
from audience_sync.store.connection.lease import Lease
from audience_sync.store.tables import runs, stage_log
from audience_sync.tracing import DELIVER, Stage, StageLog, current_stages, logged_stages

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
        counts = {"entries": found.entries, "entries_loaded": found.loaded, "active_at": datetime.now(UTC)}
        if connection.execute(update(runs).where(runs.c.id == run).values(counts)).rowcount:
            _save(connection, run, found.stages)


def save_stages(connection: Connection, run: RunId, *, at_end: bool = False) -> None:
    """Store the stages of the run in progress that are new or have ended. ``at_end``: those in progress end now."""
    if (log := current_stages()) is not None:
        _save(connection, run, log.stages, until=datetime.now(UTC) if at_end else None)


def save_begun_delivery(connection: Connection, run: RunId, destination: str) -> None:
    """Store that a delivery begins, and the stages before it: other deliveries store their own."""
    if (log := current_stages()) is not None:
        mine = [each if each.name != DELIVER or each.subject == destination else None for each in log.stages]
        _save(connection, run, mine)


def _save(connection: Connection, run: RunId, stages: Sequence[Stage | None], until: datetime | None = None) -> None:
    """Write the stages in order, without those that are None. ``until``: when the open ones end; None = not yet."""
    mine = stage_log.c.run_id == run
    query = select(stage_log.c.number, stage_log.c.seconds).where(mine)
    stored = {row.number: row.seconds for row in connection.execute(query)}
    rows, outdated = list[dict[str, Any]](), list[int]()
    for number, each in enumerate(tuple(stages), 1):
        if each is None or stored.get(number) is not None:
            continue
        seconds = _seconds(each, until)
        if number in stored:
            if seconds is None:
                continue
            outdated.append(number)
        if not (each.is_idle and (seconds or 0.0) < IDLE_SECONDS):
            row = {"stage": each.name, "subject": each.subject, "started_at": each.started_at, "seconds": seconds}
            rows.append({"run_id": run, "number": number, **row})
    if outdated:
        connection.execute(delete(stage_log).where(mine, stage_log.c.number.in_(outdated)))
    if rows:
        connection.execute(insert(stage_log), rows)


def _seconds(each: Stage, until: datetime | None) -> float | None:
    if each.seconds is not None or until is None:
        return each.seconds
    return round(max((until - each.started_at).total_seconds(), 0.0), 3)

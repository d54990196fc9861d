"""What does the store keep of a run itself? Its row at the start, and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from audience_sync import __version__
from audience_sync.model import RunId, RunStatus
from audience_sync.store.lease import holder
from audience_sync.store.tables import run_destinations, runs
from audience_sync.sync.report import DestinationReport, Report


def begin_run(connection: Connection, command: str, now: datetime) -> RunId:
    """A new run's row; runs that died without a word are marked as failed."""
    lost = update(runs).where(runs.c.status == RunStatus.RUNNING.value)
    words = "The process ended before the run did; what it had committed stands, and the next run goes on from there."
    connection.execute(lost.values(status=RunStatus.FAILED.value, finished_at=now, error=words))
    row = {"command": command, "status": RunStatus.RUNNING.value, "started_at": now}
    key = connection.execute(insert(runs).values(**row, holder=holder(), version=__version__)).inserted_primary_key
    assert key is not None
    return RunId(int(key[0]))


def end_run(connection: Connection, report: Report, destination_ids: Mapping[str, int]) -> None:
    for each in report.destinations:
        connection.execute(insert(run_destinations).values(_row(report.run, destination_ids[each.name], each)))
    finish(connection, report.run, report.status, report.seconds, report.error)


def finish(connection: Connection, run: int, status: RunStatus, seconds: float, error: str | None) -> None:
    values = {"status": status.value, "finished_at": datetime.now(UTC), "seconds": round(seconds, 3)}
    connection.execute(update(runs).where(runs.c.id == run).values(**values, error=error))


def _row(run: int, destination: int, each: DestinationReport) -> dict[str, object]:
    return {
        "run_id": run,
        "destination_id": destination,
        "calls": each.calls,
        "delivered": each.delivered,
        "refused": each.refused,
        "pending": each.pending,
        "retries": each.retries,
        "requests": each.requests,
        "seconds": round(each.seconds, 3),
        "error": each.error or None,
    }


def times_of(connection: Connection, wanted: Sequence[int]) -> dict[int, str]:
    """When runs started, as identify calls say it: ISO 8601, UTC, milliseconds."""
    query = select(runs.c.id, runs.c.started_at).where(runs.c.id.in_(wanted))
    return {row.id: timestamp(row.started_at) for row in connection.execute(query)}


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

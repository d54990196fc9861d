"""What does the store keep of a run itself? Its row at the start, and its end."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, literal, select, update

from audience_sync import __version__
from audience_sync.model import RunId, RunStatus
from audience_sync.store.holder import holder
from audience_sync.store.tables import requests, run_destinations, runs
from audience_sync.sync.report import DestinationReport, Report


def new_nonce() -> str:
    """A random value for one run: no other run has it, not even one with the same number in a copy of the store."""
    return secrets.token_hex(8)


def begin_run(connection: Connection, command: str, now: datetime, *, nonce: str = "") -> RunId:
    """A new run's row; runs that died without a word are marked as failed. ``nonce``: a new one by default."""
    words = "The process ended before the run did; what it had committed stands, and the next run goes on from there."
    lost = {"status": RunStatus.FAILED.value, "finished_at": now, "error": words}
    for run in connection.execute(select(runs.c.id).where(runs.c.status == RunStatus.RUNNING.value)).scalars().all():
        connection.execute(update(runs).where(runs.c.id == run).values(lost))
        _count_answers(connection, run)
    row = {"command": command, "status": RunStatus.RUNNING.value, "started_at": now, "nonce": nonce or new_nonce()}
    key = connection.execute(insert(runs).values(**row, holder=holder(), version=__version__)).inserted_primary_key
    assert key is not None
    return RunId(int(key[0]))


def run_begun(connection: Connection, nonce: str) -> RunId | None:
    """The run with this nonce, if it was begun."""
    found = connection.execute(select(runs.c.id).where(runs.c.nonce == nonce)).scalar()
    return None if found is None else RunId(found)


def end_run(connection: Connection, report: Report, destination_ids: Mapping[str, int]) -> None:
    for each in report.destinations:
        connection.execute(insert(run_destinations).values(_row(report.run, destination_ids[each.name], each)))
    finish(connection, report.run, report.status, report.seconds, report.error)


def is_committed(connection: Connection, run: int) -> bool:
    """Whether what a run found has become durable."""
    return connection.execute(select(runs.c.committed_at).where(runs.c.id == run)).scalar() is not None


def has_ended(connection: Connection, run: int) -> bool | None:
    """True or None, as a repeated transaction asks."""
    return connection.execute(select(runs.c.finished_at).where(runs.c.id == run)).scalar() is not None or None


def finish(connection: Connection, run: int, status: RunStatus, seconds: float, error: str | None) -> None:
    values = {"status": status.value, "finished_at": datetime.now(UTC), "seconds": round(seconds, 3)}
    connection.execute(update(runs).where(runs.c.id == run).values(**values, error=error))


def break_off(connection: Connection, run: int, seconds: float, error: str) -> None:
    """A run that ends before its deliveries did: what was answered until then is counted all the same."""
    finish(connection, run, RunStatus.FAILED, seconds, error)
    _count_answers(connection, run)


def _count_answers(connection: Connection, run: int) -> None:
    """What a broken-off run delivered, from its requests; what was owed beside that, nobody had counted."""
    total, refused = func.sum(requests.c.calls), func.sum(requests.c.refused)
    attempts, answered = func.sum(requests.c.attempts), func.count()
    found = (
        select(requests.c.run_id, requests.c.destination_id, total, total - refused, refused)
        .add_columns(literal(0), attempts - answered, attempts, literal(0.0))
        .where(requests.c.run_id == run)
        .group_by(requests.c.run_id, requests.c.destination_id)
    )
    columns = ["run_id", "destination_id", "calls", "delivered", "refused", "pending", "retries", "requests", "seconds"]
    connection.execute(insert(run_destinations).from_select(columns, found))


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


def nonces_of(connection: Connection, wanted: Sequence[int]) -> dict[int, str]:
    """What runs add to the message ids of their changes; nothing of those of a version without nonces."""
    query = select(runs.c.id, runs.c.nonce).where(runs.c.id.in_(wanted), runs.c.nonce.is_not(None))
    return {row.id: row.nonce for row in connection.execute(query)}


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

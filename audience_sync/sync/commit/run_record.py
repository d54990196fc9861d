"""What does the store keep of a run itself? Its row at the start, and its end."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, select, update

from audience_sync.model import RunId, RunStatus
from audience_sync.store.connection.process_identity import current_process
from audience_sync.store.runs.clock import count_from, read_run_clock
from audience_sync.store.tables import rejected_calls, requests, run_destinations, runs
from audience_sync.sync.values.report import DestinationReport, Report
from audience_sync.version import __version__

#: Times in calls have milliseconds: by one at least a run starts after the one before it, whatever the clock says.
TICK = timedelta(milliseconds=1)


def new_nonce() -> str:
    """A random value for one run: no other run has it, not even one with the same number in a copy of the store."""
    return secrets.token_hex(8)


def begin_run(
    connection: Connection, command: str, now: datetime, *, nonce: str = "", accept_clock: bool = False
) -> RunId:
    """A new run's row; runs that died without a word are marked as interrupted. ``nonce``: a new one by default.
    ``accept_clock``: ``now`` is right, however far it is from the newest run."""
    for run in connection.execute(select(runs.c.id).where(runs.c.status == RunStatus.RUNNING.value)).scalars().all():
        _mark_dead(connection, run)
    last = connection.execute(select(runs.c.started_at).order_by(runs.c.id.desc()).limit(1)).scalar()
    started = now if last is None else max(now, last + TICK)
    clock = read_run_clock(connection, now, accept=accept_clock)
    if accept_clock:
        count_from(connection, now)
    row = {
        "command": command,
        "status": RunStatus.RUNNING.value,
        "started_at": started,
        "nonce": nonce or new_nonce(),
        "clock_doubted": clock.counted_at is None,
        "counted_at": None if clock.counted_at == started else clock.counted_at,
    }
    key = connection.execute(
        insert(runs).values(**row, holder=current_process(), version=__version__)
    ).inserted_primary_key
    assert key is not None
    return RunId(int(key[0]))


def _mark_dead(connection: Connection, run: int) -> None:
    """Of a run whose process died the last sign of life is its end."""
    answered = select(func.max(requests.c.answered_at)).where(requests.c.run_id == run)
    row = connection.execute(select(runs.c.started_at, runs.c.committed_at).where(runs.c.id == run)).one()
    signs = [row.started_at, row.committed_at, connection.execute(answered).scalar()]
    ended = max(each for each in signs if each is not None)
    words = "The process ended before the run did; what it had committed stands, and the next run goes on from there."
    values = {"status": RunStatus.INTERRUPTED.value, "finished_at": ended, "error": words}
    seconds = round((ended - row.started_at).total_seconds(), 3)
    connection.execute(update(runs).where(runs.c.id == run).values(**values, seconds=seconds))
    _count_answers(connection, run)


def forget_run(connection: Connection, run: int) -> None:
    """A run that was begun by a wrong use was none: nothing refers to it."""
    connection.execute(delete(runs).where(runs.c.id == run, runs.c.committed_at.is_(None)))


def plan_deliveries(connection: Connection, run: int, planned: Mapping[int, int]) -> None:
    """In the transaction that commits the run: the calls that it is about to deliver, by destination's id. Until the
    run ends, what is pending of them follows from its requests."""
    none = dict.fromkeys(("delivered", "refused", "retries", "requests"), 0)
    rows = [
        {"run_id": run, "destination_id": destination, "calls": calls, "pending": calls, **none, "seconds": 0.0}
        for destination, calls in planned.items()
    ]
    if rows:
        connection.execute(insert(run_destinations), rows)


def run_begun(connection: Connection, nonce: str) -> RunId | None:
    """The run with this nonce, if it was begun."""
    found = connection.execute(select(runs.c.id).where(runs.c.nonce == nonce)).scalar()
    return None if found is None else RunId(found)


def end_run(connection: Connection, report: Report, destination_ids: Mapping[str, int]) -> None:
    _keep_deliveries(
        connection, report.run, [_row(report.run, destination_ids[each.name], each) for each in report.destinations]
    )
    finish(connection, report.run, report.status, report.seconds, report.error)


def _keep_deliveries(connection: Connection, run: int, rows: Sequence[Mapping[str, object]]) -> None:
    """In the place of what was planned."""
    connection.execute(delete(run_destinations).where(run_destinations.c.run_id == run))
    if rows:
        connection.execute(insert(run_destinations), rows)


def is_committed(connection: Connection, run: int) -> bool:
    """Whether what a run found has become durable."""
    return connection.execute(select(runs.c.committed_at).where(runs.c.id == run)).scalar() is not None


def has_ended(connection: Connection, run: int) -> bool | None:
    """True or None, as a repeated transaction asks."""
    return connection.execute(select(runs.c.finished_at).where(runs.c.id == run)).scalar() is not None or None


def finish(connection: Connection, run: int, status: RunStatus, seconds: float, error: str | None) -> None:
    values = {"status": status.value, "finished_at": datetime.now(UTC), "seconds": round(seconds, 3)}
    connection.execute(update(runs).where(runs.c.id == run).values(**values, error=error))


def record_interrupted(connection: Connection, run: int, status: RunStatus, seconds: float, error: str) -> None:
    """A run that ends before its deliveries did: what was answered until then is counted all the same."""
    finish(connection, run, status, seconds, error)
    _count_answers(connection, run)


def _count_answers(connection: Connection, run: int) -> None:
    """What a broken-off run delivered, from its requests, and what is pending of the calls that it had planned."""
    planned = {
        row.destination_id: row.calls
        for row in connection.execute(
            select(run_destinations.c.destination_id, run_destinations.c.calls).where(run_destinations.c.run_id == run)
        )
    }
    withheld = _withheld(connection, run)
    committed = connection.execute(select(runs.c.committed_at).where(runs.c.id == run)).scalar()
    found = {
        row.destination_id: row
        for row in connection.execute(
            select(
                requests.c.destination_id,
                func.sum(requests.c.calls).label("calls"),
                func.sum(requests.c.refused).label("refused"),
                func.sum(requests.c.attempts).label("attempts"),
                func.count().label("answered"),
                func.max(requests.c.answered_at).label("last_at"),
            )
            .where(requests.c.run_id == run)
            .group_by(requests.c.destination_id)
        )
    }
    rows = []
    for destination in sorted(planned.keys() | found.keys()):
        each = found.get(destination)
        answered, refused = (int(each.calls), int(each.refused)) if each else (0, 0)
        calls = planned.get(destination, answered) - withheld.get(destination, 0)
        took = (each.last_at - committed).total_seconds() if each and committed else 0.0
        rows.append(
            {
                "run_id": run,
                "destination_id": destination,
                "calls": calls,
                "delivered": answered - refused,
                "refused": refused,
                "pending": calls - answered,
                "retries": int(each.attempts - each.answered) if each else 0,
                "requests": int(each.attempts) if each else 0,
                "seconds": round(max(took, 0.0), 3),
            }
        )
    _keep_deliveries(connection, run, rows)


def _withheld(connection: Connection, run: int) -> dict[int, int]:
    """By destination's id, the calls that were not sent since their users had just been suppressed."""
    query = (
        select(requests.c.destination_id, func.count().label("calls"))
        .join_from(requests, rejected_calls)
        .where(requests.c.run_id == run, rejected_calls.c.reason.is_(None))
        .group_by(requests.c.destination_id)
    )
    return {row.destination_id: row.calls for row in connection.execute(query)}


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


def start_times(connection: Connection, wanted: Sequence[int]) -> dict[int, str]:
    """When runs started, as identify calls say it: ISO 8601, UTC, milliseconds."""
    query = select(runs.c.id, runs.c.started_at).where(runs.c.id.in_(wanted))
    return {row.id: timestamp(row.started_at) for row in connection.execute(query)}


def nonces_of(connection: Connection, wanted: Sequence[int]) -> dict[int, str]:
    """What runs add to the message ids of their changes; nothing of those of a version without nonces."""
    query = select(runs.c.id, runs.c.nonce).where(runs.c.id.in_(wanted), runs.c.nonce.is_not(None))
    return {row.id: row.nonce for row in connection.execute(query)}


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

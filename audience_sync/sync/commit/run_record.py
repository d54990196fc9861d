"""Record a run in the store: its row at the start, what it found, and its end."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, func, insert, select, update

from audience_sync.errors import (
    AudienceSyncError,
    ConfigError,
    FrozenError,
    HistoryPrunedError,
    LeaseLostError,
    RetiredError,
    UnknownNameError,
    WrongValueError,
    summarize_error,
)
from audience_sync.model import RunId, RunStatus
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.store.connection.lease import Lease
from audience_sync.store.connection.process_identity import current_host, current_process, current_user
from audience_sync.store.runs import schedule_slots
from audience_sync.store.runs.clock import count_from, read_run_clock
from audience_sync.store.runs.deliveries import count_answers, replace_deliveries, settle_pending
from audience_sync.store.runs.stages import save_progress, save_stages
from audience_sync.store.runs.webhooks import add_webhooks
from audience_sync.store.tables import delivery_requests, run_audiences, run_invalid_rows, runs
from audience_sync.text import storable
from audience_sync.tracing import current_stages, stage
from audience_sync.version import __version__

if TYPE_CHECKING:
    from audience_sync.delivery.state.cursors import DestinationState
    from audience_sync.sync.values.report import DestinationReport, Report
    from audience_sync.sync.values.request import RunRequest
    from audience_sync.sync.values.run_plan import RunPlan

#: Errors in the command, whose run is deleted again.
WRONG_USES = (ConfigError, HistoryPrunedError, FrozenError, RetiredError, UnknownNameError, WrongValueError)
#: Times in calls have milliseconds, so a run starts at least one after the run before it. The clock may show less.
TICK = timedelta(milliseconds=1)


def new_nonce() -> str:
    """A random value that no other run has, not even the one with the same number in a copy of the store."""
    return secrets.token_hex(8)


def start_run(lease: Lease, request: RunRequest, now: datetime, hooks: Sequence[str] = ()) -> RunId:
    """Write the run's row and claim its scheduled times. Raises SlotsClaimedError if another run has served them.

    ``hooks``: the names of those that learn of its end, also if this process does not live to see it.
    """
    nonce = new_nonce()

    def write(connection: Connection) -> RunId:
        free = schedule_slots.free_slots(connection, request.slots)
        run = begin_run(connection, request.command, now, nonce=nonce, accept_clock=request.exceptions.accept_clock)
        schedule_slots.claim_slots(connection, free, run)
        add_webhooks(connection, run, hooks)
        return run

    return lease.transact(write, partial(_run_with_nonce, nonce=nonce))


def record_findings(connection: Connection, plan: RunPlan) -> None:
    """Write the results of audiences and traits, and the invalid rows, for people to query."""
    found, run = plan.findings, plan.run
    audiences = [
        {
            "run_id": run,
            "audience_key": each.key,
            "status": each.status.value,
            "members_before": each.before,
            "members_after": each.after,
            "entered": each.entered,
            "left": each.left,
            "invalid": each.invalid,
            "error": each.error,
            "absent": each.absent,
            "returned": each.returned,
            "held_out": each.held_out,
            "config_changes": each.config_changes,
            "name": each.name if each.source else None,
            "source": each.source,
        }
        for each in found.audiences
    ]
    if audiences:
        connection.execute(insert(run_audiences), audiences)
    rows = [
        {
            "run_id": run,
            "number": number,
            "audience_key": each.audience_key,
            "file": each.file,
            "row": each.row,
            "user_id": each.user_id and storable(each.user_id),
            "reason": each.reason,
        }
        for number, each in enumerate(found.invalid_rows, 1)
    ]
    if rows:
        connection.execute(insert(run_invalid_rows), rows)
    counts = {"trait_users": found.traits.users, "trait_users_changed": found.traits.changed}
    if (log := current_stages()) is not None:
        counts |= {"entries": log.loaded, "entries_loaded": log.loaded}
    connection.execute(
        update(runs).where(runs.c.id == run).values(**counts, covers_all=plan.request.covers_all or None)
    )


@contextmanager
def recording_failure(
    lease: Lease, run: RunId, request: RunRequest, secrets: Sequence[str], started: float
) -> Iterator[None]:
    """Write the end of a run that an error ends. ``started``: the monotonic time in seconds.

    The run of a wrong use is deleted again. If a schedule started it, its scheduled time has had its run, so that it
    isn't repeated at once.
    """
    try:
        yield
    except LeaseLostError:  # the run that replaced this one has recorded its end
        raise
    except BaseException as error:
        if isinstance(error, WRONG_USES) and not request.slots:
            _forget_run(lease, run)
        else:
            record_failure(lease, run, time.monotonic() - started, error, secrets)
        raise


def record_result(lease: Lease, report: Report, states: Mapping[str, DestinationState]) -> None:
    """Write the end of a run that has a report. ``states``: as the commit has stored them."""

    def write(connection: Connection) -> bool:
        _end_run(connection, report, states)
        schedule_slots.end_slots(connection, report.run)
        save_stages(connection, report.run, at_end=True)
        return True

    with stage("record"):
        lease.transact(write, partial(_has_ended, run=report.run))


def record_failure(lease: Lease, run: RunId, seconds: float, error: BaseException, secrets: Sequence[str]) -> None:
    """Write the end of a run that an error or an interruption has ended; the answered calls are counted."""
    is_interrupted = isinstance(error, KeyboardInterrupt)
    status = RunStatus.INTERRUPTED if is_interrupted else RunStatus.FAILED
    message = _failure_message(error, secrets)

    def write(connection: Connection) -> bool:
        if not _has_ended(connection, run):
            count_answers(connection, run)
            _write_end(connection, run, status, seconds, message)
            save_progress(connection, run)
            if not is_interrupted:  # the scheduled times of an interrupted run stay due
                schedule_slots.end_slots(connection, run)
        return True

    lease.transact(write)


def _failure_message(error: BaseException, secrets: Sequence[str]) -> str:
    mask = partial(mask_secrets, secrets=secrets)
    if isinstance(error, AudienceSyncError):
        return mask(str(error))
    if isinstance(error, KeyboardInterrupt):
        return "The run was interrupted. Every answer received so far is recorded. The next run sends the rest."
    return summarize_error(error, mask)


def begin_run(
    connection: Connection, command: str, now: datetime, *, nonce: str = "", accept_clock: bool = False
) -> RunId:
    """Write a new run's row, and mark runs whose process has died as interrupted.

    ``nonce``: a new one by default. ``accept_clock``: ``now`` is right, however far it is from the newest run.
    """
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
        "started_by": current_user(),
        "host": current_host(),
    }
    key = connection.execute(
        insert(runs).values(**row, holder=current_process(), version=__version__)
    ).inserted_primary_key
    assert key is not None
    return RunId(int(key[0]))


def _mark_dead(connection: Connection, run: RunId) -> None:
    """Mark a run whose process has died as interrupted, as the view has shown it. It ended at its last activity."""
    answered = select(func.max(delivery_requests.c.answered_at)).where(delivery_requests.c.run_id == run)
    times = select(runs.c.started_at, runs.c.committed_at, runs.c.active_at).where(runs.c.id == run)
    signs = [*connection.execute(times).one(), connection.execute(answered).scalar()]
    started, ended = signs[0], max(each for each in signs if each is not None)
    message = "The process ended before the run did. What it had committed stays; the next run continues there."
    count_answers(connection, run)
    values = {"status": RunStatus.INTERRUPTED.value, "finished_at": ended, "error": message}
    seconds = round((ended - started).total_seconds(), 3)
    connection.execute(update(runs).where(runs.c.id == run).values(**values, seconds=seconds))


def _forget_run(lease: Lease, run: RunId) -> None:
    """Delete the row of a run that a wrong use has started and that has committed nothing."""

    def write(connection: Connection) -> bool:
        connection.execute(delete(runs).where(runs.c.id == run, runs.c.committed_at.is_(None)))
        return True

    lease.transact(write)


def _run_with_nonce(connection: Connection, nonce: str) -> RunId | None:
    found = connection.execute(select(runs.c.id).where(runs.c.nonce == nonce)).scalar()
    return None if found is None else RunId(found)


def _end_run(connection: Connection, report: Report, states: Mapping[str, DestinationState]) -> None:
    rows = [_delivery_row(report.run, states[each.name].id or 0, each) for each in report.destinations]
    replace_deliveries(connection, report.run, rows)
    if any(each.pending for each in report.destinations) or any(state.seeds for state in states.values()):
        settle_pending(connection, report.run)
    _write_end(connection, report.run, report.status, report.seconds, report.error)


def is_committed(connection: Connection, run: RunId) -> bool:
    return connection.execute(select(runs.c.committed_at).where(runs.c.id == run)).scalar() is not None


def _has_ended(connection: Connection, run: RunId) -> bool | None:
    """True, or None for a transaction that has yet to be repeated."""
    return connection.execute(select(runs.c.finished_at).where(runs.c.id == run)).scalar() is not None or None


def _write_end(connection: Connection, run: RunId, status: RunStatus, seconds: float, error: str | None) -> None:
    values = {"status": status.value, "finished_at": datetime.now(UTC), "seconds": round(seconds, 3)}
    connection.execute(update(runs).where(runs.c.id == run).values(**values, error=error))


def _delivery_row(run: RunId, destination: int, each: DestinationReport) -> dict[str, object]:
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

"""One run, in reading order: load, diff, guard, commit, deliver, record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from audience_sync.delivery.state.cursors import Ledger, read_ledgers
from audience_sync.errors import (
    AudienceSyncError,
    ConfigError,
    ForgottenError,
    FrozenError,
    LeaseLostError,
    RetiredError,
    StoreAwayError,
    UnknownNameError,
    in_short,
)
from audience_sync.model import RunId, RunStatus
from audience_sync.redaction.secrets import masked
from audience_sync.store.connection.lease import MOST_ATTEMPTS, Lease, acquire
from audience_sync.store.integrity.quick_check import refuse_damaged
from audience_sync.store.runs import schedule_slots as slots
from audience_sync.sync.commit.commit import commit
from audience_sync.sync.commit.retention import keep_recent
from audience_sync.sync.commit.run_record import (
    begin_run,
    break_off,
    end_run,
    forget_run,
    has_ended,
    is_committed,
    new_nonce,
    plan_deliveries,
    run_begun,
)
from audience_sync.sync.deliver.dispatch import context_of, tell_all
from audience_sync.sync.deliver.pending import Owed
from audience_sync.sync.detect.workspaces import looking
from audience_sync.sync.plan_run import Outlook, look
from audience_sync.sync.values.report import Report, found_report
from audience_sync.sync.values.request import Order, Parts, Watch
from audience_sync.tracing import note, span
from audience_sync.workspace import Workspace

#: The command was given what it can't be about: that is no run.
WRONG_USES = (ConfigError, ForgottenError, FrozenError, RetiredError, UnknownNameError)

Review = Callable[[Workspace, Outlook], None]


def sync(parts: Parts, order: Order, watch: Watch, *, review: Review | None = None) -> Report:
    """Carry out one run. ``review`` sees what it found before anything of it is written, and may refuse it (raise).

    Raises RunInProgressError, SlotsTakenError, StoreError and ConfigError; whatever else goes wrong is in the report.
    """
    started, now = time.monotonic(), datetime.now(UTC)
    refuse_damaged(parts.store)
    with acquire(parts.store) as lease:
        run = _begin(lease, order, now)
        try:
            with (
                span("run", run=run, command=order.command),
                looking(parts, partial(_look, order, watch, run, now)) as (workspace, outlook),
            ):
                if review is not None:
                    review(workspace, outlook)
                report = _carry_out(parts, order, watch, workspace, lease, outlook, started)
                note(status=report.status.value)
        except LeaseLostError:
            raise
        except WRONG_USES as error:
            if order.slots:  # nobody typed it: the schedule's time has had its run
                _break_off(parts, lease, run, started, error)
            else:
                lease.carry_out(partial(_forget, run=run))
            raise
        except BaseException as error:
            _break_off(parts, lease, run, started, error)
            raise
        if outlook.clock.counted_at is not None:
            took = timedelta(seconds=time.monotonic() - started)
            keep_recent(lease, parts.settings, outlook.clock.counted_at + took)
        return report


def _begin(lease: Lease, order: Order, now: datetime) -> RunId:
    nonce = new_nonce()

    def write(connection: Connection) -> RunId:
        free = slots.refuse_taken(connection, order.slots)
        run = begin_run(connection, order.command, now, nonce=nonce, accept_clock=order.accept_clock)
        slots.claim(connection, free, run)
        return run

    return lease.carry_out(write, partial(run_begun, nonce=nonce))


def _look(order: Order, watch: Watch, run: int, now: datetime, parts: Parts, workspace: Workspace) -> Outlook:
    """It only reads: where the database went away in the middle, it is done again, from the start."""
    with span("load and compare"):
        for _ in range(MOST_ATTEMPTS - 1):
            with suppress(StoreAwayError):
                return look(parts, order, watch, workspace, now, run)
        return look(parts, order, watch, workspace, now, run)


def _words(error: BaseException, mask: Callable[[str], str]) -> str:
    if isinstance(error, AudienceSyncError):
        return mask(str(error))
    if isinstance(error, KeyboardInterrupt):
        return "The run was interrupted. Every answer received so far is recorded. The next run sends the rest."
    return in_short(error, mask)


def _carry_out(
    parts: Parts,
    order: Order,
    watch: Watch,
    workspace: Workspace,
    lease: Lease,
    outlook: Outlook,
    started: float,
) -> Report:
    run = RunId(outlook.run)
    planned = outlook.owed(workspace, order, outlook.ledgers)
    ledgers = _commit(parts, workspace, lease, outlook, planned, run)
    owed = [each.of(ledgers[each.ledger.name]) for each in planned]
    context = context_of(parts, watch, workspace, lease, outlook, owed)
    reports = tell_all(workspace, context, order, outlook, owed)
    report = found_report(run, outlook.findings, reports, time.monotonic() - started)
    lease.carry_out(partial(_end, report=report, ledgers=ledgers), partial(has_ended, run=run))
    return report


def _commit(
    parts: Parts, workspace: Workspace, lease: Lease, outlook: Outlook, planned: Sequence[Owed], run: RunId
) -> Mapping[str, Ledger]:
    """Make what was found durable, whole or not at all, and with it how many calls are to be delivered. Returns the
    ledgers with their ids."""
    calls = Counter[str]()
    for each in planned:
        calls[each.ledger.name] += each.calls

    def write(connection: Connection) -> Mapping[str, Ledger]:
        ledgers = commit(connection, workspace, parts.settings, outlook.findings, outlook.ledgers, run)
        outlook.suppressed.commit(connection, workspace)
        plan_deliveries(connection, run, {ledgers[name].id or 0: count for name, count in calls.items()})
        return ledgers

    def done(connection: Connection) -> Mapping[str, Ledger] | None:
        return read_ledgers(connection, parts.settings.destinations) if is_committed(connection, run) else None

    with span("commit"):
        return lease.carry_out(write, done)


def _end(connection: Connection, *, report: Report, ledgers: Mapping[str, Ledger]) -> bool:
    end_run(connection, report, {name: ledger.id or 0 for name, ledger in ledgers.items()})
    slots.end(connection, report.run)
    return True


def _forget(connection: Connection, *, run: int) -> bool:
    forget_run(connection, run)
    return True


def _break_off(parts: Parts, lease: Lease, run: int, started: float, error: BaseException) -> None:
    words = _words(error, partial(masked, secrets=parts.settings.secrets))
    interrupted = isinstance(error, KeyboardInterrupt)
    status = RunStatus.INTERRUPTED if interrupted else RunStatus.FAILED
    seconds = time.monotonic() - started

    def write(connection: Connection) -> bool:
        if not has_ended(connection, run):
            break_off(connection, run, status, seconds, words)
            if not interrupted:  # what was interrupted is still due
                slots.end(connection, run)
        return True

    lease.carry_out(write)

"""One run, in reading order: load, diff, guard, commit, deliver, record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from audience_sync.config.secrets import masked
from audience_sync.delivery.acknowledge import count_refused
from audience_sync.delivery.deliver import Context, Delivery, Tally, deliver
from audience_sync.delivery.feeds import Ledger, read_ledgers
from audience_sync.delivery.withheld import Latecomers
from audience_sync.destinations.answers import shortened
from audience_sync.destinations.base import Destination
from audience_sync.errors import AudienceSyncError, LeaseLostError, StoreAwayError, in_short
from audience_sync.model import RunId
from audience_sync.store import slots
from audience_sync.store.engine import Store
from audience_sync.store.lease import MOST_ATTEMPTS, Lease, acquire
from audience_sync.store.suppressions import suppressed_lately
from audience_sync.sync.commit import commit, property_ids
from audience_sync.sync.ledger import begin_run, break_off, end_run, has_ended, is_committed, run_begun, times_of
from audience_sync.sync.look import Outlook, look
from audience_sync.sync.order import Order, Parts, Watch
from audience_sync.sync.outlook import Owed
from audience_sync.sync.report import DestinationReport, Report, destination_report, found_report
from audience_sync.sync.retention import keep_recent
from audience_sync.tracing import here, note, span
from audience_sync.workspace import Workspace

Review = Callable[[Workspace, Outlook], None]


def sync(parts: Parts, order: Order, watch: Watch, *, review: Review | None = None) -> Report:
    """Carry out one run. ``review`` sees what it found before anything of it is written, and may refuse it (raise).

    Raises RunInProgressError, SlotsTakenError, StoreError and ConfigError; whatever else goes wrong is in the report.
    """
    started = time.monotonic()
    with acquire(parts.store) as lease:
        run = _begin(lease, order)
        try:
            with (
                Workspace(parts.settings.memory_limit, parts.readable) as workspace,
                span("run", run=run, command=order.command),
            ):
                with span("load and compare"):
                    outlook = _look(parts, order, watch, workspace, run)
                if review is not None:
                    review(workspace, outlook)
                report = _carry_out(parts, order, watch, workspace, lease, outlook, started)
                note(status=report.status.value)
        except LeaseLostError:
            raise
        except BaseException as error:
            words = _words(error, partial(masked, secrets=parts.settings.secrets))
            is_over = not isinstance(error, KeyboardInterrupt)  # what was interrupted is still due
            seconds = time.monotonic() - started
            lease.carry_out(partial(_break_off, run=run, seconds=seconds, words=words, is_over=is_over))
            raise
        keep_recent(lease, parts.settings)
        return report


def _begin(lease: Lease, order: Order) -> RunId:
    now = datetime.now(UTC)

    def write(connection: Connection) -> RunId:
        free = slots.refuse_taken(connection, order.slots)
        run = begin_run(connection, order.command, now)
        slots.claim(connection, free, run)
        return run

    return lease.carry_out(write, partial(run_begun, now=now))


def _look(parts: Parts, order: Order, watch: Watch, workspace: Workspace, run: int) -> Outlook:
    """It only reads: where the database went away in the middle, it is done again, from the start."""
    for _ in range(MOST_ATTEMPTS - 1):
        with suppress(StoreAwayError):
            return look(parts, order, watch, workspace, run)
    return look(parts, order, watch, workspace, run)


def _words(error: BaseException, mask: Callable[[str], str]) -> str:
    if isinstance(error, AudienceSyncError):
        return mask(str(error))
    if isinstance(error, KeyboardInterrupt):
        return "The run was interrupted; what was answered is kept, and the next run goes on from there."
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
    ledgers = _commit(parts, workspace, lease, outlook, run)
    owed = outlook.owed(workspace, order, ledgers)
    context = _context(parts, watch, workspace, lease, outlook, owed)
    reports = _deliver_all(workspace, context, order, outlook, owed)
    report = found_report(run, outlook.findings, reports, time.monotonic() - started)
    lease.carry_out(partial(_end, report=report, ledgers=ledgers), partial(has_ended, run=run))
    return report


def _commit(parts: Parts, workspace: Workspace, lease: Lease, outlook: Outlook, run: RunId) -> Mapping[str, Ledger]:
    """Make what was found durable, whole or not at all. Returns the ledgers with their ids."""

    def write(connection: Connection) -> Mapping[str, Ledger]:
        ledgers = commit(connection, workspace, parts.settings, outlook.findings, outlook.ledgers, run)
        outlook.suppressed.commit(connection, workspace)
        return ledgers

    def done(connection: Connection) -> Mapping[str, Ledger] | None:
        return read_ledgers(connection, parts.settings.destinations) if is_committed(connection, run) else None

    with span("commit"):
        return lease.carry_out(write, done)


def _end(connection: Connection, *, report: Report, ledgers: Mapping[str, Ledger]) -> bool:
    end_run(connection, report, {name: ledger.id or 0 for name, ledger in ledgers.items()})
    slots.end(connection, report.run)
    return True


def _break_off(connection: Connection, *, run: int, seconds: float, words: str, is_over: bool) -> bool:
    if not has_ended(connection, run):
        break_off(connection, run, seconds, words)
        if is_over:
            slots.end(connection, run)
    return True


def _context(
    parts: Parts,
    watch: Watch,
    workspace: Workspace,
    lease: Lease,
    outlook: Outlook,
    owed: Sequence[Owed],
) -> Context:
    runs = {run for each in owed for run in _runs_told(workspace, each, outlook.destinations[each.ledger.name])}
    times = parts.store.look(partial(times_of, wanted=sorted(runs)))
    ids = parts.store.look(property_ids)
    latecomers = Latecomers(partial(_suppressed_lately, parts.store, datetime.now(UTC)))
    return Context(
        lease,
        RunId(outlook.run),
        outlook.known.installation,
        times,
        ids,
        watch.delivering,
        latecomers=latecomers,
        mask=lambda text: shortened(masked(text, parts.settings.secrets)),
    )


def _runs_told(workspace: Workspace, owed: Owed, destination: Destination) -> Iterator[int]:
    """The runs whose times calls carry: of each call the newest, and of each event its own."""
    newest = f"select run_id from {owed.table}"
    own = f"select unnest(regexp_extract_all(versions, '@(\\d+)', 1))::integer from {owed.table}"
    queries = [newest, own] if owed.told_since(destination) else [newest]
    return (run for query in queries for (run,) in workspace.all(f"select distinct * from ({query})"))


def _suppressed_lately(store: Store, since: datetime) -> set[str]:
    return store.look(partial(suppressed_lately, since=since))


def _deliver_all(
    workspace: Workspace, context: Context, order: Order, outlook: Outlook, owed: Sequence[Owed]
) -> list[DestinationReport]:
    """All destinations side by side, so that none delays another; the feeds of one in turn."""
    by_name: dict[str, list[Owed]] = {}
    for each in owed:
        by_name.setdefault(each.ledger.name, []).append(each)
    if not by_name:
        return []
    with ThreadPoolExecutor(len(by_name), thread_name_prefix="destination") as pool:
        futures = {
            name: pool.submit(_deliver_one, workspace, context, order, outlook, shares, here())
            for name, shares in by_name.items()
        }
        _wait(context, list(futures.values()))

    def count(connection: Connection) -> dict[str, int]:
        return {each.ledger.name: count_refused(connection, each.ledger.id or 0) for each in owed}

    refused = context.lease.carry_out(count)
    return [
        destination_report(outlook.destinations[name].address, future.result(), refused[name])
        for name, future in futures.items()
    ]


def _wait(context: Context, futures: Sequence[Future[list[Tally]]]) -> None:
    try:
        wait(futures)
    except BaseException:  # a person or the system ends the run: requests under way are still answered
        context.interrupt()
        wait(futures)
        raise


def _deliver_one(
    workspace: Workspace, context: Context, order: Order, outlook: Outlook, shares: Sequence[Owed], within: Any
) -> list[Tally]:
    if outlook.suppressed.error:
        return [Tally(each.ledger.name, each.calls, error=outlook.suppressed.error) for each in shares]
    with span("deliver", parent=within, run=outlook.run, destination=shares[0].ledger.name):
        tallies = [deliver(workspace, context, _delivery(each, order, outlook)) for each in shares]
        note(calls=sum(each.calls for each in tallies), delivered=sum(each.delivered for each in tallies))
        return tallies


def _delivery(owed: Owed, order: Order, outlook: Outlook) -> Delivery:
    ledger = owed.ledger
    assert ledger.id is not None
    return Delivery(
        ledger.name,
        ledger.id,
        outlook.destinations[ledger.name],
        owed.feed,
        owed.table,
        owed.calls,
        whole=owed.whole,
        most=_most(owed, order, outlook),
        rate=order.rate,
        kept_back=owed.kept_back,
        kept_calls=owed.kept_calls,
        releases=owed.releases,
        retries=owed.retries,
        told_since=owed.told_since(outlook.destinations[ledger.name]),
    )


def _most(owed: Owed, order: Order, outlook: Outlook) -> int | None:
    """How many calls may be sent, where not all: of a share, those that are still missing of it."""
    if order.share is None or owed.feed.seeding is None:
        return order.most
    members = next(each.after for each in outlook.findings.audiences if each.key == order.seed)
    everyone = members - owed.kept_calls
    told = everyone - owed.calls
    return max(0, math.ceil(round(order.share * everyone, 6)) - told)

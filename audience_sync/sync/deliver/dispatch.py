"""What is owed to whom is delivered, to all destinations side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from audience_sync.delivery.deliver import Context, Delivery, Tally, deliver
from audience_sync.delivery.send.acknowledge import count_refused
from audience_sync.delivery.send.withheld import Latecomers
from audience_sync.destinations.base import Destination
from audience_sync.destinations.http.statuses import shortened
from audience_sync.model import RunId
from audience_sync.redaction.secrets import masked
from audience_sync.store.audiences.suppressions import suppressed_lately
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import Lease
from audience_sync.sync.commit.commit import property_ids
from audience_sync.sync.commit.run_record import nonces_of, times_of
from audience_sync.sync.deliver.pending import Owed
from audience_sync.sync.plan_run import Outlook
from audience_sync.sync.values.report import DestinationReport, destination_report
from audience_sync.sync.values.request import Order, Parts, Watch
from audience_sync.tracing import here, note, span
from audience_sync.workspace import Workspace


def context_of(
    parts: Parts,
    watch: Watch,
    workspace: Workspace,
    lease: Lease,
    outlook: Outlook,
    owed: Sequence[Owed],
) -> Context:
    """What all deliveries of the run share."""
    runs = sorted({run for each in owed for run in _runs_told(workspace, each, outlook.destinations[each.ledger.name])})
    times = parts.store.look(partial(times_of, wanted=runs))
    nonces = parts.store.look(partial(nonces_of, wanted=runs))
    ids = parts.store.look(property_ids)
    latecomers = Latecomers(partial(_suppressed_lately, parts.store, datetime.now(UTC)))
    return Context(
        lease,
        RunId(outlook.run),
        outlook.known.installation,
        times,
        ids,
        watch.delivering,
        nonces=nonces,
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


def tell_all(
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

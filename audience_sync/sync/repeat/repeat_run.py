"""Repeat the last run: record a run with its result, without reading a source."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, literal, select, text, update

from audience_sync.errors import StoreError
from audience_sync.model import AudienceStatus, RunId, RunStatus, WebhookStatus
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import acquire_row, release_row
from audience_sync.store.integrity.quick_check import refuse_damaged
from audience_sync.store.maintenance.migrate import HEAD
from audience_sync.store.runs.clock import read_run_clock
from audience_sync.store.runs.inputs import keep_inputs, move_inputs, read_inputs
from audience_sync.store.tables import (
    alert_log,
    delivery_cursors,
    missed_notifications,
    run_audiences,
    run_destinations,
    run_webhook_log,
    runs,
)
from audience_sync.sync.commit.run_record import begin_run
from audience_sync.sync.repeat.inputs import ConfigInputs, RunInputs, fingerprint, written_state
from audience_sync.sync.values.findings import AudienceResult, TraitsResult
from audience_sync.sync.values.report import DestinationReport, Report


def keep_result(store: Store, inputs: RunInputs, report: Report) -> None:
    """Keep a settled run's inputs and result for the next run, which reads its sources if that fails."""
    kept = {
        "fingerprint": inputs.fingerprint,
        "salt": inputs.salt,
        "files": inputs.files,
        "written": {path: written_state(path) for path in inputs.written},
        "audiences": [(each.key, each.name, each.after, each.invalid, each.held_out) for each in report.audiences],
        "traits": (report.traits.users, report.traits.invalid),
        "destinations": [each.name for each in report.destinations],
    }
    with suppress(StoreError), store.writing() as connection:
        keep_inputs(connection, report.run, json.dumps(kept))


def repeat_run(config: ConfigInputs, is_notified: Callable[[str], bool]) -> Report | None:
    """Record a run with the last run's result.

    None if the run has to be made: something has changed, is pending or due, or is not certain. ``is_notified``:
    whether people wait for the news that the store with this label is reached again. Raises StoreError.
    """
    started = time.monotonic()
    with closing(Store(config.store)) as store:
        if (store.file is not None and not store.file.exists()) or is_notified(store.label):
            return None
        with store.reading() as connection:
            found = read_inputs(connection) if _revision(connection) == HEAD else None
        kept = None if found is None else _kept(found[1])
        if found is None or kept is None or not _is_unchanged(config, kept):
            return None
        refuse_damaged(store)
        with store.writing() as connection:
            token = acquire_row(connection)
            run = _record_repeat(connection, *found, started) if _has_nothing_due(connection) else None
            release_row(connection, token)
    return None if run is None else _report(run, kept, time.monotonic() - started)


def _kept(text: str) -> dict[str, Any] | None:
    """What the last run kept; None if that is damaged, which the run that is made then finds."""
    try:
        kept = json.loads(text)
    except ValueError:
        return None
    return kept if isinstance(kept, dict) else None


def _revision(connection: Connection) -> str | None:
    return connection.execute(text("select version_num from alembic_version")).scalar()


def _is_unchanged(config: ConfigInputs, kept: dict[str, Any]) -> bool:
    return bool(
        all(written_state(path) == state for path, state in kept["written"].items())
        and fingerprint(config, kept["files"], kept["salt"], datetime.now(UTC)) == kept["fingerprint"]
    )


def _has_nothing_due(connection: Connection) -> bool:
    """Whether no alert or webhook is to be sent, no alert open, no delivery unfinished, and the clock not doubted."""
    cursors, alert, webhook = delivery_cursors.c, alert_log.c, run_webhook_log.c
    unfinished = cursors.seeded_property_id.is_not(None) | cursors.attempted_run.is_not(None)
    unsent = alert.notified_at.is_not(None) & alert.end_notified_at.is_(None)
    due = (
        select(cursors.id).where(unfinished),
        select(alert.id).where(alert.ended_at.is_(None) | unsent),
        select(missed_notifications.c.alert_id),
        select(webhook.run_id).where(webhook.status == WebhookStatus.WAITING.value),
    )
    if any(connection.execute(query.limit(1)).first() for query in due):
        return False
    return read_run_clock(connection, datetime.now(UTC)).counted_at is not None


def _record_repeat(connection: Connection, before: RunId, inputs: str, started: float) -> RunId | None:
    """Write a finished run with the results of the run ``before`` it, and move the positions of deliveries.

    None if that is no longer the newest run, or its inputs were discarded.
    """
    if read_inputs(connection) != (before, inputs):
        return None
    run = begin_run(connection, "sync", datetime.now(UTC))
    move_inputs(connection, before, run, inputs)
    _copy_results(connection, before, run)
    at_end = update(delivery_cursors).where(delivery_cursors.c.position == before)
    connection.execute(at_end.values(position=run))
    counted = select(runs.c.trait_users).where(runs.c.id == before).scalar_subquery()
    now, seconds = datetime.now(UTC), round(time.monotonic() - started, 3)
    ended = {"status": RunStatus.SUCCEEDED.value, "committed_at": now, "finished_at": now, "seconds": seconds}
    counts = {"trait_users": counted, "trait_users_changed": 0}
    connection.execute(update(runs).where(runs.c.id == run).values(**ended, **counts))
    return run


def _copy_results(connection: Connection, before: RunId, run: RunId) -> None:
    """Write the results of the run before as those of a run without changes and calls."""
    audience, zero = run_audiences.c, literal(0)
    unchanged = {
        "run_id": literal(run),
        "audience_key": audience.audience_key,
        "status": literal(AudienceStatus.UNCHANGED.value),
        "members_before": audience.members_after,
        "members_after": audience.members_after,
        "invalid": audience.invalid,
        "held_out": audience.held_out,
        **dict.fromkeys(("entered", "left", "absent", "returned"), zero),
    }
    none = dict.fromkeys(("calls", "delivered", "refused", "pending", "retries", "requests", "seconds"), zero)
    nothing_sent = {"run_id": literal(run), "destination_id": run_destinations.c.destination_id, **none}
    for table, row in ((run_audiences, unchanged), (run_destinations, nothing_sent)):
        same = select(*row.values()).where(table.c.run_id == before)
        connection.execute(insert(table).from_select(list(row), same))


def _report(run: RunId, kept: dict[str, Any], seconds: float) -> Report:
    users, invalid = kept["traits"]
    audiences = [
        AudienceResult(
            key=key, name=name, status=AudienceStatus.UNCHANGED, before=members, invalid=rows, held_out=held_out
        )
        for key, name, members, rows, held_out in kept["audiences"]
    ]
    destinations = [
        DestinationReport(name=name, address="-", calls=0, delivered=0, refused=0, pending=0)
        for name in kept["destinations"]
    ]
    traits = TraitsResult(users=users, invalid=invalid)
    return Report(run=run, audiences=audiences, traits=traits, destinations=destinations, seconds=seconds)

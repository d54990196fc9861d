"""Read the metrics from the store, on every request; nothing is counted elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from audience_sync.model import AlertKind, PropertyKind, RunStatus
from audience_sync.store.connection.lease import is_run_in_progress
from audience_sync.store.tables import (
    alert_log,
    delivery_destinations,
    open_refusals,
    properties,
    run_audiences,
    run_destinations,
    runs,
    snapshot_chains,
)

Sample = tuple[tuple[str, ...], float]


class Metric(NamedTuple):
    """One metric. ``kind`` is `gauge` or `counter`; each sample has a value for every label."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]
    samples: Callable[[Connection], Iterator[Sample]]


def _newest_run(connection: Connection, status: RunStatus | None = None) -> Any:
    """The newest run that has ended, with this status if one is given; or None."""
    is_wanted = runs.c.finished_at.is_not(None) if status is None else runs.c.status == status.value
    return connection.execute(select(runs).where(is_wanted).order_by(runs.c.id.desc()).limit(1)).one_or_none()


def _runs(connection: Connection) -> Iterator[Sample]:
    query = select(runs.c.status, func.count().label("runs")).group_by(runs.c.status)
    found = {row.status: row.runs for row in connection.execute(query)}
    for status in RunStatus:
        if status is not RunStatus.RUNNING:
            yield (status.value,), found.get(status.value, 0)


def _last_run(
    read: Callable[[Any], float | None], status: RunStatus | None = None
) -> Callable[[Connection], Iterator[Sample]]:
    def samples(connection: Connection) -> Iterator[Sample]:
        row = _newest_run(connection, status)
        value = None if row is None else read(row)
        if value is not None:
            yield (), value

    return samples


def _run_in_progress(connection: Connection) -> Iterator[Sample]:
    yield (), float(is_run_in_progress(connection))


def _members(connection: Connection) -> Iterator[Sample]:
    query = select(properties.c.key, snapshot_chains.c.user_count).join_from(properties, snapshot_chains)
    audiences = query.where(properties.c.kind == PropertyKind.AUDIENCE.value, properties.c.retired_at.is_(None))
    for row in connection.execute(audiences.order_by(properties.c.key)):
        yield (row.key,), row.user_count


def _columns_of_last_run(table: Any, label: Any, columns: Sequence[str]) -> Callable[[Connection], Iterator[Sample]]:
    def samples(connection: Connection) -> Iterator[Sample]:
        row = _newest_run(connection)
        if row is None:
            return
        query = select(label, *(table.c[name] for name in columns)).where(table.c.run_id == row.id).order_by(label)
        if table is run_destinations:
            query = query.join_from(run_destinations, delivery_destinations)
        for name, *values in connection.execute(query):
            yield from (((name, column), value) for column, value in zip(columns, values, strict=True))

    return samples


def _refused(connection: Connection) -> Iterator[Sample]:
    counted = select(delivery_destinations.c.name, func.count(open_refusals.c.user_id).label("calls"))
    query = counted.select_from(delivery_destinations.outerjoin(open_refusals)).group_by(delivery_destinations.c.name)
    for row in connection.execute(query.order_by(delivery_destinations.c.name)):
        yield (row.name,), row.calls


def _alerts(connection: Connection) -> Iterator[Sample]:
    query = select(alert_log.c.kind, func.count().label("alerts")).where(alert_log.c.ended_at.is_(None))
    found = {row.kind: row.alerts for row in connection.execute(query.group_by(alert_log.c.kind))}
    yield from (((kind.value,), found.get(kind.value, 0)) for kind in AlertKind)


METRICS = (
    Metric("runs_total", "counter", "Runs that ended, by how.", ("status",), _runs),
    Metric(
        "last_run_timestamp_seconds",
        "gauge",
        "When the last run ended.",
        (),
        _last_run(lambda row: row.finished_at.timestamp()),
    ),
    Metric("last_run_seconds", "gauge", "How long the last run took.", (), _last_run(lambda row: row.seconds)),
    Metric(
        "last_success_timestamp_seconds",
        "gauge",
        "When the last run ended that left nothing undone.",
        (),
        _last_run(lambda row: row.finished_at.timestamp(), RunStatus.SUCCEEDED),
    ),
    Metric("run_at_work", "gauge", "1 while a run is in progress.", (), _run_in_progress),
    Metric("members", "gauge", "Members of each audience.", ("audience",), _members),
    Metric(
        "last_run_changes",
        "gauge",
        "Users who entered and left in the last run.",
        ("audience", "change"),
        _columns_of_last_run(run_audiences, run_audiences.c.audience_key, ("entered", "left")),
    ),
    Metric(
        "last_run_calls",
        "gauge",
        "Identify calls in the last run: delivered, refused, still pending at its end.",
        ("destination", "outcome"),
        _columns_of_last_run(run_destinations, delivery_destinations.c.name, ("delivered", "refused", "pending")),
    ),
    Metric(
        "last_run_retries",
        "gauge",
        "Requests that the last run had to send again.",
        ("destination", "of"),
        _columns_of_last_run(run_destinations, delivery_destinations.c.name, ("retries", "requests")),
    ),
    Metric("refused_calls", "gauge", "Calls refused and not accepted since.", ("destination",), _refused),
    Metric("alerts", "gauge", "What needs attention now, by kind.", ("kind",), _alerts),
)

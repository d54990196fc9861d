"""Keep alerts: what needs attention, and from which run to which."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from audience_sync.model import AlertKind
from audience_sync.store.audiences.absences import LOADED_STATUSES
from audience_sync.store.tables import alert_log, installation, run_audiences

#: The kind of an alert, and its subject: an audience, a destination, a schedule, or the whole run.
Subject = tuple[AlertKind, str]


class Alert(NamedTuple):
    kind: AlertKind
    subject: str
    text: str


class OpenAlert(NamedTuple):
    """An alert that has not ended, as stored."""

    id: int
    text: str


def open_alerts(connection: Connection, *, lock: bool = False) -> dict[Subject, OpenAlert]:
    """All open alerts. ``lock``: no other process can start or end one until this transaction ends."""
    if lock:
        connection.execute(select(installation.c.uuid).with_for_update())
    query = select(alert_log).where(alert_log.c.ended_at.is_(None))
    return {(AlertKind(row.kind), row.subject): OpenAlert(row.id, row.message) for row in connection.execute(query)}


_SIZES = (
    select(run_audiences.c.members_after)
    .where(run_audiences.c.audience_key == bindparam("audience"), run_audiences.c.status.in_(LOADED_STATUSES))
    .where(run_audiences.c.run_id < bindparam("run"))
    .order_by(run_audiences.c.run_id.desc())
    .limit(bindparam("most"))
)


def start_alerts(connection: Connection, found: Sequence[Alert], run: int, now: datetime) -> None:
    rows = [
        {"kind": each.kind.value, "subject": each.subject, "message": each.text, "started_run": run, "started_at": now}
        for each in found
    ]
    if rows:
        connection.execute(insert(alert_log), rows)


def update_texts(connection: Connection, texts: Mapping[int, str]) -> None:
    """Replace the texts of open alerts, by id. No notification is sent for that."""
    for alert, now in texts.items():
        connection.execute(update(alert_log).where(alert_log.c.id == alert).values(message=now))


def end_alerts(connection: Connection, ids: Collection[int], run: int, now: datetime) -> None:
    if ids:
        connection.execute(update(alert_log).where(alert_log.c.id.in_(ids)).values(ended_run=run, ended_at=now))


def previous_sizes(connection: Connection, keys: Collection[str], run: int, most: int) -> Mapping[str, Sequence[int]]:
    """The member counts of each audience in at most ``most`` runs before this one, the newest first."""
    bounds = {"run": run, "most": most}
    return {key: connection.execute(_SIZES, {"audience": key, **bounds}).scalars().all() for key in keys}

"""What needs a look, and since when?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert, select, update

from audience_sync.model import AlertKind
from audience_sync.store.audiences.absences import LOADED_STATUSES
from audience_sync.store.tables import alerts, installation, run_audiences

#: What is wrong, and with what: an audience, a destination, a schedule, or the whole run.
Subject = tuple[AlertKind, str]


class Alert(NamedTuple):
    kind: AlertKind
    subject: str
    text: str


class OpenAlert(NamedTuple):
    """One that goes on."""

    id: int
    text: str


def open_alerts(connection: Connection, *, lock: bool = False) -> dict[Subject, OpenAlert]:
    """What needs a look now. ``lock``: nobody else may begin or end any until the transaction's end."""
    if lock:
        connection.execute(select(installation.c.uuid).with_for_update())
    query = select(alerts).where(alerts.c.ended_at.is_(None))
    return {(AlertKind(row.kind), row.subject): OpenAlert(row.id, row.words) for row in connection.execute(query)}


def start_alerts(connection: Connection, found: Sequence[Alert], run: int, now: datetime) -> None:
    rows = [
        {"kind": each.kind.value, "subject": each.subject, "words": each.text, "began_run": run, "began_at": now}
        for each in found
    ]
    if rows:
        connection.execute(insert(alerts), rows)


def update_texts(connection: Connection, words: Mapping[int, str]) -> None:
    """What is so now, of alerts that go on; nobody is told again."""
    for alert, now in words.items():
        connection.execute(update(alerts).where(alerts.c.id == alert).values(words=now))


def end_alerts(connection: Connection, ids: Collection[int], run: int, now: datetime) -> None:
    if ids:
        connection.execute(update(alerts).where(alerts.c.id.in_(ids)).values(ended_run=run, ended_at=now))


def previous_sizes(connection: Connection, keys: Collection[str], run: int, most: int) -> Mapping[str, Sequence[int]]:
    """How many members the last runs before this one found, at ``most`` so many of each audience."""
    found: dict[str, Sequence[int]] = {}
    for key in keys:
        looked = (run_audiences.c.audience_key == key) & run_audiences.c.status.in_(LOADED_STATUSES)
        query = select(run_audiences.c.members_after).where(looked, run_audiences.c.run_id < run)
        found[key] = connection.execute(query.order_by(run_audiences.c.run_id.desc()).limit(most)).scalars().all()
    return found

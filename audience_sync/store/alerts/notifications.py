"""Keep which address was notified of which alert: once when it starts and once when it ends."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, insert, select, tuple_, update

from audience_sync.model import AlertKind
from audience_sync.store.alerts.alerts import Alert
from audience_sync.store.tables import alerts, missed_alerts


class Notification(NamedTuple):
    """A message that an alert started, or ended (``is_over``). ``id`` is the alert's id."""

    id: int
    alert: Alert
    is_over: bool


class NotificationResult(NamedTuple):
    """The notifications sent to one address. ``address_number`` is its number in `notify.to`, from 1."""

    address_number: int
    notifications: Sequence[Notification]
    is_accepted: bool


@dataclass(frozen=True, slots=True)
class PendingNotifications:
    """``new``: notifications that no address accepted yet. ``missed``: by address number, those that only other
    addresses accepted. ``start_missed_by``: pairs of address number and alert whose start the address missed."""

    new: Sequence[Notification]
    missed: Mapping[int, Sequence[Notification]]
    start_missed_by: Collection[tuple[int, int]]

    def for_address(self, place: int) -> Sequence[Notification]:
        """The notifications to send to one address; the end of an alert only if the address got its start."""
        fresh = [news for news in self.new if not (news.is_over and (place, news.id) in self.start_missed_by)]
        return [*self.missed.get(place, ()), *fresh]


def pending_notifications(connection: Connection) -> PendingNotifications:
    """Open alerts without a notification of their start, and ended ones without a notification of their end."""
    begun = alerts.c.told_at.is_(None) & alerts.c.ended_at.is_(None)
    over = alerts.c.told_at.is_not(None) & alerts.c.ended_at.is_not(None) & alerts.c.end_told_at.is_(None)
    new = connection.execute(select(alerts).where(begun | over).order_by(alerts.c.id))
    query = select(alerts, missed_alerts.c.place, missed_alerts.c.is_over).join_from(missed_alerts, alerts)
    rows = connection.execute(query.order_by(missed_alerts.c.place, alerts.c.id, missed_alerts.c.is_over)).all()
    matters = [row for row in rows if row.is_over or row.ended_at is None]
    return PendingNotifications(
        [_notification(row, row.ended_at is not None) for row in new],
        {
            place: [_notification(row, row.is_over) for row in mine]
            for place, mine in groupby(matters, lambda row: row.place)
        },
        {(row.place, row.id) for row in rows if not row.is_over},
    )


def _notification(row: Row[Any], is_over: bool) -> Notification:
    return Notification(row.id, Alert(AlertKind(row.kind), row.subject, row.words), is_over)


def record_notified(
    connection: Connection, before: PendingNotifications, letters: Sequence[NotificationResult], now: datetime
) -> None:
    """A notification that no address accepted stays new. If some accepted it, the others have missed it."""
    told = {news for letter in letters if letter.is_accepted for news in letter.notifications}
    for column, is_over in ((alerts.c.told_at, False), (alerts.c.end_told_at, True)):
        ids = [news.id for news in told if news.is_over == is_over]
        connection.execute(update(alerts).where(alerts.c.id.in_(ids), column.is_(None)).values({column.name: now}))
    key = tuple_(*missed_alerts.primary_key)
    heard = [
        (news.id, news.is_over, letter.address_number)
        for letter in letters
        if letter.is_accepted
        for news in letter.notifications
    ]
    connection.execute(delete(missed_alerts).where(key.in_(heard)))
    missed = [
        {"alert_id": news.id, "is_over": news.is_over, "place": letter.address_number}
        for letter in letters
        if not letter.is_accepted
        for news in letter.notifications
        if news in told and news in before.new
    ]
    if missed:
        connection.execute(insert(missed_alerts), missed)

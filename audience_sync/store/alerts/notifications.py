"""Keep which address was notified of which alert: once when it starts and once when it ends."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import Connection, Row, delete, insert, select, tuple_, update

from audience_sync.model import AlertKind
from audience_sync.store.alerts.alerts import Alert
from audience_sync.store.tables import alert_log, missed_notifications


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


class PendingNotifications(Struct, frozen=True):
    """``new``: notifications that no address accepted yet. ``missed``: by address number, those that only other
    addresses accepted. ``start_missed_by``: pairs of address number and alert whose start the address missed."""

    new: Sequence[Notification]
    missed: Mapping[int, Sequence[Notification]]
    start_missed_by: Collection[tuple[int, int]]

    def for_address(self, number: int) -> Sequence[Notification]:
        """The notifications to send to one address; the end of an alert only if the address got its start."""
        new = [each for each in self.new if not (each.is_over and (number, each.id) in self.start_missed_by)]
        return [*self.missed.get(number, ()), *new]


def pending_notifications(connection: Connection) -> PendingNotifications:
    """Open alerts without a notification of their start, and ended ones without a notification of their end."""
    alert, recipient, is_end = alert_log.c, missed_notifications.c.recipient_number, missed_notifications.c.is_end
    started = alert.notified_at.is_(None) & alert.ended_at.is_(None)
    ended = alert.notified_at.is_not(None) & alert.ended_at.is_not(None) & alert.end_notified_at.is_(None)
    new = connection.execute(select(alert_log).where(started | ended).order_by(alert.id))
    query = select(alert_log, recipient, is_end).join_from(missed_notifications, alert_log)
    rows = connection.execute(query.order_by(recipient, alert.id, is_end)).all()
    # The start of an alert that has ended meanwhile is not sent any longer.
    missed = [row for row in rows if row.is_end or row.ended_at is None]
    return PendingNotifications(
        new=[_notification(row, row.ended_at is not None) for row in new],
        missed={
            number: [_notification(row, row.is_end) for row in of_address]
            for number, of_address in groupby(missed, lambda row: row.recipient_number)
        },
        start_missed_by={(row.recipient_number, row.id) for row in rows if not row.is_end},
    )


def _notification(row: Row[Any], is_over: bool) -> Notification:
    return Notification(row.id, Alert(AlertKind(row.kind), row.subject, row.message), is_over)


def record_notified(
    connection: Connection, before: PendingNotifications, results: Sequence[NotificationResult], now: datetime
) -> None:
    """A notification that no address accepted stays new. If some accepted it, the others have missed it."""
    accepted = [(each, result) for result in results if result.is_accepted for each in result.notifications]
    failed = [(each, result) for result in results if not result.is_accepted for each in result.notifications]
    sent = {each for each, _ in accepted}
    for column, is_over in ((alert_log.c.notified_at, False), (alert_log.c.end_notified_at, True)):
        ids = [each.id for each in sent if each.is_over == is_over]
        unsent = update(alert_log).where(alert_log.c.id.in_(ids), column.is_(None))
        connection.execute(unsent.values({column.name: now}))
    keys = [(each.id, each.is_over, result.address_number) for each, result in accepted]
    connection.execute(delete(missed_notifications).where(tuple_(*missed_notifications.primary_key).in_(keys)))
    missed = [
        {"alert_id": each.id, "is_end": each.is_over, "recipient_number": result.address_number}
        for each, result in failed
        if each in sent and each in before.new
    ]
    if missed:
        connection.execute(insert(missed_notifications), missed)

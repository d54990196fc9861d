"""Alert on failures that no run reports: a run that breaks off or can't start, a config that can't be loaded."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from contextlib import closing
from datetime import UTC, datetime

from audience_sync.alerts import store_unreachable as unreached
from audience_sync.alerts.notify import error_text, notify
from audience_sync.config.models import Settings
from audience_sync.errors import AudienceSyncError
from audience_sync.model import AlertKind
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.store.alerts import alerts
from audience_sync.store.alerts.alerts import Alert
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate
from audience_sync.store.runs.runs import last_run_started_by
from audience_sync.store.runs.schedule_slots import Slot

log = logging.getLogger("audience_sync.alerts")


def raise_alert(settings: Settings, subject: str, text: str) -> None:
    """Store an alert of a failure and notify people. A problem here is only logged; the caller reports the failure."""
    _record_and_notify(settings, Alert(AlertKind.FAILED, subject, mask_secrets(text, settings.secrets)), is_over=False)


def end_alert(settings: Settings, subject: str) -> None:
    """End the alert of a failure, if it is open, and notify people."""
    _record_and_notify(settings, Alert(AlertKind.FAILED, subject, ""), is_over=True)


def raise_late(settings: Settings, slots: Sequence[Slot], now: datetime) -> None:
    """Store an alert for each slot that is late and still waits for another run, and notify people."""
    for each in slots:
        first = each.since or each.due_at
        if now - first > settings.notify.late:
            text = f"due at {first:%Y-%m-%d %H:%M} UTC, and it still waits for another run to end"
            _record_and_notify(settings, Alert(AlertKind.LATE, each.schedule, text), is_over=False)


def end_stale_late(settings: Settings, schedules: Collection[str]) -> None:
    """End alerts of schedules that no longer exist. The next notification includes that."""
    try:
        with closing(Store(settings.store)) as store, store.writing() as connection:
            now, open_now = datetime.now(UTC), alerts.open_alerts(connection, lock=True)
            over = [open_now[each].id for each in open_now if each[0] is AlertKind.LATE and each[1] not in schedules]
            alerts.end_alerts(connection, over, last_run_started_by(connection, now), now)
    except AudienceSyncError as error:
        log.warning("the alerts of late schedules could not be read: %s", error_text(error, settings))


def _record_and_notify(settings: Settings, alert: Alert, *, is_over: bool) -> None:
    try:
        with closing(Store(settings.store)) as store:
            try:
                run = _record(store, alert, is_over=is_over)
            except AudienceSyncError:  # the store can't be reached, or has another schema
                if not is_over:
                    unreached.report_unreachable(settings, alert)
            else:
                notify(settings, store, run)
    except Exception as error:
        log.warning("an alert was not sent: %s. It is sent again after the next run", error_text(error, settings))


def _record(store: Store, alert: Alert, *, is_over: bool) -> int:
    """Start or end an alert in the store. Returns the number of the last run."""
    migrate.require_current_schema(store)
    now, subject = datetime.now(UTC), (alert.kind, alert.subject)
    with store.reading() as connection:
        run = last_run_started_by(connection, now)
        if (subject in alerts.open_alerts(connection)) is not is_over:
            return run  # nothing changed
    with store.writing() as connection:
        open_now = alerts.open_alerts(connection, lock=True)
        if is_over and subject in open_now:
            alerts.end_alerts(connection, [open_now[subject].id], run, now)
        elif not is_over and subject not in open_now:
            alerts.start_alerts(connection, [alert], run, now)
    return run

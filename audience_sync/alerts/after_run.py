"""After a run: what is new is kept in the store and told, once."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from audience_sync.alerts import store_unreachable as unreached
from audience_sync.alerts.conditions import (
    CONFIG,
    RUN,
    TRAITS,
    audiences_to_compare,
    changed_texts,
    conditions,
    ended_alerts,
    started_alerts,
    without_subject,
)
from audience_sync.alerts.notify import alert_egress, error_text, notify
from audience_sync.alerts.send import ping
from audience_sync.config.models import Settings
from audience_sync.errors import NotifyError
from audience_sync.model import RunStatus
from audience_sync.store.alerts import alerts
from audience_sync.store.connection.engine import Store
from audience_sync.sync.values.report import Report
from audience_sync.sync.values.request import RunRequest

log = logging.getLogger("audience_sync.alerts")

#: Runs whose sizes say what is usual.
SIZE_RUNS = 30
#: The commands that may look at every audience.
FULL_COMMANDS = ("sync", "schedule")


def after_run(settings: Settings, store: Store, request: RunRequest, report: Report) -> None:
    """Note what needs a look since this run, and what no longer does, and tell people. A run is what it was, whatever
    comes of that: what goes wrong here is a warning, and told after the next run."""
    for step in (_ping, _notify, _report_recovery):  # none keeps another from being done
        try:
            step(settings, store, request, report)
        except Exception as error:
            words = error_text(error, settings)
            log.warning("an alert of this run was not sent: %s. It is sent again after the next run", words)


def _ping(settings: Settings, _store: Store, _order: RunRequest, report: Report) -> None:
    url = settings.notify.ping
    if url and report.status is not RunStatus.FAILED and (problem := ping(url, alert_egress(settings))):
        raise NotifyError(f"`notify.ping` {problem}")


def _notify(settings: Settings, store: Store, request: RunRequest, report: Report) -> None:
    _record_alerts(settings, store, request, report)
    notify(settings, store, report.run)


def _report_recovery(settings: Settings, _store: Store, _order: RunRequest, _report: Report) -> None:
    unreached.report_recovery(settings)


def _record_alerts(settings: Settings, store: Store, request: RunRequest, report: Report) -> None:
    now = datetime.now(UTC)
    with store.reading() as connection:
        known = alerts.open_alerts(connection)
        sizes = alerts.previous_sizes(connection, audiences_to_compare(report, known), report.run, SIZE_RUNS)
    found = conditions(
        report,
        settings.notify,
        slots=request.slots,
        began_at=now - timedelta(seconds=report.seconds),
        open_before=known,
        sizes=sizes,
    )
    found |= dict.fromkeys(without_subject(known, current_subjects(settings, request, report)))
    if started_alerts(found, known) or ended_alerts(found, known) or changed_texts(found, known):
        with store.writing() as connection:
            known = alerts.open_alerts(connection, lock=True)  # another run may have ended meanwhile
            alerts.start_alerts(connection, started_alerts(found, known), report.run, now)
            alerts.end_alerts(connection, [known[each].id for each in ended_alerts(found, known)], report.run, now)
            alerts.update_texts(connection, changed_texts(found, known))


def current_subjects(settings: Settings, request: RunRequest, report: Report) -> Collection[str] | None:
    """All that an alert of a run may be about, as things are; None where a run over some can't know that."""
    listed = [each.property_key for each in settings.audiences if each.property_key is not None]
    whole = request.command in FULL_COMMANDS and request.selection.is_whole
    if not whole and len(listed) < len(settings.audiences):
        return None
    return {*listed, *(each.key for each in report.audiences), *settings.destinations, RUN, TRAITS, CONFIG}

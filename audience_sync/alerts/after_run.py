"""After a run, store new and ended alerts, and notify people of each once."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import partial

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

#: The usual size of an audience is the median of so many runs.
SIZE_RUNS = 30
#: The commands that load every audience, unless some are named.
FULL_COMMANDS = ("sync", "schedule")


def after_run(settings: Settings, store: Store, request: RunRequest, report: Report) -> None:
    """Store the alerts that started and ended with this run, and notify people.

    A failure here is logged as a warning and does not change the run's result; the next run notifies again.
    """
    steps = (
        partial(_ping, settings, report),
        partial(_record_and_notify, settings, store, request, report),
        partial(unreached.report_recovery, settings),
    )
    for step in steps:  # one that fails does not stop the others
        try:
            step()
        except Exception as error:
            reason = error_text(error, settings)
            log.warning("an alert of this run was not sent: %s. It is sent again after the next run", reason)


def _ping(settings: Settings, report: Report) -> None:
    url = settings.notify.ping
    if url and report.status is not RunStatus.FAILED and (problem := ping(url, alert_egress(settings))):
        raise NotifyError(f"`notify.ping` {problem}")


def _record_and_notify(settings: Settings, store: Store, request: RunRequest, report: Report) -> None:
    now = datetime.now(UTC)
    with store.reading() as connection:
        open_now = alerts.open_alerts(connection)
        sizes = alerts.previous_sizes(connection, audiences_to_compare(report, open_now), report.run, SIZE_RUNS)
    found = conditions(
        report,
        settings.notify,
        slots=request.slots,
        began_at=now - timedelta(seconds=report.seconds),
        open_before=open_now,
        sizes=sizes,
    )
    found |= dict.fromkeys(without_subject(open_now, current_subjects(settings, request, report)))
    if started_alerts(found, open_now) or ended_alerts(found, open_now) or changed_texts(found, open_now):
        with store.writing() as connection:
            open_now = alerts.open_alerts(connection, lock=True)  # another run may have ended meanwhile
            alerts.start_alerts(connection, started_alerts(found, open_now), report.run, now)
            over = [open_now[each].id for each in ended_alerts(found, open_now)]
            alerts.end_alerts(connection, over, report.run, now)
            alerts.update_texts(connection, changed_texts(found, open_now))
    notify(settings, store, report.run)


def current_subjects(settings: Settings, request: RunRequest, report: Report) -> Collection[str] | None:
    """All subjects that an alert may have in this project; None if a run over some audiences can't list them."""
    listed = [each.property_key for each in settings.audiences if each.property_key is not None]
    whole = request.command in FULL_COMMANDS and request.selection.is_whole
    if not whole and len(listed) < len(settings.audiences):
        return None
    return {*listed, *(each.key for each in report.audiences), *settings.destinations, RUN, TRAITS, CONFIG}

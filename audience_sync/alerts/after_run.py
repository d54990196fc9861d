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
    begun,
    changed_texts,
    conditions,
    of_interest,
    over,
    without_subject,
)
from audience_sync.alerts.notify import notify, way_out, words_of
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
USUAL_RUNS = 30
#: The commands that may look at every audience.
WHOLE = ("sync", "schedule")


def after_run(settings: Settings, store: Store, request: RunRequest, report: Report) -> None:
    """Note what needs a look since this run, and what no longer does, and tell people. A run is what it was, whatever
    comes of that: what goes wrong here is a warning, and told after the next run."""
    for step in (_ping, _tell, _recover):  # none keeps another from being done
        try:
            step(settings, store, request, report)
        except Exception as error:
            words = words_of(error, settings)
            log.warning("an alert of this run was not sent: %s. It is sent again after the next run", words)


def _ping(settings: Settings, _store: Store, _order: RunRequest, report: Report) -> None:
    url = settings.notify.ping
    if url and report.status is not RunStatus.FAILED and (problem := ping(url, way_out(settings))):
        raise NotifyError(f"`notify.ping` {problem}")


def _tell(settings: Settings, store: Store, request: RunRequest, report: Report) -> None:
    _note(settings, store, request, report)
    notify(settings, store, report.run)


def _recover(settings: Settings, _store: Store, _order: RunRequest, _report: Report) -> None:
    unreached.recover(settings)


def _note(settings: Settings, store: Store, request: RunRequest, report: Report) -> None:
    now = datetime.now(UTC)
    with store.reading() as connection:
        known = alerts.open_alerts(connection)
        sizes = alerts.previous_sizes(connection, of_interest(report, known), report.run, USUAL_RUNS)
    found = conditions(
        report,
        settings.notify,
        slots=request.slots,
        began_at=now - timedelta(seconds=report.seconds),
        open_before=known,
        sizes=sizes,
    )
    found |= dict.fromkeys(without_subject(known, subjects_of(settings, request, report)))
    if begun(found, known) or over(found, known) or changed_texts(found, known):
        with store.writing() as connection:
            known = alerts.open_alerts(connection, lock=True)  # another run may have ended meanwhile
            alerts.begin(connection, begun(found, known), report.run, now)
            alerts.end(connection, [known[each].id for each in over(found, known)], report.run, now)
            alerts.update_text(connection, changed_texts(found, known))


def subjects_of(settings: Settings, request: RunRequest, report: Report) -> Collection[str] | None:
    """All that an alert of a run may be about, as things are; None where a run over some can't know that."""
    listed = [each.property_key for each in settings.audiences if each.property_key is not None]
    whole = request.command in WHOLE and request.selection.is_whole
    if not whole and len(listed) < len(settings.audiences):
        return None
    return {*listed, *(each.key for each in report.audiences), *settings.destinations, RUN, TRAITS, CONFIG}

"""After a run: what is new is kept in the store and told, once."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from audience_sync.alerts import unreached
from audience_sync.alerts.conditions import begun, conditions, of_interest, over
from audience_sync.alerts.telling import call, tell, words_of
from audience_sync.config.models import Settings
from audience_sync.errors import NotifyError
from audience_sync.model import RunStatus
from audience_sync.store import alerts
from audience_sync.store.engine import Store
from audience_sync.sync.order import Order
from audience_sync.sync.report import Report

log = logging.getLogger("audience_sync.alerts")

#: Runs whose sizes say what is usual.
USUAL_RUNS = 30


def after_run(settings: Settings, store: Store, order: Order, report: Report) -> None:
    """Note what needs a look since this run, and what no longer does, and tell people. A run is what it was, whatever
    comes of that: what goes wrong here is a warning, and told after the next run."""
    for step in (_ping, _tell, _recover):  # none keeps another from being done
        try:
            step(settings, store, order, report)
        except Exception as error:
            words = words_of(error, settings)
            log.warning("not everyone could be told of the run: %s. It is tried again after the next one", words)


def _ping(settings: Settings, _store: Store, _order: Order, report: Report) -> None:
    url = settings.notify.ping
    if url and report.status is not RunStatus.FAILED and (problem := call(url)):
        raise NotifyError(f"`notify.ping` {problem}")


def _tell(settings: Settings, store: Store, order: Order, report: Report) -> None:
    _note(settings, store, order, report)
    tell(settings, store, report.run)


def _recover(settings: Settings, _store: Store, _order: Order, _report: Report) -> None:
    unreached.recover(settings)


def _note(settings: Settings, store: Store, order: Order, report: Report) -> None:
    now = datetime.now(UTC)
    with store.reading() as connection:
        known = alerts.open_alerts(connection)
        sizes = alerts.sizes_before(connection, of_interest(report, known), report.run, USUAL_RUNS)
    found = conditions(
        report,
        settings.notify,
        slots=order.slots,
        began_at=now - timedelta(seconds=report.seconds),
        open_before=known,
        sizes=sizes,
    )
    if begun(found, known) or over(found, known):
        with store.writing() as connection:
            known = alerts.open_alerts(connection, lock=True)  # another run may have ended meanwhile
            alerts.begin(connection, begun(found, known), report.run, now)
            alerts.end(connection, [known[each] for each in over(found, known)], report.run, now)

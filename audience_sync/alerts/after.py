"""After a run: what is new is kept in the store and told, once."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from audience_sync.alerts.conditions import begun, conditions, of_interest, over
from audience_sync.alerts.telling import ping, send, tell
from audience_sync.config.models import Settings
from audience_sync.config.secrets import masked
from audience_sync.errors import NotifyError, in_short
from audience_sync.model import RunStatus
from audience_sync.store import alerts
from audience_sync.store.alerts import News
from audience_sync.store.engine import Store
from audience_sync.sync.order import Order
from audience_sync.sync.report import Report

log = logging.getLogger("audience_sync.alerts")

#: Runs whose sizes say what is usual.
USUAL_RUNS = 30


def after_run(settings: Settings, store: Store, order: Order, report: Report) -> None:
    """Note what needs a look since this run, and what no longer does, and tell people. A run is what it was, whatever
    comes of that: what goes wrong here is a warning, and told after the next run."""
    for step in (_ping, _tell):  # neither keeps the other from being done
        try:
            step(settings, store, order, report)
        except Exception as error:
            words = _words(error, settings)
            log.warning("not everyone could be told of the run: %s. It is tried again after the next one", words)


def _ping(settings: Settings, _store: Store, _order: Order, report: Report) -> None:
    if settings.notify.ping and report.status is not RunStatus.FAILED:
        ping(settings.notify.ping)


def _tell(settings: Settings, store: Store, order: Order, report: Report) -> None:
    news = _note(settings, store, order, report)
    told = tell(settings.notify.to, news, run=report.run, secrets=settings.secrets)
    if told:
        with store.writing() as connection:
            alerts.note_told(connection, told, datetime.now(UTC))


def tell_unnoted(settings: Settings, heading: str, text: str, *, is_good: bool) -> None:
    """Tell people of what can't be noted, since the store can't be reached; once is the caller's business."""
    try:
        send(settings.notify.to, heading, masked(text, settings.secrets), is_good=is_good)
    except Exception as error:
        log.warning("not everyone could be told: %s", _words(error, settings))


def _words(error: Exception, settings: Settings) -> str:
    if isinstance(error, NotifyError):
        return str(error)
    return in_short(error, lambda text: masked(text, settings.secrets))


def _note(settings: Settings, store: Store, order: Order, report: Report) -> list[News]:
    """Returns all of which people want to be told, and have yet to be."""
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
    new, ended = begun(found, known), over(found, known)
    if new or ended:
        with store.writing() as connection:
            alerts.begin(connection, new, report.run, now)
            alerts.end(connection, [known[each] for each in ended], report.run, now)
    if not settings.notify.to:
        return []
    with store.reading() as connection:
        return [each for each in alerts.untold(connection) if each.alert.kind in settings.notify.of]

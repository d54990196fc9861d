"""What comes after a run? The log, whoever is to be told, and the monitor's numbers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audience_sync.alerts.after import after_run
from audience_sync.cli.logs import log_report
from audience_sync.config.models import Settings
from audience_sync.errors import MetricsError
from audience_sync.store.engine import Store
from audience_sync.sync.order import Order
from audience_sync.sync.report import Report

log = logging.getLogger("audience_sync")


def afterwards(settings: Settings, store: Store, order: Order, report: Report) -> None:
    log_report(report)
    after_run(settings, store, order, report)
    if settings.metrics.file is not None:
        from audience_sync.metrics.prometheus import write

        try:
            write(Path(settings.metrics.file), lambda: store_of(settings))
        except MetricsError as error:
            log.warning("%s", error)


@contextmanager
def store_of(settings: Settings) -> Iterator[Store]:
    """The store for one look."""
    store = Store(settings.store)
    try:
        yield store
    finally:
        store.close()

"""Finish a run: log it, send alerts, write the metrics file, and post its summary."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from audience_sync.alerts.after_run import after_run
from audience_sync.alerts.conditions import RUN
from audience_sync.config.models import Settings
from audience_sync.errors import FAILED, AudienceSyncError, LeaseLostError, MetricsError, summarize_error
from audience_sync.project.run_log import log_report
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.store.connection.engine import Store
from audience_sync.sync.values.report import Report
from audience_sync.sync.values.request import RunRequest

log = logging.getLogger("audience_sync")


def finish_run(settings: Settings, store: Store, request: RunRequest, report: Report) -> None:
    log_report(report)
    after_run(settings, store, request, report)
    write_metrics(settings)
    post_summary(settings, store)


def post_summary(settings: Settings, store: Store) -> None:
    """Post the webhooks that are due, if the config has a hook."""
    if settings.on_run:
        from audience_sync.alerts.run_webhooks import post_webhooks

        post_webhooks(settings, store)


def post_waiting(settings: Settings) -> None:
    """The same, for a run that has ended without a report."""
    if settings.on_run:
        with closing(Store(settings.store)) as store:
            post_summary(settings, store)


def write_metrics(settings: Settings) -> None:
    """Write the metrics file, if the config names one."""
    if settings.metrics.file is not None:
        from audience_sync.metrics.prometheus import write_metrics_file

        try:
            write_metrics_file(Path(settings.metrics.file), lambda: closing(Store(settings.store)))
        except MetricsError as error:
            log.warning("%s", error)


@contextmanager
def alert_on_failure(settings: Settings) -> Iterator[None]:
    """Send an alert if a run ends without a report, unless it was asked for wrongly or replaced by another run."""
    try:
        yield
    except LeaseLostError:
        raise  # the other run reports
    except Exception as error:
        if not isinstance(error, AudienceSyncError) or error.exit_code == FAILED:
            alert_failed_run(settings, error)
        raise


def alert_failed_run(settings: Settings, error: Exception) -> None:
    from audience_sync.alerts.without_report import raise_alert

    expected, mask = isinstance(error, AudienceSyncError), partial(mask_secrets, secrets=settings.secrets)
    message = str(error) if expected else f"an unexpected error: {summarize_error(error, mask)}"
    raise_alert(settings, RUN, message)
    write_metrics(settings)
    post_waiting(settings)

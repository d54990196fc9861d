"""Log the result of a run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from audience_sync.command_line import to_paste
from audience_sync.model import AudienceStatus
from audience_sync.text import form, pluralize

if TYPE_CHECKING:
    from audience_sync.sync.values.findings import AudienceResult
    from audience_sync.sync.values.report import DestinationReport, Report

_runs = logging.getLogger("audience_sync.runs")


def log_report(report: Report) -> None:
    """Log a line for the run, one for each destination, and one for each audience that changed, failed or is held."""
    run = {"run": report.run}
    _runs.info(
        "run %d %s", report.run, report.status, extra={**run, "status": report.status.value, "seconds": report.seconds}
    )
    for each in report.destinations:
        counts = {name: getattr(each, name) for name in ("calls", "delivered", "refused", "pending")}
        problems = [*filter(None, [each.error]), *_refused_text(each)]
        message = f"destination {each.name}" + (f": {'; '.join(problems)}" if problems else "")
        level = logging.WARNING if problems else logging.INFO
        _runs.log(level, message, extra={**run, "destination": each.name, **counts})
    for audience in report.audiences:
        if audience.entered or audience.left or audience.error:
            message = f"audience {audience.key}: {audience.entered} entered, {audience.left} left"
            extra = {**run, "audience": audience.key, "status": audience.status.value}
            if audience.status in (AudienceStatus.FAILED, AudienceStatus.HELD):
                _runs.warning(_audience_reason(audience), extra=extra)
            else:
                _runs.info(message, extra=extra)
    held = [f"computed trait {key}: {each.message}" for key, each in report.traits.held]
    for message in (*report.traits.errors, *held, *report.errors, *report.held):
        _runs.warning(message, extra=run)


def _refused_text(destination: DestinationReport) -> list[str]:
    """The number of calls that this and earlier runs left refused, with the remedy."""
    if not destination.still_refused:
        return []
    count = f"{pluralize(destination.still_refused, 'call')} {form(destination.still_refused, 'is')} refused"
    return [f"{count}. After correcting the data: {to_paste('retry', '--destination', destination.name)}"]


def _audience_reason(audience: AudienceResult) -> str:
    """The reason why an audience failed or is held, with its name first."""
    reason = audience.held.message if audience.held else audience.error or audience.status.value
    return reason if reason.startswith(f"audience '{audience.key}'") else f"audience '{audience.key}': {reason}"

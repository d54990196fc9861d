"""Repeat the last run for a command while nothing has changed, without what only other runs import."""

from __future__ import annotations

import logging

from audience_sync.alerts.unreachable_marker import marker_paths
from audience_sync.cli.base.logging import log_report
from audience_sync.cli.base.session import Session
from audience_sync.cli.views.run_details import Details
from audience_sync.cli.wiring.run_answer import print_answer
from audience_sync.errors import AudienceSyncError
from audience_sync.sync.repeat.inputs import ConfigInputs
from audience_sync.sync.repeat.repeat_run import repeat_run
from audience_sync.sync.values.report import Report

log = logging.getLogger("audience_sync")


def repeat_last_run(session: Session, config: ConfigInputs) -> Report | None:
    """Record the last run's result again, and print the answer. None if the run has to be made.

    An error is the business of the run that is then made.
    """
    try:
        report = repeat_run(config, is_notified=lambda label: any(each.is_file() for each in marker_paths(label)))
    except AudienceSyncError:
        return None
    if report is None:
        return None
    log.debug("nothing that a run depends on has changed: run %d has the results of the run before", report.run)
    log_report(report)
    print_answer(session, report, Details(), store="")
    return report

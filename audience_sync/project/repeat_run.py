"""Repeat the last run, if nothing that a run depends on has changed. It imports little, since it takes milliseconds."""

from __future__ import annotations

import logging

from audience_sync.alerts.unreachable_marker import marker_paths
from audience_sync.errors import AudienceSyncError
from audience_sync.project.run_details import Details
from audience_sync.project.run_log import log_report
from audience_sync.project.values import Run
from audience_sync.sync.repeat.inputs import ConfigInputs
from audience_sync.sync.repeat.repeat_run import repeat_run

log = logging.getLogger("audience_sync")


def repeat_last_run(inputs: ConfigInputs) -> Run | None:
    """Record the last run's result again. None if the run has to be made.

    An error is the business of the run that is then made.
    """
    try:
        report = repeat_run(inputs, is_notified=lambda label: any(each.is_file() for each in marker_paths(label)))
    except AudienceSyncError:
        return None
    if report is None:
        return None
    log.debug("nothing that a run depends on has changed: run %d has the results of the run before", report.run)
    log_report(report)
    return Run(report=report, details=Details())

"""Repeat the last run, if nothing that a run depends on has changed."""

from __future__ import annotations

from audience_sync.cli.base.session import Session
from audience_sync.cli.wiring.run_answer import print_answer
from audience_sync.project.repeat_run import repeat_last_run
from audience_sync.sync.repeat.inputs import ConfigInputs
from audience_sync.sync.values.report import Report


def repeat_command(session: Session, config: ConfigInputs) -> Report | None:
    """Record the last run's result again, and print the answer. None if the run has to be made."""
    run = repeat_last_run(config)
    if run is not None:
        print_answer(session, run.report, run.details, store="")
    return None if run is None else run.report

"""Make a run for a command: open the parts, show progress, and print the answer."""

from __future__ import annotations

from math import inf

from audience_sync.cli.base.session import Session
from audience_sync.cli.views.progress import RunProgress
from audience_sync.cli.views.summary import DescribeRun
from audience_sync.cli.wiring.run_answer import print_answer
from audience_sync.model import RunStatus
from audience_sync.project.carry_out import carry_out
from audience_sync.sync.repeat.inputs import ConfigInputs
from audience_sync.sync.run import PlanReview
from audience_sync.sync.values.report import Report
from audience_sync.sync.values.request import RunRequest


def execute_run(
    session: Session,
    request: RunRequest,
    *,
    upgrade: bool = False,
    review: PlanReview | None = None,
    silent: bool = False,
    describe: DescribeRun | None = None,
    config: ConfigInputs | None = None,
) -> Report:
    """Make a run by the config, and print its summary (or JSON) on stdout unless ``silent``.

    ``describe``: returns the wording of the command's own answer. What needs a person is on stderr, too, without a
    terminal or with --quiet. ``config``: as read before; then the next run may repeat this one.
    """
    with RunProgress(quiet=session.quiet) as progress:
        run = carry_out(session.project._access, request, progress.watch, upgrade=upgrade, review=review, inputs=config)
    if not silent:
        print_answer(session, run.report, run.details, store=run.store, describe=describe)
    return run.report


def exit_code_of_seed(report: Report, limit: int | None) -> int:
    """The exit code of a seed: 0 if it sent as many calls as ``limit`` allows and none is refused."""
    short = any(each.pending and (each.error or each.delivered < (limit or inf)) for each in report.destinations)
    refused = any(each.still_refused for each in report.destinations)
    did_as_asked = limit is not None and report.status is RunStatus.PARTIAL and not short and not refused
    return 0 if did_as_asked else report.exit_code

"""Make a run for a command: open the parts, show progress, and print the answer."""

from __future__ import annotations

from math import inf

import click
from msgspec.structs import replace

from audience_sync.cli.base.session import Session
from audience_sync.cli.views.progress import RunProgress
from audience_sync.cli.views.run_details import read_details
from audience_sync.cli.views.summary import DescribeRun
from audience_sync.cli.wiring.after_run import alert_on_failure, finish_run
from audience_sync.cli.wiring.run_answer import print_answer
from audience_sync.config.models import Settings
from audience_sync.model import RunStatus
from audience_sync.project import open_for_run
from audience_sync.sync.repeat.eligible import files_read, files_written, is_settled
from audience_sync.sync.repeat.inputs import ConfigInputs, read_run_inputs
from audience_sync.sync.repeat.repeat_run import keep_result
from audience_sync.sync.run import PlanReview, sync
from audience_sync.sync.values.report import Report
from audience_sync.sync.values.request import Resync, Retry, RunRequest
from audience_sync.text import unknown_name_message


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
    settings = session.settings()
    _refuse_unknown_destination(request, settings)
    files = files_read(settings) if config else None
    inputs = read_run_inputs(config, files, files_written(settings)) if config and files is not None else None
    with alert_on_failure(settings), open_for_run(settings, upgrade=upgrade) as (parts, is_new):
        with RunProgress(quiet=session.quiet) as progress:
            report = replace(sync(parts, request, progress.watch, review=review), store_is_new=is_new)
        finish_run(settings, parts.store, request, report)
        if silent:
            return report
        with parts.store.reading() as connection:
            details = read_details(connection, settings, report, session.config_name)
            settled = inputs is not None and is_settled(connection, settings, report)
        if inputs is not None and settled:
            keep_result(parts.store, inputs, report)
        print_answer(session, report, details, store=parts.store.label, describe=describe)
    return report


def exit_code_of_seed(report: Report, limit: int | None) -> int:
    """The exit code of a seed: 0 if it sent as many calls as ``limit`` allows and none is refused."""
    short = any(each.pending and (each.error or each.delivered < (limit or inf)) for each in report.destinations)
    refused = any(each.still_refused for each in report.destinations)
    did_as_asked = limit is not None and report.status is RunStatus.PARTIAL and not short and not refused
    return 0 if did_as_asked else report.exit_code


def _refuse_unknown_destination(request: RunRequest, settings: Settings) -> None:
    match request:
        case Resync(destination=str(name)) | Retry(destination=str(name)) if name not in settings.destinations:
            message = unknown_name_message("destination", name, settings.destinations)
            raise click.BadParameter(message, param_hint="--destination")

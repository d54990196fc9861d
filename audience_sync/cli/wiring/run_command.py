"""Make a run for a command: open the parts, show progress, and print the answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf

import click

from audience_sync.cli.base.layout import PIPE
from audience_sync.cli.base.logging import is_json_log
from audience_sync.cli.base.output import print_json, screen, write
from audience_sync.cli.base.session import Session
from audience_sync.cli.views.attention import blocks, urgent_lines
from audience_sync.cli.views.progress import RunProgress
from audience_sync.cli.views.run_details import read_details
from audience_sync.cli.views.summary import DescribeRun, summary
from audience_sync.cli.wiring.after_run import alert_on_failure, finish_run
from audience_sync.config.models import Settings
from audience_sync.model import RunStatus
from audience_sync.project import open_for_run
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
) -> Report:
    """Make a run by the config, and print its summary (or JSON) on stdout unless ``silent``.

    ``describe``: returns the wording of the command's own answer. What needs a person is on stderr, too, without a
    terminal or with --quiet.
    """
    settings = session.settings()
    _refuse_unknown_destination(request, settings)
    with alert_on_failure(settings), open_for_run(settings, upgrade=upgrade) as (parts, is_new):
        with RunProgress(quiet=session.quiet) as progress:
            report = replace(sync(parts, request, progress.watch, review=review), store_is_new=is_new)
        finish_run(settings, parts.store, request, report)
        if silent:
            return report
        with parts.store.reading() as connection:
            details = read_details(connection, settings, report, session.config_name)
        urgent = urgent_lines(blocks(report, details, PIPE))
        if session.as_json and (urgent or not session.quiet):
            print_json(report.as_json())
        elif not session.quiet:
            write(summary(report, details, screen(), store=parts.store.label, describe=describe))
        print_urgent(urgent, shown=not session.as_json and not session.quiet)
    return report


def print_urgent(urgent: Sequence[str], *, shown: bool) -> None:
    """Print what needs a person on stderr, so that cron mails it, but not twice into one file.

    ``shown``: it is on stdout, too.
    """
    if urgent and not is_json_log() and not (shown and (sys.stdout.isatty() or _is_same_file())):
        write(urgent, error=True)


def _is_same_file() -> bool:
    """Whether stdout and stderr are one file, as after `2>&1`."""
    with suppress(OSError, ValueError):
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    return False


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

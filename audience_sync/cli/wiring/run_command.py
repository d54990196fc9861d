"""Make a run for a command: open the parts, show progress, and print the answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from audience_sync.cli.base.layout import PIPE
from audience_sync.cli.base.logging import is_json_log
from audience_sync.cli.base.options import GlobalOptions
from audience_sync.cli.base.output import print_json, screen, write
from audience_sync.cli.views.attention import blocks, urgent_lines
from audience_sync.cli.views.progress import RunProgress
from audience_sync.cli.views.run_details import Details, read_details
from audience_sync.cli.views.summary import Wording, summary
from audience_sync.cli.wiring.after_run import alert_on_failure, finish_run
from audience_sync.cli.wiring.dependencies import options_of, read_settings
from audience_sync.config.models import Settings
from audience_sync.project import opened_for_run
from audience_sync.sync.run import PlanReview, sync
from audience_sync.sync.values.report import Report
from audience_sync.sync.values.request import Resync, Retry, RunRequest
from audience_sync.text import unknown_name_message

DescribeRun = Callable[[Report, Details], Wording]


def execute_run(
    context: click.Context,
    request: RunRequest,
    *,
    upgrade: bool = False,
    review: PlanReview | None = None,
    silent: bool = False,
    describe: DescribeRun | None = None,
) -> Report:
    """Make a run by the config, and print its summary (or JSON) on stdout unless ``silent``.

    ``describe``: returns the wording of the command's own answer.
    """
    options = options_of(context)
    settings = read_settings(options)
    _refuse_unknown_destination(request, settings)
    with alert_on_failure(settings), opened_for_run(settings, upgrade=upgrade) as (parts, is_new):
        with RunProgress(quiet=options.quiet) as progress:
            report = replace(sync(parts, request, progress.watch, review=review), store_is_new=is_new)
        finish_run(settings, parts.store, request, report)
        if silent:
            return report
        with parts.store.reading() as connection:
            details = read_details(connection, settings, report, Path(options.config).name)
        print_answer(report, details, options, store=parts.store.label, wording=describe and describe(report, details))
    return report


def print_answer(
    report: Report, details: Details, options: GlobalOptions, *, store: str = "", wording: Wording | None = None
) -> None:
    """Print the answer on stdout, and what needs a person on stderr, too, without a terminal or with --quiet."""
    urgent = urgent_lines(list(blocks(report, details, PIPE)))
    if options.as_json and (urgent or not options.quiet):
        print_json(report.as_json())
    elif not options.quiet:
        write(summary(report, details, screen(), store=store, wording=wording))
    print_urgent(urgent, shown=not options.as_json and not options.quiet)


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


def _refuse_unknown_destination(request: RunRequest, settings: Settings) -> None:
    match request:
        case Resync(destination=str(name)) | Retry(destination=str(name)) if name not in settings.destinations:
            message = unknown_name_message("destination", name, settings.destinations)
            raise click.BadParameter(message, param_hint="--destination")

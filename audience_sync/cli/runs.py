"""How does a command carry out a run? Opened, watched, summed up."""

from __future__ import annotations

from dataclasses import replace

import click

from audience_sync.cli.afterwards import afterwards, told_if_it_breaks_off
from audience_sync.cli.compose import opened_for_run, options_of, read_settings
from audience_sync.cli.output import print_json
from audience_sync.cli.progress import RunProgress
from audience_sync.cli.summary import print_summary
from audience_sync.config.models import Settings
from audience_sync.sync.order import Order
from audience_sync.sync.report import Report
from audience_sync.sync.run import Review, sync


def carry_out(
    context: click.Context, order: Order, *, upgrade: bool = False, review: Review | None = None, quiet: bool = False
) -> Report:
    """One run by the config, with its summary (or JSON) on stdout, unless it is to be ``quiet``."""
    options = options_of(context)
    settings = read_settings(options)
    _refuse_unknown(order.destination, settings)
    with told_if_it_breaks_off(settings), opened_for_run(settings, upgrade=upgrade) as (parts, is_new):
        with RunProgress() as progress:
            report = replace(sync(parts, order, progress.watch, review=review), store_is_new=is_new)
        afterwards(settings, parts.store, order, report)
        if quiet:
            return report
        if options.as_json:
            print_json(report.as_json())
        else:
            print_summary(report, store=parts.store.label)
    return report


def _refuse_unknown(destination: str | None, settings: Settings) -> None:
    if destination is not None and destination not in settings.destinations:
        known = ", ".join(settings.destinations)
        raise click.BadParameter(f"there is no destination '{destination}' ({known})", param_hint="--destination")

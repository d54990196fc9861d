"""``audience-sync seed``: tell a new audience for the first time, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from audience_sync.cli.options import common

if TYPE_CHECKING:
    from audience_sync.sync.report import Report


@click.command()
@click.argument("key")
@click.option("--rate", metavar="N/s", help="At most so many requests in a time, such as 10/s.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Send N calls; continue with `seed` again.")
@click.option("--no-send", is_flag=True, help="Record the members as they are and send nothing.")
@click.option("--upgrade", is_flag=True, help="Upgrade the schema of a PostgreSQL store first.")
@common
@click.pass_context
def seed(context: click.Context, key: str, rate: str | None, limit: int | None, no_send: bool, upgrade: bool) -> int:
    """Tell a new audience for the first time: `true` to every member, with progress and time left.

    Safe to interrupt and to repeat: it goes on where it was.
    """
    from audience_sync.cli.compose import opened_for_run, options_of, read_settings
    from audience_sync.cli.output import print_json
    from audience_sync.cli.progress import RunProgress
    from audience_sync.cli.summary import print_summary
    from audience_sync.sync.order import Order
    from audience_sync.sync.run import sync as run

    options, pace = options_of(context), _rate(rate)
    settings = read_settings(options)
    order = Order("seed", (key,), seed=key, baseline=no_send, most=limit, rate=pace)
    with opened_for_run(settings, upgrade=upgrade) as (parts, is_new):
        with RunProgress() as progress:
            report = run(parts, order, progress.watch)
        report = replace(report, store_is_new=is_new)
        if options.as_json:
            print_json(report.as_json())
        else:
            print_summary(report, store=parts.store.label)
            _say_next(report, key, order)
    return report.exit_code


def _rate(text: str | None) -> float | None:
    from audience_sync.config.values import parse_rate

    if text is None:
        return None
    try:
        return parse_rate(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--rate") from None


def _say_next(report: Report, key: str, order: object) -> None:
    from audience_sync.cli.output import line, plural

    pending = sum(each.pending for each in report.destinations)
    if pending:
        line(f"{plural(pending, 'member')} of {key} still to be told. Continue: audience-sync seed {key}")

"""``audience-sync seed``: tell a new audience for the first time, by hand."""

from __future__ import annotations

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
    from audience_sync.cli.runs import carry_out
    from audience_sync.sync.order import Order

    order = Order("seed", (key,), seed=key, baseline=no_send, most=limit, rate=_rate(rate))
    report = carry_out(context, order, upgrade=upgrade)
    if not context.obj.as_json:
        _say_next(report, key)
    return report.exit_code


def _rate(text: str | None) -> float | None:
    from audience_sync.config.values import parse_rate

    if text is None:
        return None
    try:
        return parse_rate(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--rate") from None


def _say_next(report: Report, key: str) -> None:
    from audience_sync.cli.output import line
    from audience_sync.wording import plural

    pending = sum(each.pending for each in report.destinations)
    if pending:
        line(f"{plural(pending, 'call')} still to be sent. Continue: audience-sync seed {key}")
    elif not any(each.calls for each in report.destinations):
        line(f"{key}: everyone has been told already, or nothing was to be sent.")

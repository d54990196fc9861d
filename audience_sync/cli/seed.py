"""``audience-sync seed``: tell a new audience for the first time, by hand."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import click

from audience_sync.cli.options import common, parsed
from audience_sync.model import RunStatus

if TYPE_CHECKING:
    from audience_sync.sync.report import Report


@click.command()
@click.argument("key")
@click.option("--rate", metavar="N/s", help="At most so many users in a time, such as 500/s.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Send N calls; continue with `seed` again.")
@click.option("--ramp", metavar="SHARES", help="Share by share, such as 1%,10%,100%; stops when too many are refused.")
@click.option("--max-refused", metavar="SHARE", help="With --ramp: the limit of refused calls; default 5%.")
@click.option("--no-send", is_flag=True, help="Record the members as they are and send nothing.")
@click.option("--upgrade", is_flag=True, help="Upgrade the schema of a PostgreSQL store first.")
@common
@click.pass_context
def seed(
    context: click.Context,
    key: str,
    rate: str | None,
    limit: int | None,
    ramp: str | None,
    max_refused: str | None,
    no_send: bool,
    upgrade: bool,
) -> int:
    """Tell a new audience for the first time: `true` to every member, with progress and time left.

    Safe to interrupt and to repeat: it goes on where it was.
    """
    from audience_sync.cli.ramp import MOST_REFUSED, climb, parse_shares
    from audience_sync.cli.runs import carry_out
    from audience_sync.config.values import parse_rate, parse_share
    from audience_sync.sync.order import Order

    order = Order("seed", (key,), seed=key, baseline=no_send, most=limit, rate=parsed("--rate", rate, parse_rate))
    if ramp is not None:
        if limit or no_send:
            raise click.UsageError("--ramp says how many are told: give it without --limit and --no-send")
        most_refused = parsed("--max-refused", max_refused, parse_share)
        shares = parsed("--ramp", ramp, parse_shares) or ()
        return climb(context, order, shares, MOST_REFUSED if most_refused is None else most_refused, upgrade=upgrade)
    if max_refused is not None:
        raise click.UsageError("--max-refused is the limit of a --ramp")
    report = carry_out(context, order, upgrade=upgrade)
    if not context.obj.as_json:
        _say_next(report, key)
    return exit_code_of(report, limit)


def exit_code_of(report: Report, limit: int | None) -> int:
    """A seed that sent as many calls as it was asked for did all that was asked."""
    short = [each for each in report.destinations if each.pending and (each.error or each.delivered < (limit or inf))]
    refused = any(each.still_refused for each in report.destinations)
    did_as_asked = limit is not None and report.status is RunStatus.PARTIAL and not short and not refused
    return 0 if did_as_asked else report.exit_code


def _say_next(report: Report, key: str) -> None:
    from audience_sync.cli.output import line
    from audience_sync.wording import plural

    pending = sum(each.pending for each in report.destinations)
    if pending:
        line(f"{plural(pending, 'call')} still to be sent. Continue: audience-sync seed {key}")
    elif not any(each.calls for each in report.destinations):
        line(f"{key}: everyone has been told already, or nothing was to be sent.")

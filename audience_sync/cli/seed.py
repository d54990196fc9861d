"""``audience-sync seed``: tell a new audience for the first time, by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from audience_sync.cli.options import common

if TYPE_CHECKING:
    from audience_sync.sync.report import Report

T = TypeVar("T")


@click.command()
@click.argument("key")
@click.option("--rate", metavar="N/s", help="At most so many requests in a time, such as 10/s.")
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

    order = Order("seed", (key,), seed=key, baseline=no_send, most=limit, rate=_parsed("--rate", rate, parse_rate))
    if ramp is not None:
        if limit or no_send:
            raise click.UsageError("--ramp says how many are told: give it without --limit and --no-send")
        most_refused = _parsed("--max-refused", max_refused, parse_share)
        shares = _parsed("--ramp", ramp, parse_shares) or ()
        return climb(context, order, shares, MOST_REFUSED if most_refused is None else most_refused, upgrade=upgrade)
    if max_refused is not None:
        raise click.UsageError("--max-refused is the limit of a --ramp")
    report = carry_out(context, order, upgrade=upgrade)
    if not context.obj.as_json:
        _say_next(report, key)
    return report.exit_code


def _parsed(option: str, text: str | None, parse: Callable[[str], T]) -> T | None:
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _say_next(report: Report, key: str) -> None:
    from audience_sync.cli.output import line
    from audience_sync.wording import plural

    pending = sum(each.pending for each in report.destinations)
    if pending:
        line(f"{plural(pending, 'call')} still to be sent. Continue: audience-sync seed {key}")
    elif not any(each.calls for each in report.destinations):
        line(f"{key}: everyone has been told already, or nothing was to be sent.")

"""``audience-sync seed``: send a new audience to all destinations, by hand."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.options import LARGEST_NUMBER, common_options, parse_option, quiet_option
from audience_sync.model import RunStatus

if TYPE_CHECKING:
    from audience_sync.sync.values.report import Report


@click.command()
@click.argument("key")
@click.option("--rate", metavar="N/s", help="At most so many users in a time, such as 500/s.")
@click.option(
    "--limit", type=click.IntRange(1, LARGEST_NUMBER), metavar="N", help="Send N calls; continue with `seed` again."
)
@click.option("--ramp", metavar="SHARES", help="Share by share, such as 1%,10%,100%; stops when too many are refused.")
@click.option("--max-refused", metavar="SHARE", help="With --ramp: the limit of refused calls; default 5%.")
@click.option("--no-send", is_flag=True, help="Record the members and send nothing.")
@click.option("--yes", is_flag=True, help="Don't ask before more than 10,000 users are sent to.")
@click.option("--upgrade", is_flag=True, help="Upgrade the schema of a PostgreSQL store first.")
@quiet_option
@common_options
@click.pass_context
def seed(
    context: click.Context,
    *,
    key: str,
    rate: str | None,
    limit: int | None,
    ramp: str | None,
    max_refused: str | None,
    no_send: bool,
    yes: bool,
    upgrade: bool,
) -> int:
    """Send a new audience to all destinations, by hand: `true` to every member, with progress and time left.

    Safe to interrupt and to repeat: it continues where it stopped. On a terminal it asks before it sends to more than
    10,000 users.
    """
    from audience_sync.cli.views.seed import seed_wording
    from audience_sync.cli.wiring.confirm import may_seed
    from audience_sync.cli.wiring.ramp import MAX_REFUSED_SHARE, parse_shares, run_ramp
    from audience_sync.cli.wiring.run_command import execute_run
    from audience_sync.config.read.units import parse_rate, parse_share
    from audience_sync.sync.values.request import Seed, SendLimits

    limits = SendLimits(calls=limit, users_per_second=parse_option("--rate", rate, parse_rate))
    request = Seed(key=key, baseline=no_send, limits=limits)
    if ramp is not None and (limit or no_send):
        raise click.UsageError("--ramp sets how many users are sent to: give it without --limit and --no-send")
    if ramp is None and max_refused is not None:
        raise click.UsageError("--max-refused is the limit of a --ramp")
    shares = parse_option("--ramp", ramp, parse_shares) or ()
    asked = parse_option("--max-refused", max_refused, parse_share)
    most_refused = MAX_REFUSED_SHARE if asked is None else asked
    if not (yes or no_send) and not may_seed(context, request):
        return 0
    if ramp is not None:
        return run_ramp(context, request, shares, most_refused, upgrade=upgrade)
    report = execute_run(
        context, request, upgrade=upgrade, describe=lambda report, details: seed_wording(report, details, request, rate)
    )
    return exit_code_of(report, limit)


def exit_code_of(report: Report, limit: int | None) -> int:
    """The exit code of a seed: 0 if it sent as many calls as ``limit`` allows and none is refused."""
    short = [each for each in report.destinations if each.pending and (each.error or each.delivered < (limit or inf))]
    refused = any(each.still_refused for each in report.destinations)
    did_as_asked = limit is not None and report.status is RunStatus.PARTIAL and not short and not refused
    return 0 if did_as_asked else report.exit_code

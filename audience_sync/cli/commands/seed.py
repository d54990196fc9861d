"""``audience-sync seed``: send a new audience to all destinations, by hand."""

from __future__ import annotations

from functools import partial

import click

from audience_sync.cli.base.completion import complete_keys
from audience_sync.cli.base.options import LARGEST_NUMBER, parse_option, reason_option, upgrade_option
from audience_sync.cli.base.session import Session, quiet_option, with_session


@click.command()
@click.argument("key", shell_complete=complete_keys)
@click.option("--rate", metavar="N/s", help="At most this many users in a time, such as 500/s.")
@click.option(
    "--limit", type=click.IntRange(1, LARGEST_NUMBER), metavar="N", help="Send N calls; continue with `seed` again."
)
@click.option("--ramp", metavar="SHARES", help="Share by share, such as 1%,10%,100%; stops when too many are refused.")
@click.option("--max-refused", metavar="SHARE", help="With --ramp: the limit of refused calls; default 5%.")
@click.option("--no-send", is_flag=True, help="Record the members and send nothing.")
@click.option("--yes", is_flag=True, help="Don't ask before more than 10,000 users are sent to.")
@reason_option
@upgrade_option
@quiet_option
@with_session
def seed(
    session: Session,
    *,
    key: str,
    rate: str | None,
    limit: int | None,
    ramp: str | None,
    max_refused: str | None,
    no_send: bool,
    yes: bool,
    reason: str | None,
    upgrade: bool,
) -> int:
    """Send a new audience to all destinations, by hand: `true` to every member, with progress and time left.

    Safe to interrupt and to repeat: it continues where it stopped. On a terminal it asks before it sends to more than
    10,000 users.
    """
    from audience_sync.cli.views.wording import seed_wording
    from audience_sync.cli.wiring.confirm import may_seed
    from audience_sync.cli.wiring.ramp import MAX_REFUSED_SHARE, parse_shares, run_ramp
    from audience_sync.cli.wiring.run_command import execute_run, exit_code_of_seed
    from audience_sync.config.read.units import parse_rate, parse_share
    from audience_sync.sync.values.request import Seed, SendLimits

    limits = SendLimits(calls=limit, users_per_second=parse_option("--rate", rate, parse_rate))
    request = Seed(key=key, baseline=no_send, limits=limits, reason=reason)
    if ramp is not None and (limit or no_send):
        raise click.UsageError("--ramp sets how many users are sent to: give it without --limit and --no-send")
    if ramp is None and max_refused is not None:
        raise click.UsageError("--max-refused is the limit of a --ramp")
    shares = parse_option("--ramp", ramp, parse_shares) or ()
    asked = parse_option("--max-refused", max_refused, parse_share)
    if not (yes or no_send) and not may_seed(session, request):
        return 0
    if ramp is not None:
        return run_ramp(session, request, shares, MAX_REFUSED_SHARE if asked is None else asked, upgrade=upgrade)
    wording = partial(seed_wording, request=request, rate=rate)
    return exit_code_of_seed(execute_run(session, request, upgrade=upgrade, describe=wording), limit)

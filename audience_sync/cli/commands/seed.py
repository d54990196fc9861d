"""``audience-sync seed``: send a new audience to all destinations, by hand."""

from __future__ import annotations

from functools import partial

import click

from audience_sync.cli.base.completion import complete_keys
from audience_sync.cli.base.options import reason_option, upgrade_option
from audience_sync.cli.base.session import Session, quiet_option, with_session


@click.command()
@click.argument("key", shell_complete=complete_keys)
@click.option("--rate", metavar="N/s", help="At most this many users in a time, such as 500/s.")
@click.option("--limit", type=int, metavar="N", help="Send N calls; continue with `seed` again.")
@click.option(
    "--ramp", "shares", metavar="SHARES", help="Share by share, such as 1%,10%,100%; stops when too many are refused."
)
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
    shares: str | None,
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
    from audience_sync.cli.wiring.run_command import make_run

    if shares is not None and (limit or no_send):
        raise click.UsageError("--ramp sets how many users are sent to: give it without --limit and --no-send")
    if shares is None and max_refused is not None:
        raise click.UsageError("--max-refused is the limit of a --ramp")
    if shares is not None:
        from audience_sync.cli.wiring.ramp import Ramp

        steps = Ramp(session, key, shares, max_refused=max_refused, rate=rate, reason=reason, upgrade=upgrade)
    if not (yes or no_send) and not may_seed(session, key, rate=rate, limit=limit):
        return 0
    if shares is not None:
        return steps.run()
    make = partial(session.project.seed, key, rate=rate, limit=limit, send=not no_send, reason=reason, upgrade=upgrade)
    wording = partial(seed_wording, key=key, no_send=no_send, rate=rate)
    return make_run(session, lambda progress: make(progress=progress), describe=wording).exit_code

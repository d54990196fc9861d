"""``audience-sync schedule``: run on the schedules of the config until stopped."""

from __future__ import annotations

import click

from audience_sync.cli.base.options import upgrade_option
from audience_sync.cli.base.session import Session, quiet_option, with_session


@click.command()
@click.option("--list", "only_list", is_flag=True, help="Show the schedules and their next times, and end.")
@upgrade_option
@quiet_option
@with_session
def schedule(session: Session, only_list: bool, upgrade: bool) -> None:
    """Run on the config's schedules until stopped.

    One run makes up for all missed times. Several schedulers can share one PostgreSQL store: each scheduled time gets
    one run. SIGHUP: read the config again. SIGTERM, Ctrl-C: end cleanly.
    """
    from audience_sync.cli.wiring.scheduling import list_schedules, run_scheduler

    if only_list:
        list_schedules(session)
    else:
        run_scheduler(session, upgrade=upgrade)

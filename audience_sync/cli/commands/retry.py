"""``audience-sync retry``: send refused calls again."""

from __future__ import annotations

import click

from audience_sync.cli.base.completion import complete_destinations
from audience_sync.cli.base.options import reason_option
from audience_sync.cli.base.session import Session, quiet_option, with_session


@click.command()
@click.option(
    "--destination", metavar="NAME", help="Only this destination's; default: all.", shell_complete=complete_destinations
)
@reason_option
@quiet_option
@with_session
def retry(session: Session, destination: str | None, reason: str | None) -> int:
    """Make a run that also sends refused calls again, with the newest values."""
    from audience_sync.cli.wiring.run_command import execute_run
    from audience_sync.sync.values.request import Retry

    return execute_run(session, Retry(destination=destination, reason=reason)).exit_code

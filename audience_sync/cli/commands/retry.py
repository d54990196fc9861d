"""``audience-sync retry``: send refused calls again."""

from __future__ import annotations

from functools import partial

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
    from audience_sync.cli.wiring.run_command import make_run

    make = partial(session.project.retry, destination, reason=reason)
    return make_run(session, lambda progress: make(progress=progress)).exit_code

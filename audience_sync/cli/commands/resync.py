"""``audience-sync resync``: send everything again, `false` for former members included."""

from __future__ import annotations

import click

from audience_sync.cli.base.completion import complete_destinations
from audience_sync.cli.base.options import keys_argument, reason_option
from audience_sync.cli.base.session import Session, quiet_option, with_session


@click.command()
@keys_argument
@click.option(
    "--destination", metavar="NAME", help="Only this destination; default: all.", shell_complete=complete_destinations
)
@reason_option
@quiet_option
@with_session
def resync(session: Session, keys: tuple[str, ...], destination: str | None, reason: str | None) -> int:
    """Send everything again: `true` to the members, and `false` to former members.

    For a destination that lost its data, and for a damaged store.
    """
    from audience_sync.cli.wiring.run_command import make_run

    return make_run(
        session,
        lambda progress: session.project.resync(keys, destination=destination, reason=reason, progress=progress),
    ).exit_code

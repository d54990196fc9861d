"""``audience-sync show RUN``: show one run in full."""

from __future__ import annotations

import click

from audience_sync.cli.base.options import run_argument
from audience_sync.cli.base.session import Session, with_session


@click.command()
@run_argument
@with_session
def show(session: Session, run: int) -> None:
    """Show one run in full, with refused calls and invalid rows and their reasons."""
    from audience_sync.cli.views.run import run_lines

    found = session.project.run(run)
    session.answer(found.to_dict(), lambda screen: run_lines(found.document, screen, ask=found.query_command))

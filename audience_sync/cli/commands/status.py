"""``audience-sync status``: one screen of what needs a person, and the command for each."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import click

from audience_sync.cli.base.session import Session, with_session


@click.command()
@click.option("--all", "show_all", is_flag=True, help="Show everything, also what does not fit on the screen.")
@click.option("--exit-code", "as_exit_code", is_flag=True, help="Exit with 3 (failed), 4 (held) or 1 (other concerns).")
@with_session
def status(session: Session, show_all: bool, as_exit_code: bool) -> int:
    """Show on one screen what needs a person, and the command for each. Changes nothing.

    The exit code is 0, unless --exit-code asks for that of the worst concern.
    """
    from audience_sync.cli.views.status import HEIGHT, status_json, status_lines
    from audience_sync.cli.wiring.status import exit_code_of_status, find_attention
    from audience_sync.command_line import given_options

    now = datetime.now(UTC)
    found, notes = find_attention(session, now)
    height = None if show_all else max(HEIGHT, shutil.get_terminal_size().lines)
    session.answer(
        status_json(found, now=now, notes=notes, options=given_options()),
        lambda screen: status_lines(found, screen, now=now, height=height, notes=notes),
    )
    return exit_code_of_status(found) if as_exit_code else 0

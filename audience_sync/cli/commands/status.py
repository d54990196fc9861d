"""``audience-sync status``: one screen of what needs a person, and the command for each."""

from __future__ import annotations

import shutil

import click

from audience_sync.cli.base.session import Session, with_session
from audience_sync.command_line import given_options


@click.command()
@click.option("--all", "show_all", is_flag=True, help="Show everything, also what does not fit on the screen.")
@click.option("--exit-code", "as_exit_code", is_flag=True, help="Exit with 3 (failed), 4 (held) or 1 (other concerns).")
@with_session
def status(session: Session, show_all: bool, as_exit_code: bool) -> int:
    """Show on one screen what needs a person, and the command for each. Changes nothing.

    The exit code is 0, unless --exit-code asks for that of the worst concern.
    """
    from audience_sync.cli.views.status import HEIGHT, status_lines

    found = session.project.status()
    height = None if show_all else max(HEIGHT, shutil.get_terminal_size().lines)
    session.answer(
        found.to_dict(options=given_options()),
        lambda screen: status_lines(found.found, screen, now=found.at, height=height, notes=found.notes),
    )
    return found.exit_code if as_exit_code else 0

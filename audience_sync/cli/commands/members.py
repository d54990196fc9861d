"""``audience-sync members KEY``: list the members of an audience."""

from __future__ import annotations

import csv
import io
import sys
from contextlib import closing
from itertools import chain

import click

from audience_sync.cli.base.completion import complete_stored_keys
from audience_sync.cli.base.layout import display_id, intro_and_command
from audience_sync.cli.base.options import at_option
from audience_sync.cli.base.output import screen, write
from audience_sync.cli.base.process import write_utf8
from audience_sync.cli.base.session import Session, with_session
from audience_sync.text import pluralize


@click.command()
@click.argument("key", shell_complete=complete_stored_keys)
@at_option
@with_session
def members(session: Session, key: str, at: str | None) -> None:
    """List the members of an audience, as CSV (or JSON lines with --json)."""
    is_terminal, count = sys.stdout.isatty(), 0
    with closing(session.project.members(key, at=at).parts(as_json=session.as_json)) as parts:
        first = next(parts, None)  # before the header, so that a wrong key is only an error
        if not is_terminal:
            write_utf8(sys.stdout)
        if not session.as_json:
            sys.stdout.write("user_id,member_since\n")
        sys.stdout.flush()
        for part in chain([first] if first else [], parts):
            count += part.members
            if is_terminal:
                lines = part.lines.tobytes().decode()
                sys.stdout.write(lines if session.as_json else _for_people(lines))
            else:
                sys.stdout.buffer.write(part.lines)
    if is_terminal and not session.as_json:
        intro = f"{pluralize(count, 'member')} of {key}. As a file:"
        write(intro_and_command(intro, f"audience-sync members {key} > {key}.csv", screen(error=True)), error=True)


def _for_people(lines: str) -> str:
    """The lines of CSV with control characters in ids escaped."""
    if lines.replace("\n", "").isprintable():
        return lines
    shown = io.StringIO(newline="")
    rows = csv.reader(io.StringIO(lines, newline=""))
    csv.writer(shown, lineterminator="\n").writerows((display_id(user), since) for user, since in rows)
    return shown.getvalue()

"""``audience-sync members KEY``: list the members of an audience."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from itertools import chain

import click

from audience_sync.cli.base.layout import display_id, intro_and_command
from audience_sync.cli.base.options import at_option
from audience_sync.cli.base.output import screen, write
from audience_sync.cli.base.process import write_utf8
from audience_sync.cli.base.session import Session, with_session
from audience_sync.text import pluralize

Batch = list[tuple[str, str]]


@click.command()
@click.argument("key")
@at_option
@with_session
def members(session: Session, key: str, at: datetime | None) -> None:
    """List the members of an audience, as CSV (or JSON lines with --json)."""
    from audience_sync.history.members import members_of
    from audience_sync.project import store_to_read

    settings = session.store_settings()
    is_terminal = sys.stdout.isatty()
    text_of = _json_lines_writer() if session.as_json else _csv_writer(for_terminal=is_terminal)
    count = 0
    with store_to_read(settings.store) as store:
        found = members_of(store, key, at=at, memory_limit=settings.memory_limit)
        first = next(found, [])  # before the header, so that a wrong key is only an error
        if not is_terminal:
            write_utf8(sys.stdout)
        if not session.as_json:
            sys.stdout.write("user_id,member_since\n")
        for rows in chain([first], found):
            sys.stdout.write(text_of(rows))
            count += len(rows)
    if is_terminal and not session.as_json:
        intro = f"{pluralize(count, 'member')} of {key}. As a file:"
        write(intro_and_command(intro, f"audience-sync members {key} > {key}.csv", screen(error=True)), error=True)


def _csv_writer(*, for_terminal: bool) -> Callable[[Batch], str]:
    """Write a batch by RFC 4180, with LF. Few ids need quotes, so a batch without such an id is joined directly."""

    def lines(rows: Batch) -> str:
        everything = "".join([user for user, _ in rows])
        if everything.isprintable() and not any(sign in everything for sign in ' ,"'):
            return "".join([f"{user},{since}\n" for user, since in rows])
        return "".join([f"{_csv_field(display_id(user) if for_terminal else user)},{since}\n" for user, since in rows])

    return lines


def _csv_field(text: str) -> str:
    """Quote a text with separators, quotes, line ends or control characters, or spaces at an end."""
    if text.isprintable() and text == text.strip() and "," not in text and '"' not in text:
        return text
    return '"' + text.replace('"', '""') + '"'


def _json_lines_writer() -> Callable[[Batch], str]:
    import json

    encode = json.JSONEncoder(ensure_ascii=False).encode
    return lambda rows: "".join([f"{encode({'user_id': user, 'member_since': since})}\n" for user, since in rows])

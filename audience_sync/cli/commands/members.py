"""``audience-sync members KEY``: list the members of an audience."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import datetime

import click

from audience_sync.cli.base.options import common_options
from audience_sync.cli.base.time_option import at_option
from audience_sync.cli.base.user_id_option import display_id

Batch = list[tuple[str, str]]


@click.command()
@click.argument("key")
@at_option
@common_options
@click.pass_context
def members(context: click.Context, key: str, at: datetime | None) -> None:
    """List the members of an audience, as CSV (or JSON lines with --json)."""
    from audience_sync.cli.base.streams import write_utf8
    from audience_sync.cli.wiring.dependencies import options_of, read_store_settings
    from audience_sync.history.members import members_of
    from audience_sync.project import store_to_read

    options = options_of(context)
    settings = read_store_settings(options)
    write = _json_lines_writer() if options.as_json else _csv_writer(for_terminal=sys.stdout.isatty())
    count = 0
    with store_to_read(settings.store) as store:
        found = members_of(store, key, at=at, memory_limit=settings.memory_limit)
        first = next(found, [])  # before the header, so that a wrong key is only an error
        if not sys.stdout.isatty():
            write_utf8(sys.stdout)
        if not options.as_json:
            sys.stdout.write("user_id,member_since\n")
        for rows in _all_batches(first, found):
            sys.stdout.write(write(rows))
            count += len(rows)
    if sys.stdout.isatty() and not options.as_json:
        _print_file_hint(key, count)


def _all_batches(first: Batch, others: Iterator[Batch]) -> Iterator[Batch]:
    yield first
    yield from others


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


def _print_file_hint(key: str, count: int) -> None:
    from audience_sync.cli.base.layout import intro_and_command
    from audience_sync.cli.base.output import screen, write
    from audience_sync.text import pluralize

    intro = f"{pluralize(count, 'member')} of {key}. As a file:"
    write(intro_and_command(intro, f"audience-sync members {key} > {key}.csv", screen(error=True)), error=True)

"""``audience-sync members KEY``: who is in an audience."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from audience_sync.cli.moments import at_option
from audience_sync.cli.options import common


@click.command()
@click.argument("key")
@at_option
@common
@click.pass_context
def members(context: click.Context, key: str, at: datetime | None) -> None:
    """The members of an audience, as CSV (or JSON lines with --json)."""
    from audience_sync.cli.compose import options_of, read_store_settings, store_to_read
    from audience_sync.history.members import members_of

    options = options_of(context)
    settings = read_store_settings(options)
    with store_to_read(settings.store) as store:
        found = members_of(store, key, at=at, memory_limit=settings.memory_limit)
        write = _json_lines if options.as_json else _csv
        for rows in found:
            write(rows)


def _csv(rows: list[tuple[str, str]]) -> None:
    import csv

    csv.writer(sys.stdout, lineterminator="\n").writerows(rows)


def _json_lines(rows: list[tuple[str, str]]) -> None:
    import json

    for user_id, since in rows:
        print(json.dumps({"user_id": user_id, "member_since": since}, ensure_ascii=False))

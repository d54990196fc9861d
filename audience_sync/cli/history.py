"""``audience-sync history``: the last runs."""

from __future__ import annotations

import click

from audience_sync.cli.options import common

RUN_COLUMNS = {
    "run": "right",
    "started (UTC)": "left",
    "seconds": "right",
    "command": "left",
    "status": "left",
    "entered": "right",
    "left": "right",
    "traits": "right",
    "delivered": "right",
    "refused": "right",
    "pending": "right",
    "held": "right",
    "error": "left",
}
AUDIENCE_COLUMNS = {
    "run": "right",
    "started (UTC)": "left",
    "status": "left",
    "members": "right",
    "entered": "right",
    "left": "right",
    "invalid rows": "right",
    "error": "left",
}


@click.command()
@click.argument("key", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many runs.")
@common
@click.pass_context
def history(context: click.Context, key: str | None, limit: int) -> None:
    """The last runs; with KEY what they found of that audience."""
    from audience_sync.cli.compose import opened_to_read, options_of, read_settings
    from audience_sync.cli.output import line, print_json, print_table
    from audience_sync.history.runs import last_runs

    options = options_of(context)
    with opened_to_read(read_settings(options)) as parts, parts.store.reading() as connection:
        runs = last_runs(connection, key=key, limit=limit)
    if options.as_json:
        print_json({"runs": runs})
    elif not runs:
        line("No runs yet. Start one: audience-sync sync" if key is None else f"No run has met an audience '{key}'.")
    elif key is None:
        print_table(RUN_COLUMNS, [_run(row) for row in runs])
    else:
        print_table(AUDIENCE_COLUMNS, [_audience(row) for row in runs])


def _run(row: dict[str, object]) -> list[object]:
    names = ("started_at", "seconds", "command", "status", "entered", "left", "trait_users_changed")
    rest = ("delivered", "refused", "pending", "held")
    return [str(row["run"]), *(row[name] for name in (*names, *rest)), _first_line(row["error"])]


def _audience(row: dict[str, object]) -> list[object]:
    names = ("started_at", "status", "members_after", "entered", "left", "invalid")
    return [str(row["run"]), *(row[name] for name in names), _first_line(row["error"])]


def _first_line(error: object) -> str:
    return str(error or "").partition("\n")[0][:100]

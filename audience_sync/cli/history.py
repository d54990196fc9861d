"""``audience-sync history``: the last runs."""

from __future__ import annotations

import click

from audience_sync.cli.options import common

#: Column of the view -> heading and alignment.
RUN_COLUMNS = {
    "run": ("run", "right"),
    "started_at": ("started (UTC)", "left"),
    "seconds": ("seconds", "right"),
    "command": ("command", "left"),
    "status": ("status", "left"),
    "entered": ("entered", "right"),
    "left": ("left", "right"),
    "trait_users_changed": ("traits", "right"),
    "delivered": ("delivered", "right"),
    "refused": ("refused", "right"),
    "pending": ("pending", "right"),
    "held": ("held", "right"),
    "error": ("error", "left"),
}
AUDIENCE_COLUMNS = {
    "run": ("run", "right"),
    "started_at": ("started (UTC)", "left"),
    "status": ("status", "left"),
    "members_after": ("members", "right"),
    "entered": ("entered", "right"),
    "left": ("left", "right"),
    "invalid": ("invalid rows", "right"),
    "absent": ("absent", "right"),
    "returned": ("returned", "right"),
    "held_out": ("held out", "right"),
    "error": ("error", "left"),
}


@click.command()
@click.argument("key", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many runs.")
@common
@click.pass_context
def history(context: click.Context, key: str | None, limit: int) -> None:
    """The last runs; with KEY what they found of that audience."""
    from audience_sync.cli.compose import options_of, read_store_settings, store_to_read
    from audience_sync.cli.output import line, print_columns, print_json
    from audience_sync.history.runs import last_runs

    options = options_of(context)
    with store_to_read(read_store_settings(options).store) as store, store.reading() as connection:
        runs = last_runs(connection, key=key, limit=limit)
    if options.as_json:
        print_json({"runs": runs})
    elif not runs:
        line("No runs yet. Start one: audience-sync sync" if key is None else f"No run has met an audience '{key}'.")
    else:
        print_columns(RUN_COLUMNS if key is None else AUDIENCE_COLUMNS, runs)

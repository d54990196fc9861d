"""``audience-sync history``: list the last runs."""

from __future__ import annotations

import click

from audience_sync.cli.base.completion import complete_stored_keys
from audience_sync.cli.base.options import LARGEST_NUMBER
from audience_sync.cli.base.session import Session, with_session
from audience_sync.project.unsynced import explaining_unsynced


@click.command()
@click.argument("key", required=False, shell_complete=complete_stored_keys)
@click.option("--limit", type=click.IntRange(1, LARGEST_NUMBER), default=20, show_default=True, help="How many runs.")
@with_session
def history(session: Session, key: str | None, limit: int) -> None:
    """List the last runs; with KEY, the results of that audience."""
    from audience_sync.cli.views.history import audience_lines, history_lines
    from audience_sync.history.runs import last_runs
    from audience_sync.store.audiences.properties import read_audience

    with session.reading() as store, store.reading() as connection:
        runs = last_runs(connection, key=key, limit=limit)
        has_runs = bool(runs or last_runs(connection, limit=1))
        if key is not None and has_runs and not runs:
            with explaining_unsynced(session.project._access, key):
                read_audience(connection, key)
    session.answer(
        {"runs": runs},
        lambda screen: audience_lines(key, runs, screen) if key and has_runs else history_lines(runs, screen),
    )

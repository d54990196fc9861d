"""``audience-sync history``: list the last runs."""

from __future__ import annotations

from functools import partial

import click

from audience_sync.cli.base.completion import complete_stored_keys
from audience_sync.cli.base.session import Session, with_session


@click.command()
@click.argument("key", required=False, shell_complete=complete_stored_keys)
@click.option("--limit", default=20, show_default=True, help="How many runs.")
@with_session
def history(session: Session, key: str | None, limit: int) -> None:
    """List the last runs; with KEY, the results of that audience."""
    from audience_sync.cli.views.history import audience_lines, history_lines

    if key is None:
        found = session.project.runs(limit)
        session.answer(found.to_dict(), lambda screen: history_lines(found.documents, screen))
        return
    results = session.project.audience_runs(key, limit)
    has_runs = bool(results or session.project.runs(1))
    lines = partial(audience_lines, key, results.documents) if has_runs else partial(history_lines, ())
    session.answer(results.to_dict(), lines)

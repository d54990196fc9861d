"""``audience-sync show RUN``: show one run in full."""

from __future__ import annotations

import shlex

import click

from audience_sync.cli.base.options import run_argument
from audience_sync.cli.base.output import path_text
from audience_sync.cli.base.session import Session, with_session
from audience_sync.model import RunId


@click.command()
@run_argument
@with_session
def show(session: Session, run: RunId) -> None:
    """Show one run in full, with refused calls and invalid rows and their reasons."""
    from audience_sync.cli.views.run import run_lines
    from audience_sync.history.runs import one_run
    from audience_sync.store.tables.views import view_prefix

    with session.reading() as store, store.reading() as connection:
        found = one_run(connection, run)
        rows = f"select * from {view_prefix(store.engine)}{{}} where run = {run}"
        program = ["sqlite3", path_text(str(store.file))] if store.file else ["psql", store.label, "-c"]
    session.answer(
        found, lambda screen: run_lines(found, screen, ask=lambda view: shlex.join([*program, rows.format(view)]))
    )

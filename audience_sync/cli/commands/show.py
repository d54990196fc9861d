"""``audience-sync show RUN``: show one run in full."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from audience_sync.cli.base.options import RUN, common_options

if TYPE_CHECKING:
    from audience_sync.model import RunId
    from audience_sync.store.connection.engine import Store


@click.command()
@click.argument("run", type=RUN)
@common_options
@click.pass_context
def show(context: click.Context, run: RunId) -> None:
    """Show one run in full, with refused calls and invalid rows and their reasons."""
    from audience_sync.cli.base.output import print_json, screen, write
    from audience_sync.cli.views.run import run_lines
    from audience_sync.cli.wiring.dependencies import options_of, read_store_settings
    from audience_sync.history.runs import one_run
    from audience_sync.project import store_to_read

    options = options_of(context)
    with store_to_read(read_store_settings(options).store) as store:
        with store.reading() as connection:
            found: Mapping[str, Any] = one_run(connection, run)
        ask = partial(_query_command, store, run)
    if options.as_json:
        print_json(found)
    else:
        write(run_lines(found, screen(), ask=ask))


def _query_command(store: Store, run: int, view: str) -> str:
    """The shell command that prints the rows of a run in a view."""
    from audience_sync.cli.base.output import path_text
    from audience_sync.store.tables.views import view_prefix

    query = f"select * from {view_prefix(store.engine)}{view} where run = {run}"
    if store.file:
        return f"sqlite3 {quote(path_text(str(store.file)))} {quote(query)}"
    return f"psql {quote(store.label)} -c {quote(query)}"

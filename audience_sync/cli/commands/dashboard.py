"""``audience-sync dashboard``: show the store in the browser, read-only."""

from __future__ import annotations

from pathlib import Path

import click

from audience_sync.cli.base.session import Session, with_session
from audience_sync.cli.wiring.web import Listener, listener_options, require_web_extra


@click.command()
@listener_options(port=8789, token_variable="AUDIENCE_SYNC_DASHBOARD_TOKEN")
@click.option("--mask-ids", is_flag=True, help="Show pseudonyms instead of user ids.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write the pages as files into this folder, and end.",
)
@click.option("--show-ids", is_flag=True, help="With --out: write user ids; by default files have pseudonyms.")
@with_session
def dashboard(session: Session, *, listener: Listener, mask_ids: bool, out: Path | None, show_ids: bool) -> None:
    """Show runs, audiences, destinations and what needs a person in the browser.

    Read-only: it changes and sends nothing. On this machine it is open to its users; elsewhere it asks for a token.
    Ctrl-C ends it.
    """
    if show_ids and (out is None or mask_ids):
        reason = "goes with --out" if out is None else "and --mask-ids exclude each other"
        raise click.UsageError(f"--show-ids {reason}")
    require_web_extra("dashboard")
    from audience_sync.cli.wiring.dashboard import serve_dashboard, write_dashboard

    if out is not None:
        write_dashboard(session, out, show_ids=show_ids)
    else:
        serve_dashboard(session, listener, mask_ids=mask_ids)

"""``audience-sync sandbox``: stand in for Segment, RudderStack, Zendesk Connect and a webhook."""

from __future__ import annotations

from pathlib import Path

import click

from audience_sync.cli.base.session import Session, with_session
from audience_sync.cli.wiring.web import Listener, listener_options, require_web_extra


@click.command()
@listener_options(port=8790, token_variable="AUDIENCE_SYNC_SANDBOX_TOKEN")
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("audience_sync_sandbox.db"),
    show_default=True,
    metavar="FILE",
    help="What it received is kept here.",
)
@click.option(
    "--keep",
    type=click.IntRange(100, 1_000_000),
    default=10_000,
    show_default=True,
    metavar="N",
    help="The last calls that are kept in full; all are counted.",
)
@with_session
def sandbox(session: Session, *, listener: Listener, file: Path, keep: int) -> None:
    """Receive identify calls and show them in the browser, in place of the real services.

    It stands in for Segment, RudderStack, Zendesk Connect and a webhook: it validates as they do, and answers as they
    do or with errors on demand. It sends nothing on. Ctrl-C ends it; what it received is kept.
    """
    require_web_extra("sandbox")
    from audience_sync.cli.wiring.sandbox import run_sandbox

    run_sandbox(session, listener, file=file, keep=keep)

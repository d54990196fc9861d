"""``audience-sync sandbox``: stand in for Segment, RudderStack, Zendesk Connect and a webhook."""

from __future__ import annotations

from pathlib import Path

import click

from audience_sync.cli.base.session import Session, with_session

DEFAULT_PORT = 8790


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; others need a token.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="The port; 0 = any free one."
)
@click.option(
    "--allow-host", "names", multiple=True, metavar="NAME", help="A name by which browsers reach it, such as a proxy's."
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    metavar="FILE",
    help="Ask for the token in this file; or set AUDIENCE_SYNC_SANDBOX_TOKEN.",
)
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
def sandbox(
    session: Session,
    *,
    host: str,
    port: int,
    names: tuple[str, ...],
    token_file: Path | None,
    file: Path,
    keep: int,
) -> None:
    """Receive identify calls and show them in the browser, in place of the real services.

    It stands in for Segment, RudderStack, Zendesk Connect and a webhook: it validates as they do, and answers as they
    do or with errors on demand. It sends nothing on. Ctrl-C ends it; what it received is kept.
    """
    from audience_sync.cli.wiring.web import require_web_extra

    require_web_extra("sandbox")
    from audience_sync.cli.wiring.sandbox import run_sandbox

    run_sandbox(session, host=host, port=port, names=names, token_file=token_file, file=file, keep=keep)

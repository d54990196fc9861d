"""``audience-sync dashboard``: show the store in the browser, read-only."""

from __future__ import annotations

from pathlib import Path

import click

from audience_sync.cli.base.session import Session, with_session

DEFAULT_PORT = 8789


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
    help="Ask for the token in this file; or set AUDIENCE_SYNC_DASHBOARD_TOKEN.",
)
@click.option("--mask-ids", is_flag=True, help="Show pseudonyms instead of user ids.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write the pages as files into this folder, and end.",
)
@click.option("--show-ids", is_flag=True, help="With --out: write user ids; by default files have pseudonyms.")
@with_session
def dashboard(
    session: Session,
    *,
    host: str,
    port: int,
    names: tuple[str, ...],
    token_file: Path | None,
    mask_ids: bool,
    out: Path | None,
    show_ids: bool,
) -> None:
    """Show runs, audiences, destinations and what needs a person in the browser.

    Read-only: it changes and sends nothing. On this machine it is open to its users; elsewhere it asks for a token.
    Ctrl-C ends it.
    """
    from audience_sync.cli.wiring.web import require_web_extra

    if show_ids and (out is None or mask_ids):
        reason = "goes with --out" if out is None else "and --mask-ids exclude each other"
        raise click.UsageError(f"--show-ids {reason}")
    require_web_extra("dashboard")
    from audience_sync.cli.wiring.dashboard import serve_dashboard, write_dashboard

    if out is not None:
        write_dashboard(session, out, show_ids=show_ids)
        return
    serve_dashboard(session, host=host, port=port, names=names, token_file=token_file, mask_ids=mask_ids)

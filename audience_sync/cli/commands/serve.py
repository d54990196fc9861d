"""``audience-sync serve``: trigger runs and look at them over HTTP."""

from __future__ import annotations

import click

from audience_sync.cli.base.session import Session, with_session
from audience_sync.cli.wiring.web import Listener, listener_options, require_web_extra


@click.command()
@listener_options(port=8791, token_variable="AUDIENCE_SYNC_SERVE_TOKEN", always_token=True)
@click.option("--schedule", "schedules", is_flag=True, help="Run on the config's schedules, too, as `schedule` does.")
@with_session
def serve(session: Session, *, listener: Listener, schedules: bool) -> None:
    """Trigger runs, plan, cancel, decide and look over HTTP: POST /runs, GET /status and more.

    Every request but GET /health needs the token. One run is made at a time, in a process of its own. Ctrl-C ends the
    server and the run in progress, and the next run continues.
    """
    require_web_extra("serve")
    from audience_sync.cli.wiring.serve import run_server

    run_server(session, listener, schedules=schedules)

"""``audience-sync check``: check config, store, sources, audiences and destinations."""

from __future__ import annotations

import click

from audience_sync.cli.base.session import Session, with_session
from audience_sync.errors import FAILED, OK, USAGE


@click.command()
@click.option(
    "--notify", is_flag=True, help="Send a test message to every address of `notify` and `on_run`, and call `ping`."
)
@with_session
def check(session: Session, notify: bool) -> int:
    """Check config, sources, store and destinations. Changes nothing, and sends users nothing."""
    from audience_sync.cli.views.checks import project_check_lines
    from audience_sync.cli.wiring.checks import check_project

    results = check_project(session, notify=notify)
    session.answer(
        {"checks": [each._asdict() for each in results]},
        lambda screen: project_check_lines(results, screen, notified=notify),
    )
    if all(each.good for each in results):
        return OK
    return USAGE if any(each.part == "config" and not each.good for each in results) else FAILED

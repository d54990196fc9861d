"""``audience-sync check``: check config, store, sources, audiences and destinations."""

from __future__ import annotations

import click

from audience_sync.cli.base.session import Session, with_session


@click.command()
@click.option(
    "--notify", is_flag=True, help="Send a test message to every address of `notify` and `on_run`, and call `ping`."
)
@with_session
def check(session: Session, notify: bool) -> int:
    """Check config, sources, store and destinations. Changes nothing, and sends users nothing."""
    from audience_sync.cli.views.checks import project_check_lines

    found = session.project.check(notify=notify)
    session.answer(found.to_dict(), lambda screen: project_check_lines(found.results, screen, notified=notify))
    return found.exit_code

"""``audience-sync undo``: reverse what a run changed."""

from __future__ import annotations

from functools import partial

import click

from audience_sync.cli.base.options import dry_run_option, reason_option, run_argument, yes_option
from audience_sync.cli.base.session import Session, quiet_option, with_session


@click.command()
@run_argument
@yes_option
@dry_run_option
@reason_option
@quiet_option
@with_session
def undo(session: Session, run: int, yes: bool, dry_run: bool, reason: str | None) -> int:
    """Reverse what RUN changed, where there is no newer change, and send that. Shows it first, and asks.

    If the sources still have the undone changes, the next run holds them for a person to decide.
    """
    from audience_sync.cli.views.preview import undo_preview
    from audience_sync.cli.views.wording import undo_wording
    from audience_sync.cli.wiring.confirm import confirm_and_run

    return confirm_and_run(
        session,
        partial(session.project.undo, run, reason=reason),
        partial(session.project.plan_undo, run),
        f"Undo run {run}?",
        partial(undo_preview, run=run),
        yes=yes,
        dry_run=dry_run,
        describe=partial(undo_wording, run=run),
    )

"""``audience-sync undo``: reverse what a run changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.options import dry_run_option, reason_option, run_argument, yes_option
from audience_sync.cli.base.session import Session, quiet_option, with_session

if TYPE_CHECKING:
    from audience_sync.cli.base.layout import Screen
    from audience_sync.sync.preview.plan import RunPreview


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
    from audience_sync.model import RunId
    from audience_sync.store.runs.runs import command_and_start
    from audience_sync.sync.values.request import Undo

    def preview(found: RunPreview, screen: Screen) -> Iterator[Sequence[str]]:
        with session.reading() as store, store.reading() as connection:
            which = command_and_start(connection, run)
        return undo_preview(found, screen, run=run, which=which)

    return confirm_and_run(
        session,
        Undo(command=f"undo {run}", undone_run=RunId(run), reason=reason),
        f"Undo run {run}?",
        preview,
        yes=yes,
        dry_run=dry_run,
        describe=partial(undo_wording, run=run),
    )

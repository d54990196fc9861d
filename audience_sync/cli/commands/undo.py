"""``audience-sync undo``: reverse what a run changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.options import RUN, common_options, quiet_option

if TYPE_CHECKING:
    from audience_sync.cli.base.layout import Screen
    from audience_sync.cli.views.run_details import Details
    from audience_sync.cli.views.summary import Wording
    from audience_sync.sync.preview.plan import RunPreview
    from audience_sync.sync.values.report import Report


@click.command()
@click.argument("run", type=RUN)
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and end.")
@quiet_option
@common_options
@click.pass_context
def undo(context: click.Context, run: int, yes: bool, dry_run: bool) -> int:
    """Reverse what RUN changed, where there is no newer change, and send that. Shows it first, and asks.

    If the sources still have the undone changes, the next run holds them for a person to decide.
    """
    from audience_sync.cli.wiring.confirm import confirm_and_run
    from audience_sync.sync.values.request import Undo

    return confirm_and_run(
        context,
        Undo(command=f"undo {run}", undone_run=run),
        f"Undo run {run}?",
        lambda found, screen: preview(found, run, _command_and_start(context, run), screen),
        yes=yes,
        dry_run=dry_run,
        describe=lambda report, details: _undo_wording(report, details, run),
    )


def preview(found: RunPreview, run: int, which: tuple[str, datetime] | None, screen: Screen) -> Iterator[Sequence[str]]:
    """Show which changes would be reversed, and what would be sent. ``which``: command and start of the run to undo."""
    from audience_sync.cli.base.layout import Column, prose, table
    from audience_sync.cli.views.summary import notes
    from audience_sync.cli.wiring.confirm import forecast_table, withheld_lines
    from audience_sync.text import pluralize

    audiences, traits = found.findings.audiences, found.findings.traits
    changes = sum(each.entered + each.left for each in audiences) + traits.changed
    of = f" ({which[0]}, {which[1]:%Y-%m-%d %H:%M} UTC)" if which else ""
    yield prose(f"Undo run {run}{of}: reverses {pluralize(changes, 'change')}.", screen)
    columns = (
        Column("audience"),
        Column("true to", right=True, keep=True),
        Column("false to", right=True, keep=True),
    )
    rows = [(each.key, each.entered, each.left) for each in audiences]
    yield table(columns, rows, screen, stack_if_narrow=True)
    if traits.changed:
        yield prose(f"Computed traits: {pluralize(traits.changed, 'user')} would get their earlier values.", screen)
    yield forecast_table(found.forecasts, screen)
    yield list(withheld_lines(found.forecasts, screen))
    yield notes((), found.findings.warnings, screen)


def _command_and_start(context: click.Context, run: int) -> tuple[str, datetime] | None:
    from sqlalchemy import select

    from audience_sync.cli.wiring.dependencies import read_store_settings
    from audience_sync.project import store_to_read
    from audience_sync.store.tables import runs

    with store_to_read(read_store_settings(context.obj).store) as store, store.reading() as connection:
        row = connection.execute(select(runs.c.command, runs.c.started_at).where(runs.c.id == run)).one_or_none()
    return None if row is None else (row.command, row.started_at)


def _undo_wording(report: Report, details: Details, run: int) -> Wording:
    from audience_sync.cli.views.summary import Wording, counts_text
    from audience_sync.model import RunStatus
    from audience_sync.text import seconds_text

    if report.status is RunStatus.FAILED:
        return Wording()
    return Wording(f"Run {report.run} undid run {run} in {seconds_text(report.seconds)}: {counts_text(report)}.")

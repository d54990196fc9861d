"""``audience-sync plan``: show what ``sync`` would do."""

from __future__ import annotations

from pathlib import Path

import click

from audience_sync.cli.base.layout import Screen
from audience_sync.cli.base.options import accept_clock_option, keys_argument, move_key_option, parse_option
from audience_sync.cli.base.session import Session, with_session


@click.command()
@keys_argument
@click.option("--accept", multiple=True, metavar="KEY", help="Accept this snapshot, as `sync --accept` would.")
@move_key_option
@accept_clock_option
@click.option("--rate", metavar="N/s", help="For a seed: at most this many users in a time, as `seed --rate`.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Also write the plan to this file, for `sync --plan FILE`.",
)
@with_session
def plan(
    session: Session,
    *,
    keys: tuple[str, ...],
    accept: tuple[str, ...],
    moves: dict[str, str],
    accept_clock: bool,
    rate: str | None,
    out: Path | None,
) -> int:
    """Show what `sync` would do, per audience and destination, with the exact requests and a forecast.

    Changes nothing and sends nothing. For an audience that waits to be seeded by hand, KEY shows what `seed` would do.
    """
    from audience_sync.cli.views.plan import plan_lines
    from audience_sync.cli.views.progress import RunProgress
    from audience_sync.config.read.units import parse_rate
    from audience_sync.project.opening import open_to_read
    from audience_sync.project.plan_file import refuse_other_file, write_plan
    from audience_sync.project.run_details import preview_details
    from audience_sync.store.maintenance.open_to_read import open_store_to_read
    from audience_sync.sync.preview.plan import preview_run
    from audience_sync.sync.values.request import GuardExceptions, Selection, SendLimits, Sync

    request = Sync(
        command="plan",
        selection=Selection(audiences=keys or None),
        exceptions=GuardExceptions(accepted=accept, accept_clock=accept_clock),
        limits=SendLimits(users_per_second=parse_option("--rate", rate, parse_rate)),
        moves=moves,
    )
    settings = session.settings()
    if out is not None:
        refuse_other_file(out, settings, session.config)
    with open_to_read(settings) as parts, RunProgress() as progress:
        found = preview_run(parts, request, progress.watch)
    if out is not None:
        write_plan(out, found.saved.text())

    def lines(screen: Screen) -> list[str]:
        with open_store_to_read(settings.store) as store, store.reading() as connection:
            details = preview_details(connection, settings, found.findings, session.config_name)
        return plan_lines(found, details, screen, secrets=settings.secrets, saved_as=out)

    from audience_sync.project.plan_requests import plan_json

    session.answer(plan_json(found, settings.secrets), lines)
    return found.exit_code

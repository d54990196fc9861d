"""``audience-sync plan``: show what ``sync`` would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.options import accept_clock_option, common_options, move_key_option, parse_option

if TYPE_CHECKING:
    from audience_sync.cli.views.run_details import Details
    from audience_sync.config.models import Settings
    from audience_sync.sync.preview.plan import RunPreview


@click.command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--accept", multiple=True, metavar="KEY", help="Accept this snapshot, as `sync --accept` would.")
@move_key_option
@accept_clock_option
@click.option("--rate", metavar="N/s", help="For a seed: at most so many users in a time, as `seed --rate`.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Also write the plan to this file, for `sync --plan FILE`.",
)
@common_options
@click.pass_context
def plan(
    context: click.Context,
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
    from audience_sync.cli.base.output import print_json, screen, write
    from audience_sync.cli.views.plan import PlanContext, plan_json, plan_lines
    from audience_sync.cli.views.progress import RunProgress
    from audience_sync.cli.wiring.dependencies import options_of, read_settings
    from audience_sync.cli.wiring.plan_file import refuse_other_file, write_plan
    from audience_sync.config.read.units import parse_rate
    from audience_sync.project import opened_to_read
    from audience_sync.sync.preview.plan import preview_run
    from audience_sync.sync.values.request import GuardExceptions, Selection, SendLimits, Sync

    options = options_of(context)
    request = Sync(
        command="plan",
        selection=Selection(audiences=keys or None),
        exceptions=GuardExceptions(accepted=accept, accept_clock=accept_clock),
        limits=SendLimits(users_per_second=parse_option("--rate", rate, parse_rate)),
        moves=moves,
    )
    settings = read_settings(options)
    if out is not None:
        refuse_other_file(out, settings, options.config)
    with opened_to_read(settings) as parts, RunProgress() as progress:
        found = preview_run(parts, request, progress.watch)
    if out is not None:
        write_plan(out, found.saved.text())
    if options.as_json:
        print_json(plan_json(found, settings.secrets))
    else:
        shown = PlanContext(
            _details(settings, found, Path(options.config).name), settings.secrets, str(out) if out else None
        )
        write(plan_lines(found, shown, screen()))
    return found.exit_code


def _details(settings: Settings, found: RunPreview, config: str) -> Details:
    """The config's details and the holds, with the samples of stored holds."""
    from dataclasses import replace

    from audience_sync.cli.views.run_details import details_of, held_of
    from audience_sync.project import store_to_read

    with store_to_read(settings.store) as store, store.reading() as connection:
        held = held_of(connection, settings, found.findings.audiences, found.findings.traits, None)
    return replace(details_of(settings, config), held=held)

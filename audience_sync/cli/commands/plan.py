"""``audience-sync plan``: show what ``sync`` would do."""

from __future__ import annotations

from pathlib import Path

import click

from audience_sync.cli.base.options import accept_clock_option, keys_argument, move_key_option
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

    with RunProgress() as progress:
        found = session.project.plan(
            keys,
            accept=accept,
            accept_clock=accept_clock,
            move_keys=moves,
            rate=rate,
            out=out,
            progress=progress.report,
        )
    session.answer(
        found.to_dict() if session.as_json else None,
        lambda screen: plan_lines(found.preview, found.details, screen, requests=found.requests, saved_as=out),
    )
    return found.exit_code

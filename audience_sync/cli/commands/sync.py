"""``audience-sync sync``: load, diff and deliver once."""

from __future__ import annotations

from pathlib import Path

import click

from audience_sync.cli.base.options import (
    accept_clock_option,
    keys_argument,
    move_key_option,
    reason_option,
    upgrade_option,
)
from audience_sync.cli.base.session import Session, quiet_option, with_session


@click.command()
@keys_argument
@click.option(
    "--accept",
    multiple=True,
    metavar="KEY",
    help="Accept this audience's (or trait's) snapshot, even against `expect` and `guard`.",
)
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Do exactly what this plan has (`plan --out FILE`), or nothing.",
)
@move_key_option
@accept_clock_option
@reason_option
@upgrade_option
@quiet_option
@with_session
def sync(
    session: Session,
    *,
    keys: tuple[str, ...],
    accept: tuple[str, ...],
    plan_file: Path | None,
    moves: dict[str, str],
    accept_clock: bool,
    reason: str | None,
    upgrade: bool,
) -> int:
    """Load, diff and deliver once: all (or the named) audiences and all computed traits.

    Also sends what earlier runs left pending.
    """
    from audience_sync.cli.wiring.run_command import make_run

    return make_run(
        session,
        lambda progress: session.project.sync(
            keys,
            accept=accept,
            accept_clock=accept_clock,
            move_keys=moves,
            plan=plan_file,
            reason=reason,
            upgrade=upgrade,
            progress=progress,
        ),
    ).exit_code

"""``audience-sync sync``: load, diff and deliver once."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec.structs import replace

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
    config = None
    if not (keys or accept or plan_file or moves or accept_clock or reason or upgrade):
        from audience_sync.cli.wiring.repeat_command import repeat_command

        config = session.project._access.inputs()
        if config is not None and (report := repeat_command(session, config)) is not None:
            return report.exit_code
    from audience_sync.cli.wiring.run_command import execute_run
    from audience_sync.sync.values.request import GuardExceptions, Selection, Sync

    if plan_file is None:
        request = Sync(
            selection=Selection(audiences=keys or None),
            exceptions=GuardExceptions(accepted=accept, accept_clock=accept_clock),
            moves=moves,
            reason=reason,
        )
        return execute_run(session, request, upgrade=upgrade, config=config).exit_code
    if keys or accept or moves or accept_clock:
        raise click.UsageError(
            "the plan has the audiences, the guards that are lifted, the moves and the clock: give --plan alone"
        )
    from audience_sync.project.plan_file import read_plan

    plan = read_plan(plan_file)
    planned = replace(plan.request, reason=reason)
    return execute_run(session, planned, upgrade=upgrade, review=plan.refuse_other).exit_code

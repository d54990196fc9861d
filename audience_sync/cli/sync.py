"""``audience-sync sync``: one run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from audience_sync.cli.options import common, move_key

if TYPE_CHECKING:
    from audience_sync.sync.saved import SavedPlan

#: Bytes.
LARGEST_PLAN = 50_000_000


@click.command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option(
    "--accept",
    multiple=True,
    metavar="KEY",
    help="Take this audience's (or trait's) snapshot as it is, whatever `expect` and `guard` say.",
)
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Do what this plan says (`plan --out FILE`), and nothing if it would be anything else by now.",
)
@move_key
@click.option("--upgrade", is_flag=True, help="Upgrade the schema of a PostgreSQL store first.")
@common
@click.pass_context
def sync(
    context: click.Context,
    keys: tuple[str, ...],
    accept: tuple[str, ...],
    plan_file: Path | None,
    moves: dict[str, str],
    upgrade: bool,
) -> int:
    """One run over all (or the named) audiences and all computed traits.

    Also finishes what earlier runs left undelivered.
    """
    from audience_sync.cli.runs import carry_out
    from audience_sync.sync.order import Order

    if plan_file is None:
        return carry_out(context, Order("sync", keys or None, accept, moves=moves), upgrade=upgrade).exit_code
    if keys or accept or moves:
        raise click.UsageError("the plan says of which audiences, and which guards are lifted: give --plan alone")
    plan = _read(plan_file)
    return carry_out(context, plan.order, upgrade=upgrade, review=plan.refuse_other).exit_code


def _read(file: Path) -> SavedPlan:
    from audience_sync.errors import PlanError
    from audience_sync.sync.saved import saved_plan

    try:
        if file.stat().st_size > LARGEST_PLAN:
            raise PlanError(f"it is larger than {LARGEST_PLAN:,} bytes: is this a plan?")
        return saved_plan(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, PlanError) as error:
        raise click.BadParameter(f"{file} can't be used: {error}", param_hint="--plan") from None

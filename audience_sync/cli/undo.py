"""``audience-sync undo``: the inverse of what a run changed."""

from __future__ import annotations

import click

from audience_sync.cli.options import common


@click.command()
@click.argument("run", type=int)
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be told, and end.")
@common
@click.pass_context
def undo(context: click.Context, run: int, yes: bool, dry_run: bool) -> int:
    """Take back what RUN changed, where nothing newer stands, and tell the destinations. Shows it first, and asks.

    If the sources say the same again, the next run holds that for a person to decide.
    """
    from audience_sync.cli.confirmed import carry_out_if_meant
    from audience_sync.sync.order import Order

    order = Order(f"undo {run}", undoes=run)
    return carry_out_if_meant(
        context, order, f"Undo run {run}?", lambda found: found.findings.warnings, yes=yes, dry_run=dry_run
    )

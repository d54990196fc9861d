"""``audience-sync undo``: the inverse of what a run changed."""

from __future__ import annotations

import click

from audience_sync.cli.options import common


@click.command()
@click.argument("run", type=int)
@click.option("--yes", is_flag=True, help="Don't ask.")
@common
@click.pass_context
def undo(context: click.Context, run: int, yes: bool) -> int:
    """Take back what RUN changed, where nothing newer stands, and tell the destinations. Shows it first, and asks.

    If the sources say the same again, the next run holds that for a person to decide.
    """
    from audience_sync.cli.confirmed import agrees, look_ahead
    from audience_sync.cli.runs import carry_out
    from audience_sync.cli.summary import print_audiences
    from audience_sync.sync.order import Order

    order = Order(f"undo {run}", undoes=run)
    found = look_ahead(context, order)
    if not yes and not context.obj.as_json:
        print_audiences(found.findings.audiences)
    if not agrees(context, found, f"Undo run {run}?", yes=yes, notes=found.findings.warnings):
        return 0
    return carry_out(context, order, review=found.saved.refuse_other).exit_code

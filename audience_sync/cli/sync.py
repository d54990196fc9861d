"""``audience-sync sync``: one run."""

from __future__ import annotations

import click

from audience_sync.cli.options import common


@click.command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--accept", multiple=True, metavar="KEY", help="Lift this audience's guard in this run.")
@click.option("--upgrade", is_flag=True, help="Upgrade the schema of a PostgreSQL store first.")
@common
@click.pass_context
def sync(context: click.Context, keys: tuple[str, ...], accept: tuple[str, ...], upgrade: bool) -> int:
    """One run over all (or the named) audiences and all computed traits.

    Also finishes what earlier runs left undelivered.
    """
    from audience_sync.cli.runs import carry_out
    from audience_sync.sync.order import Order

    return carry_out(context, Order("sync", keys or None, accept), upgrade=upgrade).exit_code

"""``audience-sync sync``: one run."""

from __future__ import annotations

from dataclasses import replace

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
    from audience_sync.cli.compose import opened_for_run, options_of, read_settings
    from audience_sync.cli.output import print_json
    from audience_sync.cli.progress import RunProgress
    from audience_sync.cli.summary import print_summary
    from audience_sync.sync.order import Order
    from audience_sync.sync.run import sync as run

    options = options_of(context)
    settings = read_settings(options)
    with opened_for_run(settings, upgrade=upgrade) as (parts, is_new):
        with RunProgress() as progress:
            report = run(parts, Order("sync", keys or None, accept), progress.watch)
        report = replace(report, store_is_new=is_new)
        if options.as_json:
            print_json(report.as_json())
        else:
            print_summary(report, store=parts.store.label)
    return report.exit_code

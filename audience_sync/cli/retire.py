"""``audience-sync retire``: take an audience or computed trait back everywhere, and close its key for good."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from audience_sync.cli.options import common

if TYPE_CHECKING:
    from audience_sync.sync.plan import Plan


@click.command()
@click.argument("key")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be told, and end.")
@common
@click.pass_context
def retire(context: click.Context, key: str, yes: bool, dry_run: bool) -> int:
    """Tell `false` to everyone who may have been told `true` (of a computed trait: `null`), and close KEY for good.

    Shows how many users would be told what, and asks. Safe to interrupt and to repeat: it goes on where it was.
    """
    from audience_sync.cli.confirmed import carry_out_if_meant
    from audience_sync.sync.order import Order

    order = Order("retire", retire=key)
    return carry_out_if_meant(
        context, order, f"Retire '{key}'?", lambda found: _notes(found, key), yes=yes, dry_run=dry_run
    )


def _notes(found: Plan, key: str) -> Iterator[str]:
    yield from found.findings.warnings
    if found.findings.retired:
        yield f"The key '{key}' is closed for good then: no audience and no trait can have it again."
    else:
        yield f"The key '{key}' is retired already."

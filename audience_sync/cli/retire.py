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
    from audience_sync.cli.confirmed import agrees, look_ahead, told_json, told_lines
    from audience_sync.cli.output import line, print_json
    from audience_sync.cli.runs import carry_out
    from audience_sync.sync.order import Order

    order = Order("retire", retire=key)
    if yes and not dry_run:
        return carry_out(context, order).exit_code
    found = look_ahead(context, order)
    if dry_run and context.obj.as_json:
        print_json(told_json(found))
    elif dry_run:
        for text in (
            *told_lines(found),
            *_notes(found, key),
            f"Nothing was changed or sent. To do it: {found.command}",
        ):
            line(text)
    elif agrees(context, found, f"Retire '{key}'?", yes=False, notes=_notes(found, key)):
        return carry_out(context, order, review=found.saved.refuse_other).exit_code
    return 0


def _notes(found: Plan, key: str) -> Iterator[str]:
    yield from found.findings.warnings
    if found.findings.retired:
        yield f"The key '{key}' is closed for good then: no audience and no trait can have it again."
    else:
        yield f"The key '{key}' is retired already."

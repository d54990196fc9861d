"""``audience-sync check``: check config, store, sources, audiences and destinations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.layout import Screen, command, prose
from audience_sync.cli.base.options import common_options
from audience_sync.cli.views.checks import check_rows
from audience_sync.text import pluralize

if TYPE_CHECKING:
    from audience_sync.cli.wiring.checks import CheckResult


@click.command()
@click.option("--notify", is_flag=True, help="Send a test message to every address of `notify`, and call its `ping`.")
@common_options
@click.pass_context
def check(context: click.Context, notify: bool) -> int:
    """Check config, sources, store and destinations. Changes nothing, and sends users nothing."""
    from audience_sync.cli.base.errors import FAILED, OK, USAGE
    from audience_sync.cli.base.output import print_json, screen, write
    from audience_sync.cli.wiring.checks import check_config, check_everything, check_notify
    from audience_sync.cli.wiring.dependencies import options_of

    options = options_of(context)
    settings, lines = check_config(options)
    if settings:
        lines += check_everything(settings)
        lines += check_notify(settings) if notify else []
    if options.as_json:
        print_json({"checks": [each.as_json() for each in lines]})
    else:
        write(check_lines(lines, screen(), notified=notify))
    if all(each.good for each in lines):
        return OK
    return USAGE if any(each.part == "config" and not each.good for each in lines) else FAILED


def check_lines(checks: Sequence[CheckResult], screen: Screen, *, notified: bool = False) -> list[str]:
    """Lay out the outcome, one line for each check, and the next command."""
    failed = [each.part for each in checks if not each.good]
    if failed:
        parts = ", ".join(_part_count(part, failed.count(part)) for part in dict.fromkeys(failed))
        outcome = f"{len(failed):,} of {pluralize(len(checks), 'check')} failed: {parts}."
    else:
        outcome = f"{pluralize(len(checks), 'check')} passed. Nothing was changed or sent"
        outcome += ", except test messages." if notified else "."
    found = [(each.good, each.part, f"{each.name}: {each.message}" if each.name else each.message) for each in checks]
    lines = [*prose(outcome, screen), "", *check_rows(found, screen)]
    if failed:
        return [*lines, "", "After correcting this:", command("audience-sync check")]
    return [*lines, "", "Next:", command("audience-sync plan")] if screen.width is not None else lines


def _part_count(part: str, count: int) -> str:
    if part in ("config", "notify", "traits"):
        return {"config": "the config", "notify": "notify", "traits": "computed traits"}[part]
    return pluralize(count, part)

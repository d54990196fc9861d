"""``audience-sync retire``: send false to all members and close the key for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.options import common_options, quiet_option

if TYPE_CHECKING:
    from audience_sync.cli.base.layout import Screen
    from audience_sync.cli.views.run_details import Details
    from audience_sync.cli.views.summary import Wording
    from audience_sync.sync.preview.plan import RunPreview
    from audience_sync.sync.values.report import Report


@click.command()
@click.argument("key")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and end.")
@quiet_option
@common_options
@click.pass_context
def retire(context: click.Context, key: str, yes: bool, dry_run: bool) -> int:
    """Send `false` to every user who may have been sent `true` (`null` for a computed trait), and close KEY for good.

    Shows how many users would be sent what, and asks. Safe to interrupt and to repeat: it continues where it stopped.
    """
    from audience_sync.cli.wiring.confirm import confirm_and_run
    from audience_sync.sync.values.request import Retire

    return confirm_and_run(
        context,
        Retire(key=key),
        f"Retire {key}?",
        lambda found, screen: preview(found, key, screen),
        yes=yes,
        dry_run=dry_run,
        describe=lambda report, details: _retire_wording(report, details, key),
    )


def preview(found: RunPreview, key: str, screen: Screen) -> Iterator[Sequence[str]]:
    """Show what would be sent to how many users, and what closing the key means."""
    from audience_sync.cli.base.layout import prose
    from audience_sync.cli.views.summary import notes
    from audience_sync.cli.wiring.confirm import sends_table, withheld_lines
    from audience_sync.text import pluralize

    own = {name: [one for one in each if one.key == key] for name, each in found.sends.items()}
    sends = [one for each in own.values() for one in each]
    values = " and ".join(dict.fromkeys(one.value for one in sends))
    users = max((sum(one.users for one in each) for each in own.values()), default=0)
    what = f"sends {values} to {pluralize(users, 'user')}" if sends else "sends nothing"
    closing = "closes the key for good" if found.findings.retired else "the key is closed already"
    yield prose(f"Retire {key}: {what}{' and ' if found.findings.retired else '; '}{closing}.", screen)
    yield sends_table(found, screen, key=key)
    yield list(withheld_lines(found.forecasts, screen))
    closed = prose(f"No audience or trait can use the key {key} again.", screen) if found.findings.retired else []
    yield [*closed, *notes((), found.findings.warnings, screen)]


def _retire_wording(report: Report, details: Details, key: str) -> Wording:
    from audience_sync.cli.views.summary import Wording, counts_text
    from audience_sync.model import RunStatus
    from audience_sync.text import seconds_text

    if report.status is RunStatus.FAILED:
        return Wording()
    return Wording(f"Run {report.run} retired {key} in {seconds_text(report.seconds)}: {counts_text(report)}.", ())

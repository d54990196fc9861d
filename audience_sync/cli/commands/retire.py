"""``audience-sync retire``: send false to all members and close the key for good."""

from __future__ import annotations

from functools import partial

import click

from audience_sync.cli.base.completion import complete_all_keys
from audience_sync.cli.base.options import dry_run_option, reason_option, yes_option
from audience_sync.cli.base.session import Session, quiet_option, with_session


@click.command()
@click.argument("key", shell_complete=complete_all_keys)
@yes_option
@dry_run_option
@reason_option
@quiet_option
@with_session
def retire(session: Session, key: str, yes: bool, dry_run: bool, reason: str | None) -> int:
    """Send `false` to every user who may have been sent `true` (`null` for a computed trait), and close KEY for good.

    Shows how many users would be sent what, and asks. Safe to interrupt and to repeat: it continues where it stopped.
    """
    from audience_sync.cli.views.preview import retire_preview
    from audience_sync.cli.views.wording import retire_wording
    from audience_sync.cli.wiring.confirm import confirm_and_run

    return confirm_and_run(
        session,
        partial(session.project.retire, key, reason=reason),
        partial(session.project.plan_retire, key),
        f"Retire {key}?",
        partial(retire_preview, key=key),
        yes=yes,
        dry_run=dry_run,
        describe=partial(retire_wording, key=key),
    )

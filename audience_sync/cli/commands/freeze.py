"""``audience-sync freeze`` and ``unfreeze``: skip an audience until a person or the clock ends that."""

from __future__ import annotations

import click

from audience_sync.cli.base.completion import complete_frozen_keys, complete_stored_keys
from audience_sync.cli.base.layout import advice, labelled, prose
from audience_sync.cli.base.options import reason_option
from audience_sync.cli.base.session import Session, with_session
from audience_sync.text import utc_time


@click.command()
@click.argument("key", shell_complete=complete_stored_keys)
@click.option("--until", metavar="TIME", help="End the freeze at this time (UTC), such as 2026-05-01T12:00.")
@reason_option
@with_session
def freeze(session: Session, key: str, until: str | None, reason: str | None) -> None:
    """Skip an audience until it is unfrozen: no run loads it, and nothing new of it is sent.

    Calls that are already pending are still sent. A second freeze replaces the time and the reason.
    """
    found = session.project.freeze(key, until=until, reason=reason)
    ends = utc_time(found.until) if found.until else "when it is unfrozen"
    facts = [("Since", utc_time(found.since)), ("Ends", ends), ("Reason", found.reason or "")]
    running = "A run is in progress and may still change it. The next run skips it:"
    session.answer(
        found.to_dict(),
        lambda screen: [
            *prose(f"Frozen: {key}. Runs skip it. Calls that are already pending are still sent.", screen),
            *labelled(facts, screen),
            *(advice(running, "audience-sync history", screen=screen) if found.run_in_progress else []),
            "",
            *advice("To sync it again:", f"audience-sync unfreeze {key}", screen=screen),
        ],
    )


@click.command()
@click.argument("key", shell_complete=complete_frozen_keys)
@reason_option
@with_session
def unfreeze(session: Session, key: str, reason: str | None) -> None:
    """Sync a frozen audience again: the next run loads it, and its guard checks what has changed meanwhile."""
    found = session.project.unfreeze(key, reason=reason)
    text = f"{key} was not frozen. Nothing was changed."
    if found.was_frozen:
        text = f"{key} is no longer frozen. The next run loads it and sends what has changed."
    session.answer(found.to_dict(), lambda screen: prose(text, screen))

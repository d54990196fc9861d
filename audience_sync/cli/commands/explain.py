"""``audience-sync explain USER``: show one user, and what each destination was sent."""

from __future__ import annotations

from datetime import datetime

import click

from audience_sync.cli.base.options import at_option, validate_user_id
from audience_sync.cli.base.session import Session, with_session


@click.command()
@click.argument("user", metavar="USER", callback=validate_user_id)
@at_option
@with_session
def explain(session: Session, user: str, at: datetime | None) -> None:
    """Show one user: values, since when, by which run, and what each destination was sent and answered.

    Ids are compared exactly as written: 007 and 7 are two users. An id that begins with a dash comes after `--`.
    """
    from audience_sync.cli.views.explain import explanation_lines

    found = session.project.explain(user, at=at)
    session.answer(
        found.to_dict() if session.as_json else None, lambda screen: explanation_lines(found.found, screen, at=at)
    )

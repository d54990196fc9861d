"""``audience-sync explain USER``: show one user, and what each destination was sent."""

from __future__ import annotations

import click

from audience_sync.cli.base.options import at_option, parse_user_id
from audience_sync.cli.base.session import Session, with_session


@click.command()
@click.argument("user_id", metavar="USER", callback=parse_user_id)
@at_option
@with_session
def explain(session: Session, user_id: str, at: str | None) -> None:
    """Show one user: values, since when, by which run, and what each destination was sent and answered.

    Ids are compared exactly as written: 007 and 7 are two users. An id that begins with a dash comes after `--`.
    """
    from audience_sync.cli.views.explain import explanation_lines

    found = session.project.explain(user_id, at=at)
    session.answer(
        found.to_dict() if session.as_json else None, lambda screen: explanation_lines(found.found, screen, at=found.at)
    )

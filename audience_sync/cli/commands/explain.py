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
    from audience_sync.destinations.registry import destination_types
    from audience_sync.history.explain.as_json import explanation_json
    from audience_sync.history.explain.explain import explain as explained
    from audience_sync.model import UserId
    from audience_sync.store.maintenance.open_to_read import open_store_to_read

    settings = session.store_settings()
    companions = destination_types().each(lambda kind: kind.companions)
    with open_store_to_read(settings.store) as store:
        found = explained(store, UserId(user), at=at, memory_limit=settings.memory_limit, companions=companions)
    document = {**explanation_json(found), "at": at} if session.as_json else None
    session.answer(document, lambda screen: explanation_lines(found, screen, at=at))

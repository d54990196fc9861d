"""``audience-sync freeze`` and ``unfreeze``: skip an audience until a person or the clock ends that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.completion import complete_frozen_keys, complete_stored_keys
from audience_sync.cli.base.layout import advice, labelled, prose
from audience_sync.cli.base.options import parse_time, reason_option, time_option
from audience_sync.cli.base.session import Session, with_session
from audience_sync.project.unsynced import explaining_unsynced
from audience_sync.text import utc_time

if TYPE_CHECKING:
    from sqlalchemy import Connection


_INSTEAD = "Before its first run an audience can wait instead: `initial: manual`."


@click.command()
@click.argument("key", shell_complete=complete_stored_keys)
@time_option("--until", parse_time, "End the freeze at this time (UTC), such as 2026-05-01T12:00.")
@reason_option
@with_session
def freeze(session: Session, key: str, until: datetime | None, reason: str | None) -> None:
    """Skip an audience until it is unfrozen: no run loads it, and nothing new of it is sent.

    Calls that are already pending are still sent. A second freeze replaces the time and the reason.
    """
    from audience_sync.store.audiences.freezes import Freeze
    from audience_sync.store.audiences.freezes import freeze as begin
    from audience_sync.store.connection.lease import is_run_in_progress
    from audience_sync.store.runs.decisions import Decision, record_decision, stored_reason

    now = datetime.now(UTC)
    if until is not None and until <= now:
        message = f"{utc_time(until)} is in the past (now: {utc_time(now)})"
        raise click.BadParameter(message, param_hint="--until")
    with session.writing() as (store, settings), store.writing() as connection:
        reason = stored_reason(reason, settings.secrets)
        with explaining_unsynced(session.project._access, key, remedy=_INSTEAD):
            audience = _audience_id(connection, key)
        begin(connection, {key: audience}, Freeze(key, now, until, reason), _user_and_host())
        record_decision(connection, Decision("freeze", key, reason), settings.secrets)
        is_running = is_run_in_progress(connection)
    ends = utc_time(until) if until else "when it is unfrozen"
    facts = [("Since", utc_time(now)), ("Ends", ends), ("Reason", reason or "")]
    running = "A run is in progress and may still change it. The next run skips it:"
    session.answer(
        {"key": key, "frozen": True, "frozen_at": now, "frozen_until": until, "reason": reason},
        lambda screen: [
            *prose(f"Frozen: {key}. Runs skip it. Calls that are already pending are still sent.", screen),
            *labelled(facts, screen),
            *(advice(running, "audience-sync history", screen=screen) if is_running else []),
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
    from audience_sync.store.audiences.freezes import unfreeze as end
    from audience_sync.store.runs.decisions import Decision, record_decision

    with session.writing() as (store, settings), store.writing() as connection:
        was_frozen = end(connection, _audience_id(connection, key), datetime.now(UTC), _user_and_host())
        if was_frozen:
            record_decision(connection, Decision("unfreeze", key, reason), settings.secrets)
    text = f"{key} was not frozen. Nothing was changed."
    if was_frozen:
        text = f"{key} is no longer frozen. The next run loads it and sends what has changed."
    session.answer({"key": key, "frozen": False, "was_frozen": was_frozen}, lambda screen: prose(text, screen))


def _audience_id(connection: Connection, key: str) -> int:
    """The id of an audience. Raises UnknownNameError and RetiredError."""
    from audience_sync.errors import RetiredError, UnknownNameError
    from audience_sync.model import PropertyKind
    from audience_sync.store.audiences.properties import read_properties
    from audience_sync.sync.guard.messages import retired_message
    from audience_sync.text import not_found_message

    stored = read_properties(connection)
    if key in stored and stored[key].retired:
        raise RetiredError(retired_message(key))
    ids = {each.key: each.id for each in stored.values() if each.kind is PropertyKind.AUDIENCE and not each.retired}
    if key not in ids:
        wrong = not_found_message("audience", [key], ids)
        raise UnknownNameError(f"{wrong} Nothing was changed or sent.\n  {_INSTEAD}")
    return ids[key]


def _user_and_host() -> str:
    """Who froze the audience: user and host."""
    from audience_sync.store.connection.process_identity import current_host, current_user

    return f"{current_user()} on {current_host()}"

"""Freeze and unfreeze audiences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from audience_sync.errors import RetiredError, UnknownNameError, WrongValueError
from audience_sync.project.access import Access
from audience_sync.project.unsynced import explaining_unsynced
from audience_sync.text import iso_time, not_found_message, utc_time

if TYPE_CHECKING:
    from sqlalchemy import Connection

_INSTEAD = "Before its first run an audience can wait instead: `initial: manual`."


class Frozen(Struct, frozen=True, kw_only=True):
    """A frozen audience. ``until``: when the freeze ends by itself; None if only ``unfreeze`` ends it.

    ``run_in_progress``: a run was in progress, which may still change the audience.
    """

    key: str
    since: datetime
    until: datetime | None
    reason: str | None
    run_in_progress: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync freeze --json``."""
        until = None if self.until is None else iso_time(self.until, "auto")
        since = iso_time(self.since, "auto")
        return {"key": self.key, "frozen": True, "frozen_at": since, "frozen_until": until, "reason": self.reason}


class Unfrozen(Struct, frozen=True, kw_only=True):
    """An audience that is not frozen. ``was_frozen``: whether it was until now."""

    key: str
    was_frozen: bool

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync unfreeze --json``."""
        return {"key": self.key, "frozen": False, "was_frozen": self.was_frozen}


def freeze(access: Access, key: str, until: datetime | None, reason: str | None) -> Frozen:
    from audience_sync.store.audiences.freezes import Freeze
    from audience_sync.store.audiences.freezes import freeze as begin
    from audience_sync.store.connection.lease import is_run_in_progress
    from audience_sync.store.runs.decisions import Decision, record_decision, stored_reason

    now = datetime.now(UTC)
    if until is not None and until <= now:
        raise WrongValueError("until", f"{utc_time(until)} is in the past (now: {utc_time(now)})")
    with access.writing() as (store, settings), store.writing() as connection:
        reason = stored_reason(reason, settings.secrets)
        with explaining_unsynced(access, key, remedy=_INSTEAD):
            audience = _audience_id(connection, key)
        begin(connection, {key: audience}, Freeze(key, now, until, reason), _user_and_host())
        record_decision(connection, Decision("freeze", key, reason), settings.secrets)
        is_running = is_run_in_progress(connection)
    return Frozen(key=key, since=now, until=until, reason=reason, run_in_progress=is_running)


def unfreeze(access: Access, key: str, reason: str | None) -> Unfrozen:
    from audience_sync.store.audiences.freezes import unfreeze as end
    from audience_sync.store.runs.decisions import Decision, record_decision

    with access.writing() as (store, settings), store.writing() as connection:
        with explaining_unsynced(access, key):
            audience = _audience_id(connection, key)
        was_frozen = end(connection, audience, datetime.now(UTC), _user_and_host())
        if was_frozen:
            record_decision(connection, Decision("unfreeze", key, reason), settings.secrets)
    return Unfrozen(key=key, was_frozen=was_frozen)


def _audience_id(connection: Connection, key: str) -> int:
    """The id of an audience. Raises UnknownNameError and RetiredError."""
    from audience_sync.model import PropertyKind
    from audience_sync.store.audiences.properties import read_properties
    from audience_sync.sync.guard.messages import retired_message

    stored = read_properties(connection)
    if key in stored and stored[key].retired:
        raise RetiredError(retired_message(key))
    ids = {each.key: each.id for each in stored.values() if each.kind is PropertyKind.AUDIENCE and not each.retired}
    if key not in ids:
        wrong = not_found_message("audience", [key], ids)
        raise UnknownNameError(f"{wrong} Nothing was changed or sent.")
    return ids[key]


def _user_and_host() -> str:
    """Who froze the audience: user and host."""
    from audience_sync.store.connection.process_identity import current_host, current_user

    return f"{current_user()} on {current_host()}"

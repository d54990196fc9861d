"""Find what needs a person for `status`: from the store's views, and the schedules from the config."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from audience_sync.cli.base.session import Session
from audience_sync.config.read.names import ConfigNames, read_names
from audience_sync.errors import ConfigError
from audience_sync.history.attention import read_attention
from audience_sync.history.concerns import Attention, LateSchedule, State

#: Exit codes of `status --exit-code`, the highest of 3, 4, 1; waiting audiences and a run in progress have none.
EXIT_CODES = {
    State.FAILED: 3,
    State.HELD: 4,
    State.REFUSED: 1,
    State.LATE: 1,
    State.SIZE: 1,
    State.INTERRUPTED: 1,
    State.PENDING: 1,
}
_NOT_CHECKED = "The schedules were not checked, because {config} can't be used here. Its problems: audience-sync check"


def find_attention(session: Session, now: datetime) -> tuple[Attention, Sequence[str]]:
    """What needs a person now, and notes about what could not be checked."""
    names = read_names(Path(session.config), session.environment) or ConfigNames(lists_all=False)
    with session.reading() as store, store.reading() as connection:
        late = _late(session, connection, now) if names.has_schedule else ()
        found = read_attention(
            connection,
            late=late or (),
            keys={*names.audiences, *names.audience_names} if names.lists_all else None,
            destinations=names.destinations or None,
        )
    return found, [_NOT_CHECKED.format(config=session.config_name)] if late is None else []


def _late(session: Session, connection: Connection, now: datetime) -> Sequence[LateSchedule] | None:
    """The schedules that are late; None if the config can't be used, such as without its secrets."""
    from audience_sync.schedule.late import find_late

    try:
        return find_late(connection, session.settings(), now)
    except ConfigError:
        return None


def exit_code_of_status(found: Attention) -> int:
    """The code that the worst concern has in runs: 3 if something failed, 4 if something is held, otherwise 1 or 0."""
    codes = {EXIT_CODES.get(each.state, 0) for each in (*found.needs_person, *found.continuing)}
    return next((code for code in (3, 4, 1) if code in codes), 0)

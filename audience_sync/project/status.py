"""Find what needs a person for `status`: from the store's views, and the schedules from the config."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from audience_sync.command_line import with_options
from audience_sync.config.read.names import ConfigNames, read_names
from audience_sync.errors import ConfigError
from audience_sync.history.attention import read_attention
from audience_sync.history.attention_text import headline
from audience_sync.history.concerns import Attention, Concern, LastRun, LateSchedule, State
from audience_sync.project.access import Access
from audience_sync.project.history import plain_json
from audience_sync.project.records import Records

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


class Status(Struct, frozen=True, kw_only=True):
    """What needs a person, the worst first, what continues by itself, and how much is well.

    ``notes``: what could not be checked.
    """

    found: Attention
    at: datetime
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Status: {headline(self.found)}>"

    @property
    def needs_person(self) -> Records[Concern]:
        return Records(Concern, self.found.needs_person)

    @property
    def continuing(self) -> Records[Concern]:
        """What continues by itself: runs in progress and pending calls."""
        return Records(Concern, self.found.continuing)

    @property
    def last_run(self) -> LastRun | None:
        return self.found.last_run

    @property
    def exit_code(self) -> int:
        """That of the worst concern in runs: 3 if something failed, 4 if something is held, otherwise 1 or 0."""
        return exit_code_of_status(self.found)

    def to_dict(self, *, options: str = "") -> dict[str, Any]:
        """The document of ``audience-sync status --json``. ``options``: those that its commands need."""
        return plain_json(status_json(self.found, now=self.at, notes=self.notes, options=options))


def find_status(access: Access, now: datetime) -> Status:
    """What needs a person now. It needs no secrets of sources and destinations."""
    names = read_names(access.config, access.environment) or ConfigNames(lists_all=False)
    with access.reading() as store, store.reading() as connection:
        late = _late(access, connection, now) if names.has_schedule else ()
        found = read_attention(
            connection,
            late=late or (),
            keys={*names.audiences, *names.audience_names} if names.lists_all else None,
            destinations=names.destinations or None,
        )
    notes = (_NOT_CHECKED.format(config=access.config.name),) if late is None else ()
    return Status(found=found, at=now, notes=notes)


def _late(access: Access, connection: Connection, now: datetime) -> Sequence[LateSchedule] | None:
    """The schedules that are late; None if the config can't be used, such as without its secrets."""
    from audience_sync.schedule.late import find_late

    try:
        return find_late(connection, access.settings(), now)
    except ConfigError:
        return None


def exit_code_of_status(found: Attention) -> int:
    """The code that the worst concern has in runs: 3 if something failed, 4 if something is held, otherwise 1 or 0."""
    codes = {EXIT_CODES.get(each.state, 0) for each in (*found.needs_person, *found.continuing)}
    return next((code for code in (3, 4, 1) if code in codes), 0)


def status_json(found: Attention, *, now: datetime, notes: Sequence[str] = (), options: str = "") -> dict[str, Any]:
    """The answer as a document. ``options``: those that its commands need to find the same project."""
    last = found.last_run
    return {
        "at": now,
        "headline": headline(found),
        "needs_person": [_concern_json(each, options) for each in found.needs_person],
        "continuing": [_concern_json(each, options) for each in found.continuing],
        "last_run": None if last is None else {name: getattr(last, name) for name in LastRun.__struct_fields__},
        "in_order": {
            "audiences": found.well,
            "of_audiences": found.audiences,
            "frozen": found.frozen,
            "destinations": list(found.destinations),
        },
        "notes": list(notes),
    }


def _concern_json(each: Concern, options: str) -> dict[str, Any]:
    return {
        "state": each.state.value,
        "kind": each.kind.value,
        "subjects": list(each.subjects),
        "text": each.text,
        "count": each.count,
        "reasons": [{"reason": reason.text, "calls": reason.calls} for reason in each.reasons],
        "since_run": each.since_run,
        "since_at": each.since_at,
        "commands": [with_options(text, options) for text in each.commands],
    }

"""Define what the stages of a run find: results of audiences, traits and mappings, invalid rows, warnings, errors."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct, field

from audience_sync.model import AudienceStatus, ChangeCounts, RunId
from audience_sync.sync.values.change_set import Addable, ChangeSet


class InvalidRow(Struct, frozen=True, kw_only=True):
    """An invalid row. ``row`` is counted from 1, the first row of data."""

    audience_key: str | None
    file: str
    row: int
    user_id: str | None
    reason: str


class HeldDifference(Struct, frozen=True, kw_only=True):
    """A difference that a guard holds, with its ``message``.

    ``since`` and ``last``: the first and the newest run that held it; None in a preview of a new hold. ``before``: a
    sentence about the previous hold.
    """

    message: str
    since: RunId | None
    counts: ChangeCounts
    last: RunId | None = None
    before: str = ""


class SkippedUser(NamedTuple):
    """A user whom an undo skips, because ``run`` has changed them later."""

    key: str
    user_id: str
    run: RunId


class AudienceResult(Struct, frozen=True, kw_only=True):
    """The result of one audience. If it is held or failed, nothing of it was changed or sent.

    ``absent``: members who are missing from the snapshot and stay. ``returned``: members who were missing and came
    back. ``held_out``: users of the snapshot who are held out. ``source``: where it is loaded from, if it has yet to be
    created. ``config_changes``: how its config has changed since it was last used.
    """

    key: str
    name: str
    status: AudienceStatus
    before: int = 0
    entered: int = 0
    left: int = 0
    invalid: int = 0
    error: str | None = None
    held: HeldDifference | None = None
    absent: int = 0
    returned: int = 0
    held_out: int = 0
    source: str | None = None
    config_changes: str | None = None

    @property
    def after(self) -> int:
        return self.before + self.entered - self.left


class TraitsResult(Addable, frozen=True, kw_only=True):
    """The result of all computed traits: users with some, users whose values changed, and holds by key."""

    users: int = 0
    changed: int = 0
    invalid: int = 0
    errors: tuple[str, ...] = ()
    held: tuple[tuple[str, HeldDifference], ...] = ()  # by key


class MappingKind(StrEnum):
    """The kinds of changes of a destination's mapping."""

    NEW = "new"  # it gets the property from now on
    DROPPED = "dropped"  # it no longer gets the property
    RENAMED = "renamed"
    HASHED = "hashed"
    USER_ID = "user_id"
    ON_NULL = "on_null"


_MAPPING_TEXTS = {
    MappingKind.NEW: "{key} is new",
    MappingKind.DROPPED: "{key} is no longer sent",
    MappingKind.RENAMED: "{before} becomes {after}",
    MappingKind.HASHED: "{key} is sent {after}, no longer {before}",
    MappingKind.USER_ID: "users are known by {after}, no longer by {before}",
    MappingKind.ON_NULL: "on_null of {key} is {after}, no longer {before}",
}


class MappingChange(Struct, frozen=True, kw_only=True):
    """A change of a destination's mapping. ``key``: None if it is of all properties. ``users``: those with a value."""

    kind: MappingKind
    key: str | None
    before: str | None
    after: str | None
    users: int

    @property
    def text(self) -> str:
        return _MAPPING_TEXTS[self.kind].format(key=self.key, before=self.before, after=self.after)


class MappingResult(Struct, frozen=True, kw_only=True):
    """The changes of a destination's mapping. If it is held, changes are still sent under the former one."""

    destination: str
    changes: tuple[MappingChange, ...]
    held: HeldDifference | None = None


class RunFindings(Addable, frozen=True, kw_only=True):
    """Everything that a run reports, in order.

    ``errors`` stop all sending. ``held``: messages of held suppression lists and mappings. ``skipped_users``: of an
    undo. ``notices``: what the run changes by itself; a run over the same inputs repeats its ``warnings``, and none of
    them.
    """

    audiences: tuple[AudienceResult, ...] = ()
    traits: TraitsResult = field(default_factory=TraitsResult)
    invalid_rows: tuple[InvalidRow, ...] = ()
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    mappings: tuple[MappingResult, ...] = ()
    skipped_users: tuple[SkippedUser, ...] | None = None

    @property
    def messages(self) -> tuple[str, ...]:
        return self.warnings + self.notices


class Detection(Addable, frozen=True, kw_only=True):
    """The result of every stage before the commit: what is committed, apart from what is reported."""

    changes: ChangeSet = field(default_factory=ChangeSet)
    findings: RunFindings = field(default_factory=RunFindings)

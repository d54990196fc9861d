"""The changes and results of a run, which commit writes, delivery sends and the report shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from audience_sync.model import AudienceStatus, ChangeCounts, HoldStatus, PropertyKind
from audience_sync.store.audiences.holds import Hold, NewHold
from audience_sync.store.snapshots.chain import Chain, SnapshotFile


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidRow:
    """An invalid row. ``row`` is counted from 1, the first row of data."""

    audience_key: str | None
    file: str
    row: int
    user_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ChainChange:
    """A chain after the run, with its new segments.

    ``log``: a workspace table of changes (``user_id``, ``key``, ``value``, ``before``); None on a first creation, which
    is sent from the segments. ``members``: for audiences, a table of users who entered or left (``user_id``,
    ``present``).
    """

    chain: Chain
    new: tuple[SnapshotFile, ...]
    log: str | None = None
    members: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProperty:
    """A property that the run creates. ``chain``: the index in ``ChangeSet.changes``."""

    kind: PropertyKind
    key: str
    name: str
    chain: int
    origin: str | None = None
    definition: str | None = None


@dataclass(frozen=True, slots=True)
class MovedKey:
    """A new key that replaces an old one. ``chain``: the index in ``ChangeSet.changes`` of the emptied one."""

    old: str
    new: str
    chain: int


@dataclass(frozen=True, slots=True)
class Absences:
    """Changes of members who are missing from a snapshot and stay.

    ``begun`` and ``over``: queries for users (``user_id``) who are missing since this run, and no longer. ``absent``:
    the number of missing members after the run. ``returned``: the number of members who came back.
    """

    begun: str
    over: str
    absent: int = 0
    returned: int = 0


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Changes of an audience's held-out users.

    ``begun`` and ``over``: queries for users (``user_id``) who are held out since this run, and no longer. ``users``:
    the number of held-out users after the run.
    """

    begun: str
    over: str
    users: int

    def after(self, before: str | None) -> str:
        """A query for all users held out after the run. ``before``: the query for those held out before it."""
        stay = f"select user_id from ({before}) anti join ({self.over}) using (user_id) union all " if before else ""
        return f"{stay}select user_id from ({self.begun})"


class SourceState(NamedTuple):
    """A source at its snapshot: fingerprint, number of invalid rows, and columns if `expect` checks them."""

    fingerprint: str | None
    invalid: int = 0
    columns: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDifference:
    """A difference that a guard holds, with its message ``words``.

    ``since`` and ``last``: the first and the newest run that held it; None in a preview of a new hold. ``before``: a
    sentence about the previous hold.
    """

    words: str
    since: int | None
    counts: ChangeCounts
    last: int | None = None
    before: str = ""


class SkippedUser(NamedTuple):
    """A user whom an undo skips, because ``run`` has changed them later."""

    key: str
    user_id: str
    run: int


class MergedUsers(NamedTuple):
    """Users with a new id since this run: a query for the previous ids, and the destinations that merge users."""

    users: str
    destinations: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceResult:
    """The result of one audience. If it is held or failed, nothing of it was changed or sent.

    ``absent``: members who are missing from the snapshot and stay. ``returned``: members who were missing and came
    back. ``held_out``: users of the snapshot who are held out.
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

    @property
    def after(self) -> int:
        return self.before + self.entered - self.left


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitsResult:
    """The result of all computed traits: users with some, users whose values changed, and holds by key."""

    users: int = 0
    changed: int = 0
    invalid: int = 0
    errors: tuple[str, ...] = ()
    held: tuple[tuple[str, HeldDifference], ...] = ()  # by key


@dataclass(slots=True, kw_only=True)
class ChangeSet:
    """Everything that a run has detected, in order."""

    audiences: list[AudienceResult] = field(default_factory=list)
    traits: TraitsResult = field(default_factory=TraitsResult)
    changes: list[ChainChange] = field(default_factory=list)
    created: list[NewProperty] = field(default_factory=list)
    renamed: dict[str, tuple[str, str | None]] = field(default_factory=dict)  # key -> name, definition
    source_states: dict[str, SourceState] = field(default_factory=dict)  # by key
    loaded_from: dict[str, str] = field(default_factory=dict)  # key -> where its snapshot was loaded from
    absences: dict[str, Absences] = field(default_factory=dict)  # by key
    held_out: dict[str, HeldOut] = field(default_factory=dict)  # by key
    holdouts: dict[str, tuple[float | None, str]] = field(default_factory=dict)  # key -> its new share, and the salt
    min_stays: dict[str, str | None] = field(default_factory=dict)  # key -> its new min_stay
    merged_users: MergedUsers | None = None
    moved: list[MovedKey] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)  # keys that this run retires
    invalid_rows: list[InvalidRow] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # errors that stop all sending
    held: list[str] = field(default_factory=list)  # messages of held suppression lists
    new_holds: list[NewHold] = field(default_factory=list)
    repeated_holds: list[Hold] = field(default_factory=list)  # earlier holds of the same difference
    ended_holds: dict[Hold, HoldStatus] = field(default_factory=dict)
    skipped_users: list[SkippedUser] | None = None  # of an undo
    reverted_creations: list[str] = field(default_factory=list)  # keys that an undone run had created

    @property
    def logs(self) -> list[str]:
        return [change.log for change in self.changes if change.log]

    def chains_after(self, before: Iterable[Chain]) -> Mapping[str, Chain]:
        """The chain of every property after the run, by key."""
        after = {key: chain for chain in before for key in chain.keys}
        return after | {key: change.chain for change in self.changes for key in change.chain.keys}

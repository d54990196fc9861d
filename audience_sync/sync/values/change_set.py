"""What did a run find? Values that the commit writes, the delivery tells and the summary shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from audience_sync.model import AudienceStatus, ChangeCounts, HoldStatus, PropertyKind
from audience_sync.store.audiences.holds import Hold, NewHold
from audience_sync.store.snapshots.chain import Chain, SnapshotFile


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row without a usable user id; ``row`` is counted from 1, the first row of data."""

    audience_key: str | None
    file: str
    row: int
    user_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ChainChange:
    """A chain as it will be, with its new segments.

    ``log`` is a workspace table of what changed (``user_id``, ``key``, ``value``, ``before``); None on a first
    creation, which needs no log: destinations are told from the segments. ``members`` is the table of who entered and
    left (``user_id``, ``present``), for audiences.
    """

    chain: Chain
    new: tuple[SnapshotFile, ...]
    log: str | None = None
    members: str | None = None


@dataclass(frozen=True, slots=True)
class NewProperty:
    """A property that the run creates. ``chain`` is its place in ``Findings.changes``."""

    kind: PropertyKind
    key: str
    name: str
    chain: int
    origin: str | None = None
    definition: str | None = None


@dataclass(frozen=True, slots=True)
class MovedKey:
    """A new key that takes over what is known of an old one. ``chain``: the place in ``Findings.changes`` of the one
    that is left to the old key."""

    old: str
    new: str
    chain: int


@dataclass(frozen=True, slots=True)
class Absences:
    """Who is missing from an audience's snapshot and stays for now: queries for the users (``user_id``) of whom that is
    ``begun`` with this run and of whom it is ``over``, and the numbers of those who are missing and who came back."""

    begun: str
    over: str
    absent: int = 0
    returned: int = 0


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Who of an audience's source is never told ``true``: queries for the users (``user_id``) of whom that is ``begun``
    with this run and of whom it is ``over``, and the number of all ``users`` who are held out after it."""

    begun: str
    over: str
    users: int

    def after(self, before: str | None) -> str:
        """A query for all who are held out after the run; ``before``: for those who were."""
        stay = f"select user_id from ({before}) anti join ({self.over}) using (user_id) union all " if before else ""
        return f"{stay}select user_id from ({self.begun})"


class SourceState(NamedTuple):
    """What a source looked like when its snapshot was taken: its mark, the rows without a usable id in it, and the
    columns it had, where they are expected to stay the same."""

    fingerprint: str | None
    invalid: int = 0
    columns: str | None = None


@dataclass(frozen=True, slots=True)
class HeldDifference:
    """A difference that may not pass, ``since`` this run (None: in a plan), and the words for people. ``last``: the
    newest run that held it, None in a plan of what no run has held yet. ``before``: what it has to do with the hold
    before it."""

    words: str
    since: int | None
    counts: ChangeCounts
    last: int | None = None
    before: str = ""


class SkippedUser(NamedTuple):
    """A user whom the undoing of a run passes over, since a newer run's change stands."""

    key: str
    user_id: str
    run: int


class MergedUsers(NamedTuple):
    """Users who are told of under another id from this run on: a query for the previous ids, and the destinations that
    join the two."""

    users: str
    destinations: Collection[str]


@dataclass(frozen=True, slots=True)
class AudienceResult:
    """One audience in a run. Nothing of it is changed or sent when it is held or failed.

    ``absent``: members who are missing from the snapshot and stay for now; ``returned``: who came back in time.
    ``held_out``: users of the snapshot who are no members, since they are held out.
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


@dataclass(frozen=True, slots=True)
class TraitsResult:
    """All computed traits in a run: users who have some, users whose values changed, and what is held."""

    users: int = 0
    changed: int = 0
    invalid: int = 0
    errors: tuple[str, ...] = ()
    held: tuple[tuple[str, HeldDifference], ...] = ()  # by key


@dataclass(slots=True)
class ChangeSet:
    """Everything a run found, in the order it was found."""

    audiences: list[AudienceResult] = field(default_factory=list)
    traits: TraitsResult = field(default_factory=TraitsResult)
    changes: list[ChainChange] = field(default_factory=list)
    created: list[NewProperty] = field(default_factory=list)
    renamed: dict[str, tuple[str, str | None]] = field(default_factory=dict)  # key -> name, definition
    source_states: dict[str, SourceState] = field(default_factory=dict)  # by key
    loaded_from: dict[str, str] = field(default_factory=dict)  # key -> where its snapshot was loaded from
    absences: dict[str, Absences] = field(default_factory=dict)  # by key
    held_out: dict[str, HeldOut] = field(default_factory=dict)  # by key
    holdouts: dict[str, tuple[float | None, str]] = field(default_factory=dict)  # key -> another share, and the salt
    min_stays: dict[str, str | None] = field(default_factory=dict)  # key -> its min_stay, where it is another one
    merged_users: MergedUsers | None = None
    moved: list[MovedKey] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)  # keys that are closed for good with this run
    rejected: list[RejectedRow] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # for which nothing may be sent
    held: list[str] = field(default_factory=list)  # beside audiences
    new_holds: list[NewHold] = field(default_factory=list)
    repeated_holds: list[Hold] = field(default_factory=list)  # what stood before, and the source still says
    ended_holds: dict[Hold, HoldStatus] = field(default_factory=dict)
    skipped_users: list[SkippedUser] | None = None  # by an undoing
    reverted_creations: list[str] = field(default_factory=list)  # what the undone run had created

    @property
    def logs(self) -> list[str]:
        return [change.log for change in self.changes if change.log]

    def chains_after(self, before: Iterable[Chain]) -> Mapping[str, Chain]:
        """Every property's chain by key, as the run leaves it."""
        after = {key: chain for chain in before for key in chain.keys}
        return after | {key: change.chain for change in self.changes for key in change.chain.keys}

"""Define the changes of a run, which commit writes and delivery sends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple, Self

from msgspec import Struct, field

from audience_sync.model import HoldStatus, PropertyKind
from audience_sync.sources.base import ComparedState
from audience_sync.sql import Query, TableName
from audience_sync.store.audiences.holds import Hold, NewHold
from audience_sync.store.snapshots.chain import Chain, SnapshotFile


class Addable(Struct, frozen=True):
    """A value whose fields add up, one by one.

    Tuples follow one another, mappings become one and must not share a key, numbers are added. None adds nothing.
    """

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """The sum; without parts, the empty value."""
        found = list(parts)
        names = cls.__struct_fields__ if found else ()
        return cls(**{name: _total([getattr(each, name) for each in found]) for name in names})

    def __add__(self, other: Self) -> Self:
        return self.total((self, other))


def _total(values: Iterable[Any]) -> Any:
    match [each for each in values if each is not None]:
        case []:
            return None
        case [only]:
            return only
        case [Addable() as first, *_] as found:
            return type(first).total(found)
        case [tuple(), *_] as found:
            return tuple(chain.from_iterable(found))
        case [Mapping(), *_] as found:
            joined = {key: value for each in found for key, value in each.items()}
            assert len(joined) == sum(map(len, found)), "two changes of one key"
            return joined
        case found:
            return sum(found)


class NewProperty(Struct, frozen=True, kw_only=True):
    """A property that the run creates, with its members or values in the chain of the change that has it."""

    kind: PropertyKind
    key: str
    name: str
    origin: str | None = None
    definition: str | None = None


class ChainChange(Struct, frozen=True, kw_only=True):
    """A chain after the run, with its new files.

    ``log``: a workspace table of changes (``user_id``, ``key``, ``value``, ``before``); None on a first creation, which
    is sent from the files. ``members``: for audiences, a table of users who entered or left (``user_id``,
    ``present``). ``creates``: the new properties whose chain this is. ``moved_to``: the new key of the audience whose
    old key keeps this empty chain. ``rebuilt``: the stored files were damaged, so that the log may lack users.
    """

    chain: Chain
    files: tuple[SnapshotFile, ...] = ()
    log: TableName | None = None
    members: TableName | None = None
    creates: tuple[NewProperty, ...] = ()
    moved_to: str | None = None
    rebuilt: bool = False


class Absences(Struct, frozen=True):
    """Changes of members who are missing from a snapshot and stay.

    ``begun`` and ``over``: queries for users (``user_id``) who are missing since this run, and no longer. ``absent``:
    the number of missing members after the run. ``returned``: the number of members who came back.
    """

    begun: Query
    over: Query
    absent: int = 0
    returned: int = 0


class HeldOut(Struct, frozen=True):
    """Changes of an audience's held-out users.

    ``begun`` and ``over``: queries for users (``user_id``) who are held out since this run, and no longer. ``users``:
    the number of held-out users after the run.
    """

    begun: Query
    over: Query
    users: int

    def after(self, before: Query | None) -> Query:
        """A query for all users held out after the run. ``before``: the query for those held out before it."""
        stay = f"select user_id from ({before}) anti join ({self.over}) using (user_id) union all " if before else ""
        return Query(f"{stay}select user_id from ({self.begun})")


class Claimed(Struct, frozen=True):
    """Changes of the users of a compared snapshot whom earlier audiences of the group claim.

    ``begun`` and ``over``: queries for users (``user_id``) who are claimed since this run, and no longer. ``version``:
    a text that changes if the earlier audiences may claim other users.
    """

    begun: Query
    over: Query
    version: str


class SourceState(NamedTuple):
    """A source at its snapshot: fingerprint, number of invalid rows, and columns if `expect` checks them.

    ``compared``: the tables of the snapshot, if a warehouse has compared it.
    """

    fingerprint: str | None
    invalid: int = 0
    columns: str | None = None
    compared: ComparedState | None = None


class Location(NamedTuple):
    """Where snapshots are loaded from: the file with its source, in words, and the source's name in the config."""

    text: str
    source: str


class PropertyChange(Struct, frozen=True, kw_only=True):
    """The changes of one property, except for its members or values. None changes nothing.

    ``loaded_from``: where its snapshot was loaded from, for people. ``renamed``: its new name and definition.
    ``holdout``: its new share (0 to 1) and salt. ``min_stay``: the new one, which may be None.
    ``guard``: the new one, as ``Guard.text``.
    """

    source: SourceState | None = None
    loaded_from: Location | None = None
    renamed: tuple[str, str | None] | None = None
    retired: bool = False
    absences: Absences | None = None
    held_out: HeldOut | None = None
    claimed: Claimed | None = None
    holdout: tuple[float | None, str] | None = None
    min_stay: tuple[str | None] | None = None
    guard: str | None = None


class MergedUsers(Struct, frozen=True):
    """Users with a new id since this run: a query for the previous ids, and the destinations that merge users."""

    users: Query
    destinations: Collection[str]


class SuppressionUpdate(Struct, frozen=True, kw_only=True):
    """The suppressed users of a run, as tables with ``user_id``.

    ``table``: all of them. ``added`` and ``removed``: changes of the config's lists, as read ``at``. ``error``: a list
    can't be read, so nothing is sent to any user.
    """

    table: TableName
    added: TableName
    removed: TableName
    at: datetime
    error: str | None = None


class ChangeSet(Addable, frozen=True, kw_only=True):
    """Everything that a run commits, in order.

    ``repeated_holds``: earlier holds of the same difference. ``reverted_creations``: keys that an undone run had
    created.
    """

    chains: tuple[ChainChange, ...] = ()
    properties: Mapping[str, PropertyChange] = field(default_factory=dict)
    new_holds: tuple[NewHold, ...] = ()
    repeated_holds: tuple[Hold, ...] = ()
    ended_holds: Mapping[Hold, HoldStatus] = field(default_factory=dict)
    reverted_creations: tuple[str, ...] = ()
    merged_users: MergedUsers | None = None

    @property
    def created(self) -> list[NewProperty]:
        return [new for change in self.chains for new in change.creates]

    @property
    def logs(self) -> list[TableName]:
        return [change.log for change in self.chains if change.log]

    @property
    def retired(self) -> list[str]:
        """The keys that this run retires."""
        return [key for key, change in self.properties.items() if change.retired]

    def chain_of(self, key: str) -> Chain | None:
        """The property's chain after the changes so far; None if it has not changed."""
        return next((each.chain for each in reversed(self.chains) if key in each.chain.keys), None)

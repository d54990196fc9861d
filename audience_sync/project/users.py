"""Read and change what the store has of users: members, explanations, suppressions, erasure."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from audience_sync.history.members import CSV_LINE, JSON_LINE, Part
from audience_sync.project.access import Access
from audience_sync.project.records import to_arrow, to_frame
from audience_sync.project.unsynced import explaining_unsynced
from audience_sync.text import iso_time, pluralize

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from audience_sync.store.connection.engine import Store


class Member(Struct, frozen=True):
    """A member of an audience, and the start of the run that they entered with."""

    user_id: str
    member_since: datetime


class Members:
    """The members of one audience, in the order of their ids.

    They are read from the store whenever they are iterated, a few at a time, so that any number fits into memory.
    """

    def __init__(self, access: Access, key: str, at: datetime | None) -> None:
        self._access, self.key, self.at = access, key, at

    def __repr__(self) -> str:
        at = f", at {iso_time(self.at, 'auto')}" if self.at else ""
        return f"<Members of {self.key!r}{at}>"

    def __iter__(self) -> Iterator[Member]:
        from msgspec.json import Decoder

        decoder = Decoder(Member)
        for part in self.parts(as_json=True):
            yield from decoder.decode_lines(part.lines)

    def parts(self, *, as_json: bool = False) -> Generator[Part]:
        """The members as lines of CSV without a header, or of JSON, a few thousand in each part."""
        from audience_sync.history.members import members_of
        from audience_sync.store.maintenance.open_to_read import open_store_to_read

        settings = self._access.store_settings()
        with (
            self._access.masking(),
            open_store_to_read(settings.store) as store,
            explaining_unsynced(self._access, self.key),
        ):
            yield from members_of(
                store,
                self.key,
                at=self.at,
                memory_limit=settings.memory_limit,
                line=JSON_LINE if as_json else CSV_LINE,
            )

    def to_dict(self) -> list[dict[str, str]]:
        """The lines of ``audience-sync members --json``."""
        import json

        return [json.loads(line) for part in self.parts(as_json=True) for line in bytes(part.lines).splitlines()]

    def to_frame(self) -> pandas.DataFrame:
        """A pandas DataFrame with ``user_id`` and ``member_since``. Raises MissingPackageError without pandas."""
        return to_frame(Member, list(self))

    def to_arrow(self) -> pyarrow.Table:
        """An Arrow table with ``user_id`` and ``member_since``. Raises MissingPackageError without pyarrow."""
        return to_arrow(Member, list(self))


def find_members(access: Access, key: str, at: datetime | None) -> Members:
    """The members of an audience, whose key and time are checked. Raises UnknownNameError and HistoryPrunedError."""
    from audience_sync.history.runs import run_at
    from audience_sync.store.audiences.properties import read_audience

    with access.reading() as store, store.reading() as connection, explaining_unsynced(access, key):
        read_audience(connection, key)
        if at is not None:
            run_at(connection, at)
    return Members(access, key, at)


class Suppressed(Struct, frozen=True, kw_only=True):
    """How many users ``suppress`` has added, and how many were suppressed already."""

    suppressed: int
    already: int

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync suppress --json``."""
        return {"suppressed": self.suppressed, "already": self.already}


class Unsuppressed(Struct, frozen=True, kw_only=True):
    """How many users are no longer suppressed, and how many still are, by a list of the config."""

    unsuppressed: int
    still_listed: int

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync unsuppress --json``."""
        return {"unsuppressed": self.unsuppressed, "still_on_a_list_of_the_config": self.still_listed}


class RemainingData(NamedTuple):
    """A destination that still has the users' data. ``deletion``: how to delete a user there."""

    name: str
    type: str
    deletion: str


class Erased(Struct, frozen=True, kw_only=True):
    """What ``erase`` has done, and where users' data remain.

    ``known``: how many of the users the store had. ``state``: buckets with objects of snapshots. ``warehouses``:
    sources that keep the last snapshots.
    """

    erased: int
    known: int
    destinations: tuple[RemainingData, ...]
    state: tuple[str, ...] = ()
    warehouses: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync erase --json``."""
        remaining = [each._asdict() for each in self.destinations]
        state = {"state": list(self.state), "warehouses": list(self.warehouses)}
        return {"erased": self.erased, "known": self.known, "destinations": remaining, **state}


def suppress(access: Access, users: Sequence[str], reason: str | None) -> Suppressed:
    from audience_sync.store.audiences import suppressions
    from audience_sync.store.runs.decisions import Decision, forget_users, record_decision

    with access.writing() as (store, settings):
        with store.writing() as connection:
            erased = suppressions.erased_among(connection, users)
            added = suppressions.suppress(connection, [user for user in users if user not in erased], "command")
            if added:
                forget_users(connection, users)
                decision = Decision("suppress", pluralize(added, "user"), reason)
                record_decision(connection, decision, settings.secrets, users)
        _wait_for_a_run(store)
    return Suppressed(suppressed=added, already=len(users) - added)


def unsuppress(access: Access, users: Sequence[str], reason: str | None) -> Unsuppressed:
    from audience_sync.store.audiences import suppressions
    from audience_sync.store.runs.decisions import Decision, record_decision

    with access.writing() as (store, settings), store.writing() as connection:
        lifted = suppressions.unsuppress(connection, users, "command")
        lifted += suppressions.remove_tombstones(connection, users)
        if lifted:
            decision = Decision("unsuppress", pluralize(lifted, "user"), reason)
            record_decision(connection, decision, settings.secrets, users)
        still = sum(suppressions.is_suppressed(connection, user) for user in users)
    return Unsuppressed(unsuppressed=lifted, still_listed=still)


def erase(access: Access, users: Sequence[str], reason: str | None) -> Erased:
    from sqlalchemy import select

    from audience_sync.destinations.base import Destination
    from audience_sync.destinations.registry import destination_types
    from audience_sync.store.audiences.source_states import read_sources
    from audience_sync.store.maintenance.erase import erase as erase_users
    from audience_sync.store.maintenance.state import stored_folders
    from audience_sync.store.runs.decisions import stored_reason
    from audience_sync.store.tables import delivery_destinations

    with access.writing() as (store, settings):
        with store.reading() as connection:
            warehouses = read_sources(connection)  # erasing forgets them
        known = erase_users(store, users, settings.memory_limit, reason=stored_reason(reason, settings.secrets))
        types, query = destination_types(), select(delivery_destinations).order_by(delivery_destinations.c.id)
        with store.reading() as connection:
            remaining = tuple(
                RemainingData(row.name, row.type, getattr(types.get(row.type), "deletion", Destination.deletion))
                for row in connection.execute(query)
            )
            folders = stored_folders(connection)
    return Erased(
        erased=len(users),
        known=known,
        destinations=remaining,
        state=tuple(folders),
        warehouses=tuple(warehouses),
    )


def _wait_for_a_run(store: Store) -> None:
    """Wait until a run in progress has read the new list, which it does every ``CACHE_SECONDS``."""
    from audience_sync.delivery.send.withheld import CACHE_SECONDS
    from audience_sync.store.connection.lease import is_run_in_progress

    with store.reading() as connection:
        is_running = is_run_in_progress(connection)
    if is_running:
        time.sleep(2 * CACHE_SECONDS)

"""Read the stored state at the start of a run, in one transaction, and more of it when a stage needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import partial

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import Connection, exists, func, select

from audience_sync.errors import StoreDamagedError
from audience_sync.model import RunId
from audience_sync.sql import Query, TableName
from audience_sync.store.audiences.absences import count_absent
from audience_sync.store.audiences.freezes import Freeze, read_ended, read_frozen
from audience_sync.store.audiences.holdouts import count_held_out, read_held_out
from audience_sync.store.audiences.holds import Hold, HoldKey, latest_holds
from audience_sync.store.audiences.properties import Property, read_chains, read_properties
from audience_sync.store.audiences.source_states import read_claimed
from audience_sync.store.connection.engine import Store
from audience_sync.store.snapshots.chain import Chain
from audience_sync.store.snapshots.files import count_deltas, download_chain, download_chains, rebuild_chain
from audience_sync.store.tables import erasures, installation, runs, source_states
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.workspace import Workspace


class StoredState(Struct, frozen=True, kw_only=True):
    """The stored state before a run.

    ``absent`` and ``held_out``: numbers of users by key. ``ended_freezes``: freezes whose time has ended since the last
    run. ``moves``: from retired keys to new ones, which ``properties`` has already. ``keeps_trait_values``: whether the
    table of trait values is filled; None in a store from before it. ``has_source_states``: whether a warehouse keeps a
    last snapshot. ``has_objects``: whether a bucket may have objects of the store.
    """

    properties: Mapping[str, Property]
    chains: Mapping[int, Chain]
    last_run: RunId
    installation: str
    last_holds: Mapping[HoldKey, Hold]
    erased_hashes: Sequence[str] = ()
    trait_users: int = 0
    frozen: Mapping[str, Freeze] = field(default_factory=dict)
    absent: Mapping[str, int] = field(default_factory=dict)
    held_out: Mapping[str, int] = field(default_factory=dict)
    ended_freezes: Sequence[Freeze] = ()
    moves: Mapping[str, str] = field(default_factory=dict)
    keeps_trait_values: bool | None = None
    has_source_states: bool = False
    has_objects: bool = False


_INSTALLATION = select(
    installation.c.uuid,
    installation.c.trait_values_table,
    installation.c.state_folders,
    exists(source_states.c.id).label("has_source_states"),
)
_LAST_TRAIT_USERS = select(runs.c.trait_users).where(runs.c.trait_users > 0).order_by(runs.c.id.desc()).limit(1)


def read_stored_state(connection: Connection, now: datetime) -> StoredState:
    """Read the state. ``now`` decides which freezes have ended."""
    known = read_properties(connection)
    mine = connection.execute(_INSTALLATION).one()
    return StoredState(
        properties=known,
        chains=read_chains(connection, known.values()),
        last_run=RunId(connection.execute(select(func.coalesce(func.max(runs.c.id), 0))).scalar_one()),
        installation=mine.uuid,
        last_holds=latest_holds(connection),
        erased_hashes=connection.execute(select(erasures.c.user_hash)).scalars().all(),
        trait_users=connection.execute(_LAST_TRAIT_USERS).scalar() or 0,
        frozen=read_frozen(connection, now),
        absent=count_absent(connection),
        held_out=count_held_out(connection),
        ended_freezes=read_ended(connection, now),
        keeps_trait_values=mine.trait_values_table,
        has_source_states=mine.has_source_states,
        has_objects=mine.state_folders is not None,
    )


class StoreReader:
    """Bring stored rows into the workspace, each once, in their state before the run.

    ``resends``: whether everything of a key is sent again, so that its damaged chain may be rebuilt.
    """

    def __init__(self, store: Store, workspace: Workspace, stored: StoredState, resends: Callable[[str], bool]) -> None:
        self.stored, self._store, self._workspace, self._resends = stored, store, workspace, resends
        self._chains: dict[int, Chain] = {}
        self._held_out: dict[str, TableName] = {}
        self._claimed: dict[str, TableName | None] = {}

    def reading(self) -> AbstractContextManager[Connection]:
        return self._store.reading()

    def chain(self, chain_id: int) -> Chain:
        """The chain with its files in the workspace."""
        if chain_id not in self._chains:
            self._chains[chain_id] = self._download(self.stored.chains[chain_id])
        return self._chains[chain_id]

    def unfetched_chain(self, chain_id: int) -> Chain:
        """The chain without its files, for a snapshot that a warehouse has compared; with them, if they are there."""
        if chain_id in self._chains:
            return self._chains[chain_id]
        with self._store.reading() as connection:
            return replace(self.stored.chains[chain_id], unfetched=count_deltas(connection, chain_id))

    def fetch(self, chain_ids: Iterable[int]) -> None:
        """Download these chains together. If one is damaged, ``chain`` downloads each, and may rebuild that one."""
        wanted = [self.stored.chains[each] for each in chain_ids if each not in self._chains]
        if not wanted:
            return
        with suppress(StoreDamagedError), self._store.reading() as connection:
            found = download_chains(connection, self._workspace, wanted)
            self._chains |= {chain.id: chain for chain in found if chain.id is not None}

    def _download(self, chain: Chain) -> Chain:
        try:
            return self._store.read_with_retry(partial(download_chain, workspace=self._workspace, chain=chain))
        except StoreDamagedError:
            if not any(self._resends(key) for key in chain.keys):
                raise
        with self._store.reading() as connection:
            return rebuild_chain(connection, self._workspace, chain)

    def held_out(self, key: str) -> Query | None:
        """A query for the users held out of an audience, or None."""
        if key not in self.stored.held_out:
            return None
        if key not in self._held_out:
            with self._store.reading() as connection:
                store_key = self.stored.properties[key].moved_from or key
                self._held_out[key] = read_held_out(connection, self._workspace, store_key)
        return Query(f"select user_id from {self._held_out[key]}")

    def claimed(self, key: str) -> TableName | None:
        """The users (``user_id``) of the last snapshot that a warehouse compared whom earlier audiences claimed."""
        if key not in self._claimed:
            with self._store.reading() as connection:
                self._claimed[key] = read_claimed(connection, self._workspace, key)
        return self._claimed[key]


class ChainsAfterRun(Mapping[str, Chain]):
    """The chain of every property after the run. Stored files are downloaded when they are first used."""

    def __init__(self, reader: StoreReader, changes: ChangeSet) -> None:
        self._reader, self._stored = reader, reader.stored.properties
        self._changed = {key: each.chain for each in changes.chains for key in each.chain.keys}

    def __getitem__(self, key: str) -> Chain:
        if key in self._changed:
            return self._with_files(self._changed[key])
        return self._reader.chain(self._stored[key].chain_id)

    def _with_files(self, chain: Chain) -> Chain:
        if chain.unfetched is None or chain.id is None:
            return chain
        stored = self._reader.chain(chain.id)
        return replace(chain, files=(*stored.files, *chain.files), unfetched=None)

    def __contains__(self, key: object) -> bool:
        return key in self._changed or key in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._changed.keys() | self._stored.keys())

    def __len__(self) -> int:
        return sum(1 for _ in self)

"""The stored state at the start of a run, read in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, select

from audience_sync.store.audiences.absences import count_absent
from audience_sync.store.audiences.freezes import Freeze, read_ended, read_frozen
from audience_sync.store.audiences.holdouts import count_held_out
from audience_sync.store.audiences.holds import Hold, HoldKey, latest_holds
from audience_sync.store.audiences.properties import Property, read_chains, read_properties
from audience_sync.store.snapshots.chain import Chain
from audience_sync.store.tables import erasures, installation, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredState:
    """The stored state before a run.

    ``absent`` and ``held_out``: numbers of users by key. ``ended_freezes``: freezes whose time has ended since the last
    run. ``moves``: from retired keys to new ones, which ``properties`` has already.
    """

    properties: Mapping[str, Property]
    chains: Mapping[int, Chain]
    last_run: int
    installation: str
    last_holds: Mapping[HoldKey, Hold]
    erased_hashes: Sequence[str] = ()
    trait_users: int = 0
    frozen: Mapping[str, Freeze] = field(default_factory=dict)
    absent: Mapping[str, int] = field(default_factory=dict)
    held_out: Mapping[str, int] = field(default_factory=dict)
    ended_freezes: Sequence[Freeze] = ()
    moves: Mapping[str, str] = field(default_factory=dict)


_LAST_TRAIT_USERS = select(runs.c.trait_users).where(runs.c.trait_users > 0).order_by(runs.c.id.desc()).limit(1)


def read_stored_state(connection: Connection, now: datetime) -> StoredState:
    """Read the state. ``now`` decides which freezes have ended."""
    known = read_properties(connection)
    return StoredState(
        properties=known,
        chains=read_chains(connection, known.values()),
        last_run=connection.execute(select(func.coalesce(func.max(runs.c.id), 0))).scalar_one(),
        installation=connection.execute(select(installation.c.uuid)).scalar_one(),
        last_holds=latest_holds(connection),
        erased_hashes=connection.execute(select(erasures.c.user_hash)).scalars().all(),
        trait_users=connection.execute(_LAST_TRAIT_USERS).scalar() or 0,
        frozen=read_frozen(connection, now),
        absent=count_absent(connection),
        held_out=count_held_out(connection),
        ended_freezes=read_ended(connection, now),
    )

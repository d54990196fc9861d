"""Read and change the stored audiences and computed traits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, bindparam, insert, select, update

from audience_sync.errors import UnknownKeyError
from audience_sync.model import PropertyId, PropertyKind, RunId
from audience_sync.store.audiences.source_states import forget_states
from audience_sync.store.runs.inputs import discard_inputs
from audience_sync.store.snapshots.chain import Chain
from audience_sync.store.tables import absences, held_out_users, members, properties, snapshot_chains
from audience_sync.text import not_found_message


class Property(Struct, frozen=True, kw_only=True):
    """A stored audience or computed trait.

    ``moved_from``: the key it still has in the store, if the current run moves it; the commit changes it.
    """

    id: PropertyId
    kind: PropertyKind
    key: str
    name: str
    origin: str | None
    definition: str | None
    chain_id: int
    created_run: RunId
    retired: bool
    fingerprint: str | None = None
    invalid: int = 0
    loaded_from: str | None = None
    loaded_from_run: int | None = None
    columns: str | None = None
    min_stay: str | None = None
    holdout: float | None = None
    holdout_salt: str | None = None
    guard: str | None = None
    claims: str | None = None
    moved_from: str | None = None

    @property
    def subject(self) -> str:
        """What a warehouse keeps its last snapshot by: its `names_from` entry, or its own key."""
        return self.origin or self.key


def property_ids(connection: Connection) -> dict[str, PropertyId]:
    """The ids of all properties by key."""
    return {row.key: row.id for row in connection.execute(select(properties.c.key, properties.c.id))}


def read_properties(connection: Connection) -> dict[str, Property]:
    """All properties by key, retired ones included."""
    rows = connection.execute(select(properties).order_by(properties.c.id))
    return {
        row.key: Property(
            id=PropertyId(row.id),
            kind=PropertyKind(row.kind),
            key=row.key,
            name=row.name,
            origin=row.origin,
            definition=row.definition,
            chain_id=row.chain_id,
            created_run=RunId(row.created_run_id),
            retired=row.retired_at is not None,
            fingerprint=row.fingerprint,
            invalid=row.invalid or 0,
            loaded_from=row.loaded_from,
            loaded_from_run=row.loaded_from_run,
            columns=row.source_columns,
            min_stay=row.min_stay,
            holdout=row.holdout,
            holdout_salt=row.holdout_salt,
            guard=row.guard,
            claims=row.claims,
        )
        for row in rows
    }


def read_audience(connection: Connection, key: str) -> Property:
    """The stored audience with this key. Raises UnknownKeyError, which suggests the nearest key."""
    known = read_properties(connection)
    if key in known and known[key].kind is PropertyKind.AUDIENCE:
        return known[key]
    audiences = sorted(each.key for each in known.values() if each.kind is PropertyKind.AUDIENCE)
    there = ", ".join(audiences) or "none yet"
    raise UnknownKeyError(f"{not_found_message('audience', [key], audiences)}\n  Audiences: {there}")


def read_chains(connection: Connection, known: Iterable[Property]) -> dict[int, Chain]:
    """All chains by id, without their files."""
    keys: dict[int, list[str]] = {}
    for stored in known:
        keys.setdefault(stored.chain_id, []).append(stored.key)
    return {
        row.id: Chain(
            id=row.id,
            kind=PropertyKind(row.kind),
            keys=tuple(keys.get(row.id, ())),
            user_count=row.user_count,
            changed=row.changed_run_id or 0,
        )
        for row in connection.execute(select(snapshot_chains))
    }


def set_source_state(connection: Connection, states: Mapping[str, tuple[str | None, int, str | None]]) -> None:
    """Store by key: the source's fingerprint, the number of invalid rows, and the columns of the loaded snapshot."""
    mine = properties.c.key == bindparam("of")
    rows = [
        {"of": key, "fingerprint": fingerprint, "invalid": invalid, "source_columns": columns}
        for key, (fingerprint, invalid, columns) in states.items()
    ]
    if rows:
        connection.execute(update(properties).where(mine), rows)


def set_loaded_from(connection: Connection, locations: Mapping[str, tuple[str, str]], run: RunId) -> None:
    """Store by key where its snapshots are, for people, and its source; and since which run, if the place changed."""
    columns = select(properties.c.key, properties.c.loaded_from, properties.c.source, properties.c.loaded_from_run)
    known = {row.key: row for row in connection.execute(columns)}
    for key, (place, source) in locations.items():
        row = known[key]
        if (row.loaded_from, row.source) != (place, source):
            since = row.loaded_from_run if row.loaded_from == place else run
            _set(connection, key, loaded_from=place, source=source, loaded_from_run=since)


def set_min_stays(connection: Connection, stays: Mapping[str, str | None]) -> None:
    """Store by key how long a missing member stays, for people."""
    for key, stay in stays.items():
        _set(connection, key, min_stay=stay)


def set_guards(connection: Connection, guards: Mapping[str, str]) -> None:
    """Store by key the limits of an audience's guard, for people."""
    mine = properties.c.key == bindparam("of")
    if rows := [{"of": key, "guard": guard} for key, guard in guards.items()]:
        connection.execute(update(properties).where(mine), rows)


def set_claims(connection: Connection, versions: Mapping[str, str]) -> None:
    """Store by key which earlier audiences of its group claimed users of its snapshot, and when they last changed."""
    for key, version in versions.items():
        _set(connection, key, claims=version)


def set_holdouts(connection: Connection, holdouts: Mapping[str, tuple[float | None, str]]) -> None:
    """Store by key the share (0 to 1) that is held out, and the salt that decides who."""
    for key, (share, salt) in holdouts.items():
        _set(connection, key, holdout=share, holdout_salt=salt)


def mark_holdout_changed(connection: Connection, keys: Iterable[str], run: RunId) -> None:
    """Record that this run changed who is held out of these audiences."""
    for key in keys:
        mine = select(properties.c.chain_id).where(properties.c.key == key).scalar_subquery()
        connection.execute(update(snapshot_chains).where(snapshot_chains.c.id == mine).values(changed_run_id=run))


def clear_fingerprints(connection: Connection) -> None:
    """Let the next run read every source again, unchanged ones too, and compare everything here."""
    discard_inputs(connection)
    forget_states(connection)
    connection.execute(update(properties).values(fingerprint=None))


def move_property(connection: Connection, old: str, new: str, empty_chain: int, run: RunId) -> None:
    """Move an audience with its members to a new key; the old key keeps an empty chain."""
    row = connection.execute(select(properties).where(properties.c.key == old)).one()._asdict()
    copied = {name: value for name, value in row.items() if name != "id"}
    created = insert(properties).values({**copied, "key": new, "created_run_id": run})
    key = connection.execute(created).inserted_primary_key
    assert key is not None
    for table in (members, absences, held_out_users):
        connection.execute(update(table).where(table.c.property_id == row["id"]).values(property_id=key[0]))
    connection.execute(update(properties).filter_by(id=row["id"]).values(chain_id=empty_chain, fingerprint=None))


def retire_properties(connection: Connection, keys: Iterable[str], now: datetime) -> None:
    """Close these keys for good. Properties of the same `names_from` entry are read again in the next run, because
    their source may still have the retired names."""
    for key in keys:
        _set(connection, key, retired_at=now)
        shared = select(properties.c.origin).where(properties.c.key == key).scalar_subquery()
        connection.execute(update(properties).where(properties.c.origin == shared).values(fingerprint=None))


def create_property(connection: Connection, values: Mapping[str, object]) -> None:
    connection.execute(insert(properties).values(**values))


def rename_property(connection: Connection, key: str, name: str, definition: str | None) -> None:
    """Change the name and the definition (where it is loaded from) of a property. The key never changes."""
    _set(connection, key, name=name, definition=definition)


def _set(connection: Connection, key: str, **values: object) -> None:
    connection.execute(update(properties).where(properties.c.key == key).values(values))

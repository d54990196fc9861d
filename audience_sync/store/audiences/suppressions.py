"""Keep the users who are never sent anything: the suppression list, and tombstones of erased users."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, insert, select

from audience_sync.model import DestinationId, PropertyId, UserId
from audience_sync.store.audiences.properties import clear_fingerprints
from audience_sync.store.runs.inputs import discard_inputs
from audience_sync.store.tables import (
    erasures,
    installation,
    open_refusals,
    past_suppressions,
    refused_values,
    suppressions,
    withheld_values,
)
from audience_sync.store.tables.types import UtcDateTime

COMMAND, CONFIG = "command", "config"
#: Ids in one statement.
_CHUNK = 500
#: How far the clocks of two hosts may differ.
_MAX_CLOCK_DIFFERENCE = timedelta(days=1)


def user_hash(installation_uuid: str, user_id: str) -> str:
    """The tombstone of an erased user; equals ``sha256(uuid || ':' || user_id)`` in DuckDB."""
    return hashlib.sha256(f"{installation_uuid}:{user_id}".encode()).hexdigest()


def suppress(connection: Connection, users: Collection[str], origin: str, at: datetime | None = None) -> int:
    """Add users to the list; returns how many were new to it. The values of their refused calls are withheld.

    ``at``: when they were suppressed; None = now.
    """
    discard_inputs(connection)
    since, added = at or datetime.now(UTC), 0
    for chunk in _chunks(users):
        known = select(suppressions.c.user_id).where(_listed(chunk, origin))
        missing = sorted(set(chunk) - set(connection.execute(known).scalars()))
        if missing:
            rows = [{"user_id": user, "origin": origin, "since": since} for user in missing]
            connection.execute(insert(suppressions), rows)
            _withhold_refused_values(connection, missing)
        added += len(missing)
    return added


def unsuppress(connection: Connection, users: Collection[str], origin: str, at: datetime | None = None) -> int:
    """Remove users from the list; returns how many were on it. The history keeps that they were.

    ``at``: when they were removed; None = now.
    """
    discard_inputs(connection)
    lifted, until = 0, bindparam("until", at or datetime.now(UTC), UtcDateTime)
    for chunk in _chunks(users):
        mine = _listed(chunk, origin)
        past = select(suppressions.c.user_id, suppressions.c.origin, suppressions.c.since, until).where(mine)
        connection.execute(insert(past_suppressions).from_select(["user_id", "origin", "since", "until"], past))
        lifted += connection.execute(delete(suppressions).where(mine)).rowcount
    return lifted


def _listed(users: Sequence[str], origin: str) -> ColumnElement[bool]:
    return suppressions.c.user_id.in_(users) & (suppressions.c.origin == origin)


def _chunks(users: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(set(users))
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]


def _withhold_refused_values(connection: Connection, users: Sequence[str]) -> None:
    """Turn the refused values of suppressed users into withheld ones: they are pending again after an unsuppress."""
    query = select(refused_values).where(refused_values.c.user_id.in_(users))
    rows = [dict(row._mapping) for row in connection.execute(query)]
    if rows:
        withhold(connection, rows)
    connection.execute(delete(refused_values).where(refused_values.c.user_id.in_(users)))
    connection.execute(delete(open_refusals).where(open_refusals.c.user_id.in_(users)))


def withhold(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Store withheld values, rows of that table. Of two values of one property the newer one (``run_id``) stays."""
    keys = ("destination_id", "user_id", "property_id")
    for row in rows:
        same = and_(*(withheld_values.c[name] == row[name] for name in keys))
        newer = select(withheld_values.c.run_id).where(same, withheld_values.c.run_id > row["run_id"])
        if connection.execute(newer).first() is None:
            connection.execute(delete(withheld_values).where(same))
            connection.execute(insert(withheld_values).values(row))


def withhold_refused_of_ended(
    connection: Connection, destination: DestinationId, properties: Sequence[PropertyId]
) -> None:
    """Turn the refused values of properties that a destination no longer gets into withheld ones.

    They are pending again if it gets the property again. A call of which nothing else is refused is no longer counted.
    """
    refused, kept = refused_values.c, withheld_values.c
    mine = (refused.destination_id == destination) & refused.property_id.in_(properties)
    same = and_(
        kept.destination_id == refused.destination_id,
        kept.user_id == refused.user_id,
        kept.property_id == refused.property_id,
    )
    older = exists(select(1).where(same, refused.run_id >= kept.run_id, mine).select_from(refused_values))
    connection.execute(delete(withheld_values).where(older))
    newer = exists(select(1).where(same).select_from(withheld_values))
    columns = [column.name for column in withheld_values.columns]
    query = select(*(refused[name] for name in columns)).where(mine, ~newer)
    connection.execute(insert(withheld_values).from_select(columns, query))
    connection.execute(delete(refused_values).where(mine))
    calls = open_refusals.c
    left = exists(
        select(1)
        .where(refused.destination_id == calls.destination_id, refused.user_id == calls.user_id)
        .select_from(refused_values)
    )
    connection.execute(delete(open_refusals).where(calls.destination_id == destination, ~left))


def suppressed_since(connection: Connection, since: datetime) -> set[UserId]:
    """Users suppressed by command since a moment, or up to a day before: hosts' clocks differ."""
    query = select(suppressions.c.user_id).where(
        suppressions.c.origin == COMMAND, suppressions.c.since >= since - _MAX_CLOCK_DIFFERENCE
    )
    return set(connection.execute(query).scalars())


def is_suppressed(connection: Connection, user: str) -> bool:
    """Whether a user is on the list or has a tombstone."""
    listed = select(suppressions.c.user_id).where(suppressions.c.user_id == user)
    return connection.execute(listed).first() is not None or bool(erased_among(connection, [user]))


def _hashes(connection: Connection, users: Collection[str]) -> dict[str, str]:
    """The users by their tombstones."""
    uuid = connection.execute(select(installation.c.uuid)).scalar_one()
    return {user_hash(uuid, user): user for user in users}


def erased_among(connection: Connection, users: Collection[str]) -> set[str]:
    """Which of these users were erased."""
    hashes, found = _hashes(connection, users), set[str]()
    for chunk in _chunks(hashes):
        query = select(erasures.c.user_hash).where(erasures.c.user_hash.in_(chunk))
        found |= {hashes[each] for each in connection.execute(query).scalars()}
    return found


def erased_at(connection: Connection, user: str) -> datetime | None:
    """When a user was erased; None if they were not."""
    query = select(erasures.c.erased_at).where(erasures.c.user_hash.in_(_hashes(connection, [user])))
    return connection.execute(query).scalar()


def add_tombstones(connection: Connection, users: Collection[str]) -> int:
    """Add a tombstone for each user who has none; returns how many are new."""
    new, now = set(users) - erased_among(connection, users), datetime.now(UTC)
    if new:
        rows = [{"user_hash": each, "erased_at": now} for each in _hashes(connection, sorted(new))]
        connection.execute(insert(erasures), rows)
        clear_fingerprints(connection)
    return len(new)


def remove_tombstones(connection: Connection, users: Collection[str]) -> int:
    """Remove the tombstones of these users; returns how many had one.

    They return with the next snapshot: every source is read again, unchanged ones too.
    """
    removed = sum(
        connection.execute(delete(erasures).where(erasures.c.user_hash.in_(chunk))).rowcount
        for chunk in _chunks(_hashes(connection, users))
    )
    if removed:
        clear_fingerprints(connection)
    return removed

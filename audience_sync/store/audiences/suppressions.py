"""Who is never sent anything? The list that the operator keeps, and the tombstones of erased users."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select

from audience_sync.store.audiences.properties import clear_fingerprints
from audience_sync.store.tables import (
    erasures,
    installation,
    past_suppressions,
    refusals,
    refused_values,
    suppressions,
    withheld_values,
)
from audience_sync.store.tables.types import UtcDateTime

COMMAND, CONFIG = "command", "config"
#: Ids in one statement.
_CHUNK = 500
#: How far two hosts' clocks may be apart.
_MAX_CLOCK_DIFFERENCE = timedelta(days=1)


def user_hash(installation_uuid: str, user_id: str) -> str:
    """What is kept of an erased user; the same as DuckDB's ``sha256(uuid || ':' || user_id)``."""
    return hashlib.sha256(f"{installation_uuid}:{user_id}".encode()).hexdigest()


def suppress(connection: Connection, users: Collection[str], origin: str, at: datetime | None = None) -> int:
    """Put users onto the list; returns how many were not on it. What they were refused is set aside.

    ``at``: when they came onto it; now, if it is not given.
    """
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
    """Take users off the list; returns how many were on it. That they were is kept.

    ``at``: when they were taken off it; now, if it is not given.
    """
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
    """What a suppressed user's refused calls carried is owed no more, until the user may be sent again."""
    query = select(refused_values).where(refused_values.c.user_id.in_(users))
    rows = [dict(row._mapping) for row in connection.execute(query)]
    if rows:
        withhold(connection, rows)
    connection.execute(delete(refused_values).where(refused_values.c.user_id.in_(users)))
    connection.execute(delete(refusals).where(refusals.c.user_id.in_(users)))


def withhold(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Keep values (``destination_id``, ``user_id``, ``property_id``, ``value``, ``run_id``); the newer one stays."""
    for row in rows:
        same = (
            (withheld_values.c.destination_id == row["destination_id"])
            & (withheld_values.c.user_id == row["user_id"])
            & (withheld_values.c.property_id == row["property_id"])
        )
        known = connection.execute(select(withheld_values.c.run_id).where(same)).scalar()
        if known is not None and known > row["run_id"]:
            continue
        if known is not None:
            connection.execute(delete(withheld_values).where(same))
        connection.execute(insert(withheld_values).values(row))


def suppressed_since(connection: Connection, since: datetime) -> set[str]:
    """Users who were suppressed by hand since a moment, whichever host's clock it was."""
    query = select(suppressions.c.user_id).where(
        suppressions.c.origin == COMMAND, suppressions.c.since >= since - _MAX_CLOCK_DIFFERENCE
    )
    return set(connection.execute(query).scalars())


def is_suppressed(connection: Connection, user: str) -> bool:
    """Whether a user is on the list or was erased."""
    listed = select(suppressions.c.user_id).where(suppressions.c.user_id == user)
    return connection.execute(listed).first() is not None or bool(erased_among(connection, [user]))


def erased_among(connection: Connection, users: Collection[str]) -> set[str]:
    """Which of these users were erased."""
    uuid = connection.execute(select(installation.c.uuid)).scalar_one()
    hashes = {user_hash(uuid, user): user for user in users}
    found = set[str]()
    for chunk in _chunks(hashes):
        query = select(erasures.c.user_hash).where(erasures.c.user_hash.in_(chunk))
        found |= {hashes[each] for each in connection.execute(query).scalars()}
    return found


def erased_at(connection: Connection, user: str) -> datetime | None:
    """When a user was erased; None for one who was not."""
    uuid = connection.execute(select(installation.c.uuid)).scalar_one()
    query = select(erasures.c.erased_at).where(erasures.c.user_hash == user_hash(uuid, user))
    return connection.execute(query).scalar()


def add_tombstones(connection: Connection, users: Collection[str]) -> None:
    """Leave a tombstone for each user who has none."""
    uuid = connection.execute(select(installation.c.uuid)).scalar_one()
    new = set(users) - erased_among(connection, users)
    if new:
        now = datetime.now(UTC)
        rows = [{"user_hash": user_hash(uuid, user), "erased_at": now} for user in sorted(new)]
        connection.execute(insert(erasures), rows)
        clear_fingerprints(connection)


def remove_tombstones(connection: Connection, users: Collection[str]) -> int:
    """Take away the tombstones of these users, who come back with the next snapshot, also of a source that is as it
    was; returns how many had one."""
    uuid = connection.execute(select(installation.c.uuid)).scalar_one()
    hashes = [user_hash(uuid, user) for user in users]
    exhumed = sum(
        connection.execute(delete(erasures).where(erasures.c.user_hash.in_(chunk))).rowcount
        for chunk in _chunks(hashes)
    )
    if exhumed:
        clear_fingerprints(connection)
    return exhumed

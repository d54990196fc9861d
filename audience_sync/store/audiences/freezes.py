"""Keep freezes: audiences that every run skips until a person or a date unfreezes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, func, insert, select, update

from audience_sync.store.runs.clock import counted_at
from audience_sync.store.runs.inputs import discard_inputs
from audience_sync.store.tables import audience_freezes, properties, runs
from audience_sync.store.tables.types import UtcDateTime


class Freeze(Struct, frozen=True):
    """A freeze of one audience. ``until``: when it ends by itself; None = only a person ends it."""

    key: str
    frozen_at: datetime
    until: datetime | None = None
    reason: str | None = None


def read_frozen(connection: Connection, now: datetime) -> dict[str, Freeze]:
    """The freezes in force at this moment, by audience key."""
    mine = audience_freezes.c
    query = (
        select(properties.c.key, mine.frozen_at, mine.frozen_until, mine.reason)
        .join_from(audience_freezes, properties)
        .where(mine.unfrozen_at.is_(None), mine.frozen_until.is_(None) | (mine.frozen_until > now))
        .order_by(mine.id)
    )
    return {row.key: Freeze(*row) for row in connection.execute(query)}


def read_ended(connection: Connection, now: datetime) -> list[Freeze]:
    """The freezes that ended by themselves since the last committed run with an accepted clock."""
    mine = audience_freezes.c
    accepted = runs.c.committed_at.is_not(None), runs.c.clock_doubted.is_not(True)
    last = select(func.max(counted_at(runs), type_=UtcDateTime)).where(*accepted).scalar_subquery()
    query = (
        select(properties.c.key, mine.frozen_at, mine.frozen_until, mine.reason)
        .join_from(audience_freezes, properties)
        .where(mine.unfrozen_at.is_(None), mine.frozen_until <= now, mine.frozen_until > last)
        .order_by(mine.id)
    )
    return [Freeze(*row) for row in connection.execute(query)]


def freeze(connection: Connection, ids: Mapping[str, int], new: Freeze, by: str) -> None:
    """Freeze an audience, replacing its current freeze if there is one. ``ids``: property ids by key."""
    unfreeze(connection, ids[new.key], new.frozen_at, by)
    row = {"frozen_at": new.frozen_at, "frozen_until": new.until, "frozen_by": by, "reason": new.reason}
    connection.execute(insert(audience_freezes).values(property_id=ids[new.key], **row))


def unfreeze(connection: Connection, property_id: int, now: datetime, by: str) -> bool:
    """End the freeze of an audience. Returns whether there was one."""
    discard_inputs(connection)
    mine = (audience_freezes.c.property_id == property_id) & audience_freezes.c.unfrozen_at.is_(None)
    still = mine & (audience_freezes.c.frozen_until.is_(None) | (audience_freezes.c.frozen_until > now))
    ended = update(audience_freezes).where(still).values(unfrozen_at=now, unfrozen_by=by)
    return bool(connection.execute(ended).rowcount)

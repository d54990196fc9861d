"""Read the held-out users: they never get ``true``, so that the effect of a campaign can be measured."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, func, select

from audience_sync.sql import TableName
from audience_sync.store.tables import held_out_users, properties, runs
from audience_sync.workspace import Workspace


class Holdout(Struct, frozen=True):
    """One held-out user of an audience: held out since ``run``. ``share`` (0 to 1) is the audience's holdout."""

    run: int
    since: datetime
    share: float | None


def count_held_out(connection: Connection) -> dict[str, int]:
    """The number of held-out users by audience key, for audiences that have any."""
    query = select(properties.c.key, func.count().label("users")).join_from(held_out_users, properties)
    return {row.key: row.users for row in connection.execute(query.group_by(properties.c.key))}


def read_held_out(connection: Connection, workspace: Workspace, key: str) -> TableName:
    """Load an audience's held-out users into the workspace. Returns a table with ``user_id``."""
    query = select(held_out_users.c.user_id).join_from(held_out_users, properties).where(properties.c.key == key)
    rows = connection.execution_options(yield_per=10_000).execute(query).partitions()
    return workspace.load({"user_id": "varchar"}, rows)


def holdouts_of(connection: Connection, user: str) -> dict[str, Holdout]:
    """The user's current holdouts, by audience key."""
    query = (
        select(properties.c.key, held_out_users.c.run_id, runs.c.started_at, properties.c.holdout)
        .join_from(held_out_users, properties)
        .join(runs, runs.c.id == held_out_users.c.run_id)
        .where(held_out_users.c.user_id == user)
        .order_by(properties.c.id)
    )
    return {row.key: Holdout(*row[1:]) for row in connection.execute(query)}

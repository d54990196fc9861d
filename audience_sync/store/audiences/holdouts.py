"""Who would be a member, but is held out, so that the effect of a campaign can be measured?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from audience_sync.store.tables import held_out, properties, runs
from audience_sync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Holdout:
    """Of one user of an audience: since which run, and how large a share (0 to 1) of its users is held out."""

    run: int
    since: datetime
    share: float | None


def count_held_out(connection: Connection) -> dict[str, int]:
    """By key, where there are any."""
    query = select(properties.c.key, func.count().label("users")).join_from(held_out, properties)
    return {row.key: row.users for row in connection.execute(query.group_by(properties.c.key))}


def read_held_out(connection: Connection, workspace: Workspace, key: str) -> str:
    """A table in the workspace, with ``user_id``."""
    query = select(held_out.c.user_id).join_from(held_out, properties).where(properties.c.key == key)
    rows = connection.execution_options(yield_per=10_000).execute(query).partitions()
    return workspace.load({"user_id": "varchar"}, rows)


def holdouts_of(connection: Connection, user: str) -> dict[str, Holdout]:
    """By key, where the user is held out now."""
    query = (
        select(properties.c.key, held_out.c.run_id, runs.c.started_at, properties.c.holdout)
        .join_from(held_out, properties)
        .join(runs, runs.c.id == held_out.c.run_id)
        .where(held_out.c.user_id == user)
        .order_by(properties.c.id)
    )
    return {row.key: Holdout(*row[1:]) for row in connection.execute(query)}

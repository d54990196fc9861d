"""Read the members who are missing from their source and stay for now (`min_stay`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, func, select

from audience_sync.model import AudienceStatus, RunId
from audience_sync.sql import TableName
from audience_sync.store.runs.clock import counted_at
from audience_sync.store.tables import absences, properties, run_audiences, runs
from audience_sync.workspace import Workspace

#: A run that ended with one of these statuses has loaded the audience, and so seen who is missing.
LOADED_STATUSES = tuple(
    each.value for each in (AudienceStatus.CREATED, AudienceStatus.SYNCED, AudienceStatus.UNCHANGED)
)


class Absence(Struct, frozen=True):
    """One missing member of an audience: missing since ``run``; stays for ``min_stay``, a duration as in the config."""

    run: int
    since: datetime
    min_stay: str | None


def count_absent(connection: Connection) -> dict[str, int]:
    """The number of missing members by audience key, for audiences that have any."""
    query = select(properties.c.key, func.count().label("users")).join_from(absences, properties)
    return {row.key: row.users for row in connection.execute(query.group_by(properties.c.key))}


def read_absent(connection: Connection, workspace: Workspace, key: str) -> TableName:
    """Load an audience's missing members into a table: ``user_id`` and ``run_id`` of the first run that missed them."""
    query = select(absences.c.user_id, absences.c.run_id).join_from(absences, properties).where(properties.c.key == key)
    rows = connection.execution_options(yield_per=10_000).execute(query).partitions()
    return workspace.load({"user_id": "varchar", "run_id": "integer"}, rows)


def run_before_first_absence(connection: Connection, otherwise: RunId) -> RunId:
    """The run before the first one that missed a member who is still missing; ``otherwise`` if all are back."""
    first: int | None = connection.execute(select(func.min(absences.c.run_id))).scalar()
    return otherwise if first is None else RunId(first - 1)


def times_of_absences(connection: Connection, key: str) -> dict[int, datetime]:
    """The time from which `min_stay` is measured, by the run that first missed a member who is still missing.

    A run with a doubted clock gets the time of the next run with an accepted clock; until there is one, it has none.
    """
    mine = select(absences.c.run_id).join_from(absences, properties).where(properties.c.key == key).distinct()
    later = runs.alias("later")
    accepted = (later.c.id >= runs.c.id) & later.c.clock_doubted.is_not(True)
    first = select(counted_at(later)).where(accepted).order_by(later.c.id).limit(1).scalar_subquery()
    query = select(runs.c.id, first.label("counted_at")).where(runs.c.id.in_(mine))
    return {row.id: row.counted_at for row in connection.execute(query) if row.counted_at is not None}


def last_loaded_runs(connection: Connection, key: str, most: int) -> Sequence[int]:
    """The last ``most`` runs that loaded the audience, the newest first."""
    mine = (run_audiences.c.audience_key == key) & run_audiences.c.status.in_(LOADED_STATUSES)
    query = select(run_audiences.c.run_id).where(mine).order_by(run_audiences.c.run_id.desc()).limit(most)
    return connection.execute(query).scalars().all()


def absences_of(connection: Connection, user: str) -> dict[str, Absence]:
    """The user's absences, by audience key."""
    query = (
        select(properties.c.key, absences.c.run_id, runs.c.started_at, properties.c.min_stay)
        .join_from(absences, properties)
        .join(runs, runs.c.id == absences.c.run_id)
        .where(absences.c.user_id == user)
    )
    return {row.key: Absence(*row[1:]) for row in connection.execute(query)}

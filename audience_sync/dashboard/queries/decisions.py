"""Read what people decided: their commands, and freezes of audiences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from audience_sync.history.view_rows import read_as


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A command of a person, as in the view `decisions`."""

    run: int | None
    decided_at: datetime
    command: str
    subject: str | None
    decided_by: str | None
    host: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A freeze, as in the view `freezes`."""

    frozen_at: datetime
    frozen_until: datetime | None
    frozen_by: str | None
    reason: str | None
    unfrozen_at: datetime | None


def read_run_decisions(connection: Connection, run: int) -> list[Decision]:
    """Read the commands that a run carried out, or that named it."""
    query = "select * from {views}decisions where run = :run order by decided_at, decision"
    return read_as(connection, Decision, query, run=run)


def read_audience_decisions(connection: Connection, key: str) -> list[Decision]:
    """Read what people decided about an audience or started in its runs, the oldest first."""
    query = """
        select * from {views}decisions d
        where d.subject = :key or exists (
            select 1 from {views}audience_syncs a where a.audience_key = :key and a.run = d.run
        )
        order by d.decided_at
    """
    return read_as(connection, Decision, query, key=key)


def read_freezes(connection: Connection, key: str) -> list[Freeze]:
    """Read the freezes of an audience, the oldest first."""
    query = "select * from {views}freezes where audience_key = :key order by frozen_at"
    return read_as(connection, Freeze, query, key=key)

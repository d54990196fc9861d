"""Read runs: the newest ones, those of a filter, one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from audience_sync.history.view_rows import read, read_as
from audience_sync.model import MAX_RUN
from audience_sync.project.history import PastRun

#: The statuses of a run, the worst first.
STATUSES = ("failed", "held", "partial", "interrupted", "running", "succeeded")
COLUMNS = """run, command, status, started_at, finished_at, seconds, audiences, entered, "left", held, failed,
    trait_users_changed, delivered, refused, pending, error"""
#: The conditions of a filter on a row `r` of `sync_runs`.
_CONDITIONS = {
    "status": "r.status = :status",
    "audience": "exists (select 1 from {views}audience_syncs a where a.run = r.run and a.audience_key = :audience)",
    "since": "r.started_at >= :since",
    "until": "r.started_at < :until",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs: with this status, with results of this audience, started in this time. Empty and None: all."""

    status: str = ""
    audience: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of its conditions."""
        given = {"status": self.status, "audience": self.audience, "since": self.since, "until": self.until}
        return {name: each for name, each in given.items() if each}

    def where(self, *more: str) -> str:
        """The clause with its conditions and more of them; empty without any."""
        conditions = [*(_CONDITIONS[name] for name in self.values), *more]
        return f"where {' and '.join(conditions)}\n" if conditions else ""


def runs_query(chosen: RunFilter) -> str:
    """The query of all runs of a filter, the newest first. Its parameters are the filter's values."""
    return f"select {COLUMNS}\nfrom {{views}}sync_runs r\n{chosen.where()}order by run desc"


def read_runs(connection: Connection, chosen: RunFilter, *, before: int = MAX_RUN, most: int) -> list[PastRun]:
    """Read the newest runs of a filter, older than the run ``before``."""
    query = f"select * from {{views}}sync_runs r {chosen.where('r.run < :before')} order by r.run desc limit {most}"
    return read_as(connection, PastRun, query, **chosen.values, before=before)


def count_runs(connection: Connection, chosen: RunFilter, *, first: int = 0) -> int:
    """Count the runs of a filter, from the run ``first`` on."""
    query = f"select count(*) as runs from {{views}}sync_runs r {chosen.where('r.run >= :first')}"
    return int(read(connection, query, **chosen.values, first=first)[0]["runs"])


def newer_page(connection: Connection, chosen: RunFilter, first: int, most: int) -> int | None:
    """The run ``before`` which the page of newer runs begins; None if the newest ones fill less than a page."""
    newer = chosen.where("r.run > :first")
    query = f"select r.run from {{views}}sync_runs r {newer} order by r.run limit {most + 1}"
    runs = [row["run"] for row in read(connection, query, **chosen.values, first=first)]
    return runs[most] if len(runs) > most else None


def read_run(connection: Connection, run: int) -> PastRun | None:
    found = read_as(connection, PastRun, "select * from {views}sync_runs where run = :run", run=run)
    return found[0] if found else None


def neighbours(connection: Connection, run: int) -> tuple[int | None, int | None]:
    """The runs before and after this one."""
    query = (
        "select (select max(run) from {views}sync_runs where run < :run) as earlier, "
        "(select min(run) from {views}sync_runs where run > :run) as later"
    )
    row = read(connection, query, run=run)[0]
    return row["earlier"], row["later"]


def newest_run(connection: Connection) -> tuple[int, str] | None:
    """The number and the status of the newest run."""
    rows = read(connection, "select run, status from {views}sync_runs order by run desc limit 1")
    return (rows[0]["run"], rows[0]["status"]) if rows else None


def run_status(connection: Connection, run: int) -> str | None:
    rows = read(connection, "select status from {views}sync_runs where run = :run", run=run)
    return rows[0]["status"] if rows else None


def first_run_at(connection: Connection) -> datetime | None:
    """When the oldest stored run started."""
    rows = read(connection, "select started_at from {views}sync_runs order by run limit 1")
    return rows[0]["started_at"] if rows else None


def held_audiences(connection: Connection, runs: list[int]) -> Mapping[int, Sequence[str]]:
    """The keys of the audiences that were held, by run."""
    if not runs:
        return {}
    query = """
        select run, audience_key from {views}audience_syncs
        where run in :runs and status = 'held' order by run, audience_key
    """
    found: dict[int, list[str]] = {}
    for row in read(connection, query, runs=runs):
        found.setdefault(row["run"], []).append(row["audience_key"])
    return found

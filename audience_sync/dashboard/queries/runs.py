"""Read runs: the newest ones, those of a filter, one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from audience_sync.dashboard.queries.rows import Row, read, utc

#: The statuses of a run, the worst first.
STATUSES = ("failed", "held", "partial", "interrupted", "running", "succeeded")
COLUMNS = (
    'run, command, status, started_at, finished_at, seconds, audiences, entered, "left", held, failed, '
    "trait_users_changed, delivered, refused, pending, error"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row of the view `sync_runs`; counts are None where they were pruned."""

    run: int
    command: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    seconds: float | None
    audiences: int | None
    entered: int | None
    left: int | None
    held: int | None
    failed: int | None
    trait_users_changed: int | None
    delivered: int | None
    refused: int | None
    pending: int | None
    error: str | None
    started_by: str | None = None
    host: str | None = None

    @property
    def is_over(self) -> bool:
        return self.status != "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs: with this status, with results of this audience, started in this time. Empty and None: all."""

    status: str = ""
    audience: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def sql(self) -> tuple[str, dict[str, Any]]:
        """The condition on a row `r` of `sync_runs`, and its values."""
        parts, values = list[str](), dict[str, Any]()
        if self.status:
            parts.append("r.status = :status")
            values["status"] = self.status
        if self.audience:
            parts.append(
                "exists (select 1 from {views}audience_syncs a where a.run = r.run and a.audience_key = :audience)"
            )
            values["audience"] = self.audience
        if self.since is not None:
            parts.append("r.started_at >= :since")
            values["since"] = self.since
        if self.until is not None:
            parts.append("r.started_at < :until")
            values["until"] = self.until
        return " and ".join(parts) or "true", values


def runs_query(chosen: RunFilter) -> tuple[str, dict[str, Any]]:
    """The query of all runs of a filter, the newest first, and its values."""
    condition, values = chosen.sql()
    columns = ", ".join(f"r.{each.strip()}" for each in COLUMNS.split(","))
    return f"select {columns}\nfrom {{views}}sync_runs r\nwhere {condition}\norder by r.run desc", values


def read_runs(connection: Connection, chosen: RunFilter, *, before: int | None = None, most: int) -> list[Run]:
    """Read the newest runs of a filter, older than the run ``before``."""
    condition, values = chosen.sql()
    older = "" if before is None else "and r.run < :before"
    query = f"select * from {{views}}sync_runs r where {condition} {older} order by r.run desc limit {most}"
    return [as_run(row) for row in read(connection, query, **values, **({} if before is None else {"before": before}))]


def count_runs(connection: Connection, chosen: RunFilter, *, newer_than: int | None = None) -> int:
    """Count the runs of a filter; with ``newer_than`` those with a higher number."""
    condition, values = chosen.sql()
    newer = "" if newer_than is None else "and r.run >= :newer"
    more = {} if newer_than is None else {"newer": newer_than}
    query = f"select count(*) as runs from {{views}}sync_runs r where {condition} {newer}"
    return int(read(connection, query, **values, **more)[0]["runs"])


def newer_page(connection: Connection, chosen: RunFilter, first: int, most: int) -> int | None:
    """The run ``before`` which the page of newer runs begins; None if the newest ones fill less than a page."""
    condition, values = chosen.sql()
    query = (
        f"select r.run from {{views}}sync_runs r where {condition} and r.run > :first order by r.run limit {most + 1}"
    )
    runs = [row["run"] for row in read(connection, query, **values, first=first)]
    return runs[most] if len(runs) > most else None


def read_run(connection: Connection, run: int) -> Run | None:
    found = read(connection, "select * from {views}sync_runs where run = :run", run=run)
    return as_run(found[0]) if found else None


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
    return utc(rows[0]["started_at"]) if rows else None


def troubled_audiences(connection: Connection, runs: Sequence[int]) -> Mapping[int, Mapping[str, Sequence[str]]]:
    """The audiences that were held or failed, by run and status."""
    if not runs:
        return {}
    query = """
        select run, status, audience_key from {views}audience_syncs
        where run between :first and :last and status in ('held', 'failed') order by run, audience_key
    """
    found: dict[int, dict[str, list[str]]] = {}
    for row in read(connection, query, first=min(runs), last=max(runs)):
        found.setdefault(row["run"], {}).setdefault(row["status"], []).append(row["audience_key"])
    return found


def as_run(row: Row) -> Run:
    values: dict[str, Any] = {name: row.get(name) for name in Run.__slots__}
    return Run(**{**values, "started_at": utc(row["started_at"]), "finished_at": utc(row["finished_at"])})

"""Read all audiences, and their members at times in the past."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from audience_sync.history.view_rows import read, read_as
from audience_sync.model import MAX_RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceRow:
    """A row of the view `audiences`. ``flags``: its words, such as `frozen`. ``members``: None before its creation."""

    key: str
    name: str
    source: str | None
    created_at: datetime | None
    created_run: int | None
    retired_at: datetime | None
    members: int | None
    held_out: int | None
    absent: int | None
    last_status: str | None
    changed_at: datetime | None
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The time of a run, for the numbers of members after it."""

    run: int
    at: datetime


def read_audiences(connection: Connection, key: str | None = None) -> list[AudienceRow]:
    """Read all audiences by name, or the one with ``key``."""
    which, values = ("", {}) if key is None else ("where key = :key", {"key": key})
    query = f"""
        select key, name, source, created_at, created_run, retired_at,
            case when created_at is not null then members end as members, held_out, absent, last_status, changed_at,
            flags
        from {{views}}audiences {which} order by name, key
    """
    return [
        AudienceRow(**{**row, "flags": tuple(filter(None, (row["flags"] or "").split(", ")))})
        for row in read(connection, query, **values)
    ]


def read_names(connection: Connection, keys: Iterable[str]) -> Mapping[str, str]:
    """Read the names of audiences, by key."""
    if not (wanted := list(keys)):
        return {}
    rows = read(connection, "select key, name from {views}audiences where key in :keys", keys=wanted)
    return {row["key"]: row["name"] for row in rows}


def read_run_times(connection: Connection, since: datetime) -> list[Snapshot]:
    """Read the runs since a time, and the last one before it, the oldest first."""
    recent = "select run, started_at as at from {views}sync_runs where started_at >= :since order by run"
    before = "select run, started_at as at from {views}sync_runs where run < :run order by run desc limit 1"
    found = read_as(connection, Snapshot, recent, since=since)
    first = found[0].run if found else MAX_RUN
    return [*read_as(connection, Snapshot, before, run=first), *found]


def snapshots_at(runs: Sequence[Snapshot], times: Sequence[datetime]) -> list[Snapshot | None]:
    """Return the last run up to each time; None if there was none. Both are in order."""
    found, index = list[Snapshot | None](), 0
    for time in times:
        while index < len(runs) and runs[index].at <= time:
            index += 1
        found.append(runs[index - 1] if index else None)
    return found


def read_changes_since(connection: Connection, run: int) -> Mapping[str, tuple[int, int]]:
    """Read how many users entered and left from a run on, by key, without those of first creations."""
    query = """
        select audience_key, sum(entered) as entered, sum("left") as "left" from {views}audience_syncs
        where run >= :run and status <> 'created' group by audience_key
    """
    rows = read(connection, query, run=run)
    return {row["audience_key"]: (int(row["entered"]), int(row["left"])) for row in rows}


def read_members_at(
    connection: Connection, keys: Sequence[str], runs: Sequence[int]
) -> Mapping[str, Mapping[int, int]]:
    """Read the members of audiences after runs, by key and run; without an entry before an audience's first run.

    Each number is one look-up in the index of audience and run, so it does not matter how many runs there are.
    """
    found: dict[str, dict[int, int]] = {key: {} for key in keys}
    wanted = sorted(set(runs))
    if not keys or not wanted:
        return found
    listed = " union all ".join(f"select {run} as run" for run in wanted)
    query = f"""
        select a.key, b.run, (
            select s.members_after from {{views}}audience_syncs s
            where s.audience_key = a.key and s.run <= b.run order by s.run desc limit 1
        ) as members
        from (select key from {{views}}audiences where key in :keys) a
        cross join ({listed}) b
    """
    for row in read(connection, query, keys=list(keys)):
        if row["members"] is not None:
            found[row["key"]][row["run"]] = row["members"]
    return found

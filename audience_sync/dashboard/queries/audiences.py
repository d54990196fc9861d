"""Read all audiences, and their members at times in the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from audience_sync.dashboard.queries.rows import read, utc

#: Points of a sparkline.
SPARKLINE_POINTS = 30


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
    last_run: int | None
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
    which = "" if key is None else "where key = :key"
    values = {} if key is None else {"key": key}
    query = f"""
        select key, name, source, created_at, created_run, retired_at, members, held_out, absent, last_run, last_status,
            changed_at, flags
        from {{views}}audiences {which} order by name, key
    """
    return [
        AudienceRow(
            **{**row, **{name: utc(row[name]) for name in ("created_at", "retired_at", "changed_at")}}
            | {"flags": tuple(filter(None, (row["flags"] or "").split(", ")))}
            | ({"members": None} if row["created_at"] is None else {})
        )
        for row in read(connection, query, **values)
    ]


def read_run_times(connection: Connection, since: datetime) -> list[Snapshot]:
    """Read the runs since a time, and the last one before it, the oldest first."""
    recent = "select run, started_at from {views}sync_runs where started_at >= :since order by run"
    before = "select run, started_at from {views}sync_runs where run < :run order by run desc limit 1"
    found = read(connection, recent, since=since)
    first = found[0]["run"] if found else 2**31 - 1
    return [Snapshot(row["run"], _at(row["started_at"])) for row in [*read(connection, before, run=first), *found]]


def snapshots_at(runs: Sequence[Snapshot], times: Sequence[datetime]) -> list[Snapshot | None]:
    """Return the last run up to each time; None if there was none. Both are in order."""
    found, index = list[Snapshot | None](), 0
    for time in times:
        while index < len(runs) and runs[index].at <= time:
            index += 1
        found.append(runs[index - 1] if index else None)
    return found


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
    names = {f"run_{number}": run for number, run in enumerate(wanted)}
    listed = " union all ".join(f"select cast(:{name} as integer) as run" for name in names)
    asked = {f"key_{number}": key for number, key in enumerate(keys)}
    query = f"""
        select a.key, b.run, (
            select s.members_after from {{views}}audience_syncs s
            where s.audience_key = a.key and s.run <= b.run order by s.run desc limit 1
        ) as members
        from (select key from {{views}}audiences where key in ({", ".join(f":{name}" for name in asked)})) a
        cross join ({listed}) b
    """
    for row in read(connection, query, **names, **asked):
        if row["members"] is not None:
            found[row["key"]][row["run"]] = row["members"]
    return found


def read_holds_since(connection: Connection, run: int) -> Mapping[str, Sequence[tuple[int, int]]]:
    """Read the holds of audiences that lasted until a run or longer, by key: their first and last run."""
    query = "select key, run, last_run from {views}holds where kind = 'audience' and last_run >= :run order by run"
    found: dict[str, list[tuple[int, int]]] = {}
    for row in read(connection, query, run=run):
        found.setdefault(row["key"], []).append((row["run"], row["last_run"]))
    return found


def _at(value: object) -> datetime:
    found = utc(value)
    assert found is not None
    return found

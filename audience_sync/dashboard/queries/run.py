"""Read one run: stages, audiences, deliveries, holds, refusals, invalid rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from audience_sync.dashboard.queries.rows import read, utc

#: The most reasons of a list, and users or rows of each.
MOST_REASONS, MOST_USERS = 50, 20
STAGES = """select run, stage, subject, started_at, seconds
from {views}run_stages
where run = :run
order by started_at, stage, subject"""
AUDIENCES = """select run, audience_key, status, members_before, members_after, entered, "left", invalid, held_out,
    absent, returned, error
from {views}audience_syncs
where run = :run
order by audience_key"""
DELIVERIES = """select run, destination, calls, delivered, refused, pending, retries, requests, seconds, error
from {views}deliveries
where run = :run
order by destination"""
REFUSALS = """select run, destination, user_id, reason, http_status, refused_at, outcome, accepted_run
from {views}refusals
where run = :run
order by destination, reason, user_id"""
INVALID = """select run, audience_key, file, "row", user_id, reason
from {views}invalid_rows
where run = :run
order by audience_key, file, "row\""""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """``seconds``: None while the stage is running, or if its process ended before it."""

    stage: str
    subject: str | None
    started_at: datetime
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceResult:
    key: str
    name: str
    status: str
    members_before: int
    members_after: int
    entered: int
    left: int
    invalid: int
    held_out: int
    absent: int
    returned: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    destination: str
    calls: int
    delivered: int
    refused: int
    pending: int
    retries: int
    requests: int
    seconds: float | None
    error: str | None

    @property
    def state(self) -> str:
        """The worst that applies: a destination that stopped early, pending or refused calls, or all accepted."""
        if self.pending:
            return "pending"
        if self.error:
            return "partial"
        return "refused" if self.refused else "accepted" if self.calls else "none"

    @property
    def rate(self) -> float | None:
        """Calls with an answer a second."""
        answered = self.delivered + self.refused
        return answered / self.seconds if answered and self.seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold of a run. ``entered``, ``left``: users who would. ``sample``: some of them, with whether they enter."""

    run: int
    last_run: int
    kind: str
    key: str
    status: str
    reason: str
    members_before: int
    entered: int
    left: int
    held_at: datetime
    decided_at: datetime | None
    ended_run: int | None
    sample: Sequence[tuple[str, bool]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A command of a person that this run carried out, or that named it."""

    decided_at: datetime
    command: str
    subject: str | None
    decided_by: str | None
    host: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedReason:
    """Calls that were refused for one reason. ``open``: how many of them are still refused. ``users``: some of them."""

    destination: str
    reason: str
    http_status: int | None
    calls: int
    open: int
    users: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidReason:
    """Rows that can't be used for one reason. ``rows``: the numbers of some of them."""

    audience_key: str | None
    file: str | None
    reason: str
    count: int
    rows: Sequence[int]


def read_stages(connection: Connection, run: int) -> list[Stage]:
    return [
        Stage(stage=row["stage"], subject=row["subject"], started_at=_time(row["started_at"]), seconds=row["seconds"])
        for row in read(connection, STAGES, run=run)
    ]


def read_audience_results(connection: Connection, run: int) -> list[AudienceResult]:
    """The results of all audiences, by name."""
    names = {row["key"]: row["name"] for row in read(connection, "select key, name from {views}audiences")}
    found = [
        AudienceResult(
            key=row["audience_key"],
            name=names.get(row["audience_key"]) or row["audience_key"],
            **{name: row[name] for name in AudienceResult.__slots__ if name not in ("key", "name")},
        )
        for row in read(connection, AUDIENCES, run=run)
    ]
    return sorted(found, key=lambda each: (each.name.casefold(), each.key))


def read_deliveries(connection: Connection, run: int) -> list[Delivery]:
    return [
        Delivery(**{name: row[name] for name in Delivery.__slots__}) for row in read(connection, DELIVERIES, run=run)
    ]


def read_holds(connection: Connection, run: int) -> list[Hold]:
    """The holds that were open in this run, or that it ended."""
    query = """
        select run, last_run, kind, key, status, reason, members_before, entered, "left", held_at, decided_at, ended_run
        from {views}holds where (run <= :run and last_run >= :run) or ended_run = :run order by kind, key, run
    """
    found = [
        Hold(**{**row, "held_at": _time(row["held_at"]), "decided_at": utc(row["decided_at"])})
        for row in read(connection, query, run=run)
    ]
    return [replace(each, sample=_sample(connection, each)) for each in found]


def _sample(connection: Connection, hold: Hold) -> Sequence[tuple[str, bool]]:
    """Some users of a hold, those who would leave first. No view has them; a role of the views alone gets none."""
    query = """
        select s.user_id, s.entered from hold_samples s join held_snapshots h on h.id = s.hold_id
        where h.run_id = :run and h.kind = :kind and h.key = :key order by s.entered, s.user_id
    """
    try:
        with connection.begin_nested():
            rows = read(connection, query, run=hold.run, kind=hold.kind, key=hold.key)
    except DBAPIError:
        return ()
    return [(row["user_id"], bool(row["entered"])) for row in rows]


def read_decisions(connection: Connection, run: int) -> list[Decision]:
    query = """
        select decided_at, command, subject, decided_by, host, reason from {views}decisions
        where run = :run order by decided_at, decision
    """
    return [Decision(**{**row, "decided_at": _time(row["decided_at"])}) for row in read(connection, query, run=run)]


def read_refused(connection: Connection, run: int) -> list[RefusedReason]:
    """The refusals of a run by destination and reason, the most frequent first, with some users of each."""
    groups = f"""
        select destination, reason, http_status, count(*) as calls,
            sum(case when outcome = 'refused' then 1 else 0 end) as still_refused
        from {{views}}refusals where run = :run group by destination, reason, http_status
        order by count(*) desc, destination, reason limit {MOST_REASONS}
    """
    users = f"""
        select user_id, outcome from {{views}}refusals
        where run = :run and destination = :destination and reason = :reason order by user_id limit {MOST_USERS}
    """
    return [
        RefusedReason(
            destination=row["destination"],
            reason=row["reason"],
            http_status=row["http_status"],
            calls=row["calls"],
            open=row["still_refused"],
            users=[
                (each["user_id"], each["outcome"])
                for each in read(connection, users, run=run, destination=row["destination"], reason=row["reason"])
            ],
        )
        for row in read(connection, groups, run=run)
    ]


def read_invalid(connection: Connection, run: int) -> list[InvalidReason]:
    """The invalid rows of a run by audience, file and reason, the most frequent first."""
    groups = f"""
        select audience_key, file, reason, count(*) as count from {{views}}invalid_rows where run = :run
        group by audience_key, file, reason order by count(*) desc, audience_key, file, reason limit {MOST_REASONS}
    """
    return [
        InvalidReason(
            audience_key=row["audience_key"],
            file=row["file"],
            reason=row["reason"],
            count=row["count"],
            rows=_row_numbers(connection, run, row),
        )
        for row in read(connection, groups, run=run)
    ]


def _row_numbers(connection: Connection, run: int, group: dict[str, Any]) -> list[int]:
    values = {name: group[name] for name in ("audience_key", "file", "reason")}
    same = " and ".join(f"{name} is null" if value is None else f"{name} = :{name}" for name, value in values.items())
    query = f'select "row" from {{views}}invalid_rows where run = :run and {same} order by "row" limit 5'
    given = {name: value for name, value in values.items() if value is not None}
    return [row["row"] for row in read(connection, query, run=run, **given)]


def _time(value: object) -> datetime:
    found = utc(value)
    if found is None:
        raise ValueError("a time is missing")
    return found

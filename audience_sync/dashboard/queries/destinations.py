"""Read destinations: their state, their calls by run, their answers by status and hour, their refused calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from audience_sync.dashboard.queries.rows import read, utc

#: The most reasons of refusals that are listed.
MOST_REASONS = 50
STATE = """select name, type, created_at, sent_through_run, audiences, computed_traits, pending, refused,
    last_request_at, last_http_status, last_accepted_at, last_error
from {views}destinations
order by name"""
CALLS = """select d.run, r.started_at, d.destination, d.calls, d.delivered, d.refused, d.pending, d.retries, d.requests,
    d.seconds, d.error
from {views}deliveries d join {views}sync_runs r on r.run = d.run
where r.started_at >= :since
order by d.run, d.destination"""
#: A time as text begins alike on both databases: `2026-11-29 05`. The run leads to the requests by an index. It is a
#: number, because SQLite would read all requests for a run from a subquery.
ANSWERS = """select destination, substr(cast(sent_at as text), 1, 13) as hour, status, http_status,
    count(*) as requests, sum(users) as users, avg(seconds) as seconds
from {views}requests
where sent_at >= :since and run >= :first_run
group by destination, substr(cast(sent_at as text), 1, 13), status, http_status
order by 1, 2, 3, 4"""
REFUSED = """select destination, reason, http_status, count(*) as calls, min(refused_at) as since_at,
    max(refused_at) as last_at, max(attempts) as attempts
from {views}refused_calls
group by destination, reason, http_status
order by destination, count(*) desc, reason"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One row of the view `destinations`."""

    name: str
    type: str
    created_at: datetime | None
    sent_through_run: int | None
    audiences: int | None
    computed_traits: int | None
    pending: int
    refused: int
    last_request_at: datetime | None
    last_http_status: int | None
    last_accepted_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCalls:
    """The calls of one run at a destination."""

    run: int
    at: datetime
    destination: str
    calls: int
    delivered: int
    refused: int
    pending: int
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Requests of one hour (UTC) with the same result. ``status``: as in the view `requests`."""

    destination: str
    hour: datetime
    status: str
    http_status: int | None
    requests: int
    users: int
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedNow:
    destination: str
    reason: str
    http_status: int | None
    calls: int
    since: datetime
    last: datetime
    attempts: int


def read_destinations(connection: Connection) -> list[Destination]:
    found = list[Destination]()
    for row in read(connection, STATE):
        times = {name: utc(row[name]) for name in ("created_at", "last_request_at", "last_accepted_at")}
        found.append(Destination(**{**row, **times}))
    return found


def read_calls(connection: Connection, since: datetime) -> list[RunCalls]:
    """The calls of each run since a time, the oldest first."""
    return [
        RunCalls(
            at=_time(row["started_at"]),
            **{name: row[name] for name in RunCalls.__slots__ if name != "at"},
        )
        for row in read(connection, CALLS, since=since)
    ]


def first_run(connection: Connection, since: datetime) -> int:
    """The first run that was in progress at a time or began after it; 0 without one."""
    query = "select min(run) as run from {views}sync_runs where finished_at >= :since or finished_at is null"
    return read(connection, query, since=since)[0]["run"] or 0


def read_answers(connection: Connection, since: datetime, first: int) -> list[Answers]:
    """The requests since a time by destination, hour and result. ``first``: see ``first_run``."""
    return [
        Answers(
            hour=datetime.fromisoformat(f"{row['hour']}:00").replace(tzinfo=UTC),
            **{name: row[name] for name in Answers.__slots__ if name != "hour"},
        )
        for row in read(connection, ANSWERS, since=since, first_run=first)
    ]


def read_refused_now(connection: Connection) -> Sequence[RefusedNow]:
    """The calls that are refused now, by destination and reason."""
    return [
        RefusedNow(
            destination=row["destination"],
            reason=row["reason"],
            http_status=row["http_status"],
            calls=row["calls"],
            since=_time(row["since_at"]),
            last=_time(row["last_at"]),
            attempts=row["attempts"],
        )
        for row in read(connection, f"select * from ({REFUSED}) as t limit 500")
    ]


def _time(value: object) -> datetime:
    found = utc(value)
    if found is None:
        raise ValueError("a time is missing")
    return found

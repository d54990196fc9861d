"""Read destinations: their state, their calls by run, their answers by status and hour, their refused calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from audience_sync.history.view_rows import read, read_as

#: The most rows of refusals, by destination and reason, that are read.
MOST_REFUSED = 500
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
    sent_through_run: int | None
    audiences: int | None
    computed_traits: int | None
    pending: int
    refused: int
    last_request_at: datetime | None
    last_http_status: int | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCalls:
    """The calls of one run at a destination."""

    run: int
    started_at: datetime
    destination: str
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
    since_at: datetime


def read_destinations(connection: Connection) -> list[Destination]:
    return read_as(connection, Destination, STATE)


def read_calls(connection: Connection, since: datetime) -> list[RunCalls]:
    """The calls of each run since a time, the oldest first."""
    return read_as(connection, RunCalls, CALLS, since=since)


def first_run(connection: Connection, since: datetime) -> int:
    """The first run that was in progress at a time or began after it; 0 without one."""
    query = "select min(run) as run from {views}sync_runs where finished_at >= :since or finished_at is null"
    return read(connection, query, since=since)[0]["run"] or 0


def read_answers(connection: Connection, since: datetime, first: int) -> list[Answers]:
    """The requests since a time by destination, hour and result. ``first``: see ``first_run``."""
    return [
        Answers(**{**row, "hour": datetime.fromisoformat(f"{row['hour']}:00").replace(tzinfo=UTC)})
        for row in read(connection, ANSWERS, since=since, first_run=first)
    ]


def read_refused_now(connection: Connection) -> list[RefusedNow]:
    """The calls that are refused now, by destination and reason."""
    return read_as(connection, RefusedNow, f"select * from ({REFUSED}) as t limit {MOST_REFUSED}")

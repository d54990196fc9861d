"""Read what a page shows from the sandbox's file, in one short transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from audience_sync.sandbox.state.conditions import (
    DAY,
    Condition,
    call_condition,
    member,
    member_function,
    user_condition,
)
from audience_sync.sandbox.state.counts import BUCKET
from audience_sync.sandbox.state.file import open_to_read
from audience_sync.sandbox.state.filters import CallFilter, PropertyFilter, UserFilter
from audience_sync.sandbox.state.stored import (
    Destination,
    EventCount,
    Goal,
    PropertyCount,
    StoredCall,
    StoredRequest,
    StoredUser,
    Totals,
    moment,
)
from audience_sync.sandbox.values import Outcome

HOUR, WEEK = 3_600, 7 * DAY
PAGE = 50


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Read the file: everything that one page shows is of one moment."""
    with closing(open_to_read(path)) as connection:
        connection.create_function("member", 2, member_function, deterministic=True)
        connection.row_factory = sqlite3.Row
        connection.execute("begin")
        yield Reader(connection)


#: Users with what they inherit from their group; their own values count first.
_MEMBERS = """
(select m.destination, m.user_id, coalesce(json_patch(g.properties, m.properties), m.properties) as properties,
  m.calls, m.first_at, m.last_at
  from users m left join groups g on g.destination = m.destination
  and g.group_id = cast(json_extract(m.properties, '$.group_id[0]') as text))
"""


class Reader:
    """Queries on one connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._users = _MEMBERS if self._number("select exists (select 1 from groups)", ()) else "users"

    def calls(self, chosen: CallFilter, limit: int) -> list[StoredCall]:
        """Return the newest calls first."""
        where = call_condition(chosen)
        rows = self._db.execute(
            f"select * from calls where {where.sql} order by call desc limit ?", (*where.parameters, limit)
        )
        return [StoredCall.of(row) for row in rows]

    def count_calls(self, chosen: CallFilter) -> int:
        """Return how many calls that are kept match."""
        where = call_condition(chosen)
        return self._number(f"select count(*) from calls where {where.sql}", where.parameters)

    def call(self, number: int) -> StoredCall | None:
        found = self.calls(CallFilter(before=number + 1, after=number - 1), 1)
        return found[0] if found else None

    def request(self, number: int) -> StoredRequest | None:
        row = self._db.execute("select * from requests where request = ?", (number,)).fetchone()
        return StoredRequest.of(row) if row else None

    def last_call(self) -> int:
        """Return the number of the newest call that is kept; 0 if none is."""
        return self._number("select max(call) from calls", ())

    def kept_calls(self) -> int:
        return self._number("select max(call) - min(call) + 1 from calls", ())  # their numbers have no gaps

    def totals(self) -> Totals:
        sums = "count(*), coalesce(sum(requests), 0), coalesce(sum(calls), 0), coalesce(sum(users), 0), max(last_at)"
        destinations, requests, calls, users, last = self._db.execute(f"select {sums} from destinations").fetchone()
        return Totals(destinations, requests, calls, users, None if last is None else moment(last))

    def destinations(self) -> list[Destination]:
        """Return the 200 destinations that received something last."""
        rows = self._db.execute("select destination, calls, users from destinations order by last_at desc limit 200")
        return [Destination(*row) for row in rows]

    def calls_since(self, since: float, destination: str = "") -> dict[Outcome, int]:
        """Return how many calls there were since then, by outcome."""
        where = _counted(since, destination)
        rows = self._db.execute(
            f"select outcome, sum(calls) from counts where {where.sql} group by outcome", where.parameters
        )
        return {Outcome(outcome): calls for outcome, calls in rows}

    def calls_by_hour(
        self, now: float, destination: str = "", hours: int = 24
    ) -> list[tuple[datetime, dict[Outcome, int]]]:
        """Return the calls of each of the last hours, the oldest first."""
        last = int(now // HOUR)
        found: dict[int, dict[Outcome, int]] = {hour: {} for hour in range(last - hours + 1, last + 1)}
        where = _counted((last - hours + 1) * HOUR, destination)
        rows = self._db.execute(
            f"select bucket * {BUCKET} / {HOUR}, outcome, sum(calls) from counts where {where.sql} group by 1, 2",
            where.parameters,
        )
        for hour, outcome, calls in rows:
            if hour in found:
                found[hour][Outcome(outcome)] = calls
        return [(moment(hour * HOUR), counts) for hour, counts in found.items()]

    def problems_since(self, since: float, destination: str = "") -> list[tuple[str, str, int]]:
        """Return code, text and number of calls of each problem, the most frequent first."""
        where = _counted(since, destination)
        rows = self._db.execute(
            f"select code, max(text), sum(calls) from problem_counts where {where.sql} group by code"
            " order by 3 desc limit 20",
            where.parameters,
        )
        return list(rows)

    def properties(self, destination: str = "", limit: int = 200) -> list[PropertyCount]:
        """Return the properties that most users have."""
        rows = self._db.execute(
            "select property, sum(users) filter (where kind = 'true'), sum(users) filter (where kind = 'false'),"
            " sum(users) filter (where kind = 'other') from property_counts where ? in ('', destination)"
            " group by property having sum(users) > 0"
            " order by sum(users) filter (where kind in ('true', 'false')) is null, sum(users) desc, property limit ?",
            (destination, limit),
        )
        return [PropertyCount(name, *(each or 0 for each in counts)) for name, *counts in rows]

    def users(
        self, chosen: UserFilter, now: float, *, after: tuple[str, str] = ("", ""), limit: int = PAGE
    ) -> list[StoredUser]:
        """Return users by destination and id. ``after``: those after this one."""
        where = user_condition(chosen, now)
        rows = self._db.execute(
            f"select * from {self._users} u where {where.sql} and (u.destination, u.user_id) > (?, ?)"
            " order by destination, user_id limit ?",
            (*where.parameters, *after, limit),
        )
        return [StoredUser.of(row) for row in rows]

    def count_users(self, chosen: UserFilter, now: float) -> int:
        where = user_condition(chosen, now)
        return self._number(f"select count(*) from {self._users} u where {where.sql}", where.parameters)

    def user(self, destination: str, user_id: str) -> StoredUser | None:
        row = self._db.execute(
            f"select * from {self._users} where destination = ? and user_id = ?", (destination, user_id)
        ).fetchone()
        return StoredUser.of(row) if row else None

    def destinations_of_user(self, user_id: str) -> list[str]:
        """Return the destinations that have this user."""
        rows = self._db.execute(
            "select destination from destinations d where exists"
            " (select 1 from users u where u.destination = d.destination and u.user_id = ?) order by last_at desc",
            (user_id,),
        )
        return [name for (name,) in rows]

    def events_of_user(self, destination: str, user_id: str) -> list[tuple[str, int, datetime]]:
        """Return the name of each event, how often it came, and when last."""
        rows = self._db.execute(
            "select event, times, last_at from user_events where destination = ? and user_id = ? order by last_at desc",
            (destination, user_id),
        )
        return [(event, times, moment(last)) for event, times, last in rows]

    def events(self, now: float, destination: str = "", limit: int = 500) -> list[EventCount]:
        """Return the events of the last seven days, with how often, the most frequent first."""
        where = _counted(now - WEEK, destination)
        day = int((now - DAY) // BUCKET)
        rows = self._db.execute(
            "select destination, event, sum(calls) filter (where bucket >= ?), sum(calls) from counts"
            f" where event <> '' and outcome in (?, ?) and {where.sql} group by 1, 2 order by 4 desc, 2 limit ?",
            (day, Outcome.ACCEPTED, Outcome.CUT_OFF, *where.parameters, limit),
        )
        return [EventCount(name, event, in_day or 0, in_week) for name, event, in_day, in_week in rows]

    def users_of_events(self, destination: str = "") -> dict[tuple[str, str], tuple[int, datetime]]:
        """Return how many users ever did each event, and when one last did. Reads every user's events."""
        rows = self._db.execute(
            "select destination, event, count(*), max(last_at) from user_events"
            " where ? in ('', destination) group by 1, 2",
            (destination,),
        )
        return {(name, event): (users, moment(last)) for name, event, users, last in rows}

    def event_names(self) -> list[str]:
        """Return the names of the events of the last days."""
        rows = self._db.execute("select distinct event from counts where event <> '' order by 1 limit 500")
        return [name for (name,) in rows]

    def goal(self, start: PropertyFilter | None, start_event: str, goal: str, days: int, destination: str) -> Goal:
        """Count who began, and who of them did the goal's event within so many days after; with the first 50 users.

        A user begins when the property got its value, or with the first event of that name.
        """
        if start is not None:
            source, path, before = member("u.properties", start.property)
            wanted = user_condition(UserFilter(destination=destination, properties=(start,)), 0)
            began = Condition(
                f"select u.destination, u.user_id, json_extract({source}, ?) as began from {self._users} u"
                f" where {wanted.sql}",
                (*before, f"{path}[1]", *wanted.parameters),
            )
        else:
            sql = (
                "select destination, user_id, min(at) as began from events"
                " where event = ? and ? in ('', destination) group by 1, 2"
            )
            began = Condition(sql, (start_event, destination))
        first = (
            "select min(e.at) from events e where e.destination = b.destination and e.user_id = b.user_id"
            " and e.event = ? and e.at >= b.began and e.at <= b.began + ?"
        )
        reached = f"select b.destination, b.user_id, b.began, ({first}) as reached from ({began.sql}) b"
        rows = self._db.execute(
            f"with r as materialized ({reached}) select *, (select count(*) from r), (select count(reached) from r)"
            f" from r order by reached is null, reached desc, user_id limit {PAGE}",
            (goal, days * DAY, *began.parameters),
        ).fetchall()
        users = [(name, user, moment(at), None if done is None else moment(done)) for name, user, at, done, *_ in rows]
        *_, total, hit = rows[0] if rows else (0, 0)
        return Goal(total, hit, users)

    def _number(self, statement: str, parameters: Sequence[Any]) -> int:
        (found,) = self._db.execute(statement, parameters).fetchone()
        return int(found or 0)


def _counted(since: float, destination: str) -> Condition:
    return Condition("bucket >= ? and ? in ('', destination)", (int(since // BUCKET), destination))

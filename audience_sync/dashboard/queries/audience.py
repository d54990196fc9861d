"""Read one audience: its history, the users who entered and left, and the rows that can't be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from audience_sync.dashboard.queries.rows import read, utc

#: Rows of a page of changes.
PAGE = 50
#: Runs whose changes are searched for users who come and go: with at most so many changes together.
SEARCHED_CHANGES = 200_000
#: A user with so many changes comes and goes.
FLAPS = 3
#: Commands whose effect on an audience is marked in its chart.
_MARKED_COMMANDS = ("undo", "approve", "resync", "retire", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceRun:
    """The result of an audience in one run."""

    run: int
    at: datetime
    command: str
    status: str
    members_before: int
    members: int
    entered: int
    left: int
    invalid: int
    held_out: int | None
    error: str | None
    config_changes: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipChange:
    """One user entered or left."""

    run: int
    at: datetime
    user_id: str
    change: str


@dataclass(frozen=True, slots=True)
class FlappingUser:
    """A user who entered and left several times."""

    user_id: str
    changes: int
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Flapping:
    """The users with most changes since a run, at most ``SEARCHED_CHANGES`` changes back."""

    since_run: int
    since: datetime
    is_whole: bool
    users: Sequence[FlappingUser]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceHold:
    """A hold of the audience, as in the view `holds`."""

    run: int
    last_run: int
    status: str
    reason: str
    members_before: int
    entered: int
    left: int
    held_at: datetime
    decided_at: datetime | None
    ended_run: int | None


@dataclass(frozen=True, slots=True)
class InvalidRows:
    """Invalid rows of one run with the same reason. ``rows``: the numbers of the first ones."""

    reason: str
    file: str
    count: int
    rows: Sequence[int]


@dataclass(frozen=True, slots=True)
class Holdout:
    """``share``: of the audience's users, 0 to 1. ``since_run``: the first run with users held out, if it is stored."""

    share: float | None
    salt: str | None
    since_run: int | None
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze, as in the view `freezes`."""

    frozen_at: datetime
    frozen_until: datetime | None
    frozen_by: str | None
    reason: str | None
    unfrozen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """A command of a person about this audience or about one of its runs, as in the view `decisions`."""

    run: int | None
    decided_at: datetime
    decided_by: str | None
    reason: str | None


def read_history(
    connection: Connection, key: str, since: datetime | None, *, run: int | None = None
) -> list[AudienceRun]:
    """Read the runs of an audience since a time (None: all), the oldest first; with ``run`` that one alone."""
    which = "" if since is None else "and r.started_at >= :since"
    which += "" if run is None else " and a.run = :run"
    query = f"""
        select a.run, r.started_at, r.command, a.status, a.members_before, a.members_after, a.entered, a."left",
            a.invalid, a.held_out, a.error, a.config_changes
        from {{views}}audience_syncs a join {{views}}sync_runs r on r.run = a.run
        where a.audience_key = :key {which} order by a.run
    """
    values = {"key": key, **({} if since is None else {"since": since}), **({} if run is None else {"run": run})}
    return [
        AudienceRun(
            run=row["run"],
            at=_time(row["started_at"]),
            command=row["command"],
            status=row["status"],
            members_before=row["members_before"],
            members=row["members_after"],
            entered=row["entered"],
            left=row["left"],
            invalid=row["invalid"],
            held_out=row["held_out"],
            error=row["error"],
            config_changes=row["config_changes"],
        )
        for row in read(connection, query, **values)
    ]


def read_audience_holds(connection: Connection, key: str) -> list[AudienceHold]:
    """Read the holds of an audience, the oldest first."""
    query = """
        select run, last_run, status, reason, members_before, entered, "left", held_at, decided_at, ended_run
        from {views}holds where kind = 'audience' and key = :key order by run
    """
    return [
        AudienceHold(**{**row, "held_at": _time(row["held_at"]), "decided_at": utc(row["decided_at"])})
        for row in read(connection, query, key=key)
    ]


def read_freezes(connection: Connection, key: str) -> list[Freeze]:
    """Read the freezes of an audience, the oldest first."""
    query = """
        select frozen_at, frozen_until, frozen_by, reason, unfrozen_at from {views}freezes
        where audience_key = :key order by frozen_at
    """
    return [
        Freeze(
            _time(row["frozen_at"]),
            utc(row["frozen_until"]),
            row["frozen_by"],
            row["reason"],
            utc(row["unfrozen_at"]),
        )
        for row in read(connection, query, key=key)
    ]


def read_decisions(connection: Connection, key: str) -> list[Decision]:
    """Read what people decided about an audience or started in its runs, the oldest first."""
    query = """
        select d.run, d.decided_at, d.decided_by, d.reason from {views}decisions d
        where d.subject = :key or exists (
            select 1 from {views}audience_syncs a where a.audience_key = :key and a.run = d.run
        )
        order by d.decided_at
    """
    return [
        Decision(row["run"], _time(row["decided_at"]), row["decided_by"], row["reason"])
        for row in read(connection, query, key=key)
    ]


def count_changes(connection: Connection, key: str) -> int:
    """Count the changes of an audience without its first members, from the results of its runs."""
    query = """
        select coalesce(sum(entered + "left"), 0) as changes from {views}audience_syncs
        where audience_key = :key and status <> 'created'
    """
    return int(read(connection, query, key=key)[0]["changes"])


def read_changes(
    connection: Connection, key: str, *, after: tuple[int, str] | None = None, skip: int = 0, most: int = PAGE
) -> list[MembershipChange]:
    """Read changes, the newest run first and by user id within a run: ``most`` and one more, if there are.

    ``after``: run and user id of the last row of the page before; ``skip``: rows of that run to skip. The runs with
    changes come from their results, so that one audience of many is found without reading the changes of the others.
    """
    run, user = after or (2**31 - 1, "")
    runs = """
        select run, entered + "left" as changes from {views}audience_syncs
        where audience_key = :key and run <= :run and entered + "left" > 0 and status <> 'created'
        order by run desc limit :most
    """
    wanted, expected = list[int](), 0
    for row in read(connection, runs, key=key, run=run, most=most + 2):
        wanted.append(row["run"])
        expected += row["changes"] if row["run"] != run else 0
        if expected > most:
            break
    found = list[MembershipChange]()
    query = """
        select run, user_id, change, changed_at from {views}membership_changes
        where run = :run and audience_key = :key and user_id > :user order by user_id limit :most offset :skip
    """
    for each in wanted:
        begin = user if each == run else ""
        values = {"user": begin, "most": most + 1 - len(found), "skip": skip if each == run else 0}
        rows = read(connection, query, run=each, key=key, **values)
        found += [
            MembershipChange(run=row["run"], at=_time(row["changed_at"]), user_id=row["user_id"], change=row["change"])
            for row in rows
        ]
        if len(found) > most:
            break
    return found


def read_flapping(connection: Connection, key: str, most: int = 10) -> Flapping | None:
    """Find the users with most changes in the newest runs; None if there was no change yet.

    Only so many runs are searched that all their changes, also of others, are few enough to be read at once.
    """
    runs = """
        select run, started_at, entered + "left" + trait_users_changed as changes from {views}sync_runs
        order by run desc limit 2000
    """
    searched, total, is_whole = list[tuple[int, datetime]](), 0, True
    for row in read(connection, runs):
        total += row["changes"] or 0
        if searched and total > SEARCHED_CHANGES:
            is_whole = False
            break
        searched.append((row["run"], _time(row["started_at"])))
    if not searched:
        return None
    query = """
        select user_id, count(*) as changes, max(changed_at) as last_at from {views}membership_changes
        where audience_key = :key and run >= :run
        group by user_id having count(*) >= :flaps order by count(*) desc, user_id limit :most
    """
    run, since = searched[-1]
    rows = read(connection, query, key=key, run=run, flaps=FLAPS, most=most)
    users = [FlappingUser(row["user_id"], row["changes"], _time(row["last_at"])) for row in rows]
    return Flapping(since_run=run, since=since, is_whole=is_whole and len(searched) < 2000, users=users)


def read_invalid_rows(connection: Connection, key: str, run: int) -> list[InvalidRows]:
    """Group the stored invalid rows of an audience in a run by reason and file, the most first."""
    query = """
        select reason, file, count(*) as count from {views}invalid_rows where run = :run and audience_key = :key
        group by reason, file order by count(*) desc, reason, file limit 50
    """
    first = """
        select "row" from {views}invalid_rows where run = :run and audience_key = :key and reason = :reason
        and file = :file order by "row" limit 4
    """
    groups = read(connection, query, run=run, key=key)
    return [
        InvalidRows(
            row["reason"],
            row["file"],
            row["count"],
            [each["row"] for each in read(connection, first, run=run, key=key, reason=row["reason"], file=row["file"])],
        )
        for row in groups
    ]


def read_holdout(connection: Connection, key: str) -> Holdout | None:
    """Read the share that is held out, and since when; None if no user is held out."""
    one = "select holdout, holdout_salt from {views}held_out_members where audience_key = :key limit 1"
    found = read(connection, one, key=key)
    if not found:
        return None
    first = """
        select a.run, r.started_at from {views}audience_syncs a join {views}sync_runs r on r.run = a.run
        where a.audience_key = :key and a.held_out > 0 order by a.run limit 1
    """
    since = read(connection, first, key=key)
    return Holdout(
        found[0]["holdout"],
        found[0]["holdout_salt"],
        since[0]["run"] if since else None,
        utc(since[0]["started_at"]) if since else None,
    )


def _time(value: object) -> datetime:
    found = utc(value)
    if found is None:
        raise ValueError("a time is missing")
    return found

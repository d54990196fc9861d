"""Read one audience: its history, the users who entered and left, and its holdout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from audience_sync.history.view_rows import read, read_as
from audience_sync.model import MAX_RUN

#: Rows of a page of changes: about as many as stand next to them.
PAGE = 15
#: The newest runs whose changes are searched for users who come and go: so many, with so many changes together.
SEARCHED_RUNS, SEARCHED_CHANGES, RUNS_AT_ONCE = 2_000, 200_000, 200
#: A user with so many changes comes and goes; and how many of them are listed.
FLAPS, MOST_FLAPPING = 3, 10
_RESULTS = """
    select a.run, r.started_at as at, r.command, a.status, a.members_after as members, a.entered, a."left", a.invalid,
        a.held_out, a.error, a.config_changes
    from {views}audience_syncs a join {views}sync_runs r on r.run = a.run
    where a.audience_key = :key
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceRun:
    """The result of an audience in one run."""

    run: int
    at: datetime
    command: str
    status: str
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FlappingUser:
    """A user who entered and left several times."""

    user_id: str
    changes: int
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Flapping:
    """The users with most changes since a run. ``is_whole``: no older run is stored."""

    since_run: int
    since: datetime
    is_whole: bool
    users: Sequence[FlappingUser]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """``share``: of the audience's users, 0 to 1. ``since_run``: the first run with users held out, if it is stored."""

    share: float | None
    salt: str | None
    since_run: int | None
    since: datetime | None


def read_history(connection: Connection, key: str, since: datetime | None) -> list[AudienceRun]:
    """Read the runs of an audience since a time (None: all), the oldest first."""
    which, values = ("", {}) if since is None else ("and r.started_at >= :since", {"since": since})
    return read_as(connection, AudienceRun, f"{_RESULTS} {which} order by a.run", key=key, **values)


def read_last_loaded(connection: Connection, key: str) -> AudienceRun | None:
    """Read the last run that read the audience's rows; None before the first one."""
    loaded = "and a.status in ('created', 'synced', 'unchanged', 'held') order by a.run desc limit 1"
    found = read_as(connection, AudienceRun, f"{_RESULTS} {loaded}", key=key)
    return found[0] if found else None


def read_last_error(connection: Connection, key: str) -> str | None:
    """Read why the last run with a result for the audience could not use it."""
    query = "select error from {views}audience_syncs where audience_key = :key order by run desc limit 1"
    found = read(connection, query, key=key)
    return found[0]["error"] if found else None


def count_changes(connection: Connection, key: str) -> int:
    """Count the changes of an audience without its first members, from the results of its runs."""
    query = """
        select coalesce(sum(entered + "left"), 0) as changes from {views}audience_syncs
        where audience_key = :key and status <> 'created'
    """
    return int(read(connection, query, key=key)[0]["changes"])


def read_changes(
    connection: Connection, key: str, *, after: tuple[int, str] | None = None, skip: int = 0
) -> list[MembershipChange]:
    """Read changes, the newest run first and by user id within a run: a page, and one more if there are.

    ``after``: run and user id of the last row of the page before; ``skip``: rows of that run to skip. The runs with
    changes come from their results, so that one audience of many is found without reading the changes of the others.
    """
    run, user = after or (MAX_RUN, "")
    runs = f"""
        select run, entered + "left" as changes from {{views}}audience_syncs
        where audience_key = :key and run <= :run and entered + "left" > 0 and status <> 'created'
        order by run desc limit {PAGE + 2}
    """
    wanted, expected = list[int](), 0
    for row in read(connection, runs, key=key, run=run):
        wanted.append(row["run"])
        expected += row["changes"] if row["run"] != run else 0
        if expected > PAGE:
            break
    found = list[MembershipChange]()
    query = """
        select run, user_id, change, changed_at as at from {views}membership_changes
        where run = :run and audience_key = :key and user_id > :user order by user_id limit :most offset :skip
    """
    for each in wanted:
        place = {"user": user, "skip": skip} if each == run else {"user": "", "skip": 0}
        found += read_as(connection, MembershipChange, query, run=each, key=key, most=PAGE + 1 - len(found), **place)
        if len(found) > PAGE:
            break
    return found


def read_flapping(connection: Connection, key: str) -> Flapping | None:
    """Find the users with most changes in the newest runs; None without a run.

    Only so many runs are searched that all their changes, also of others, are few enough to be read at once.
    """
    searched, total, is_whole = list[Mapping[str, Any]](), 0, True
    for row in _newest_runs(connection):
        total += row["changes"] or 0
        if searched and total > SEARCHED_CHANGES:
            is_whole = False
            break
        searched.append(row)
    if not searched:
        return None
    first = searched[-1]
    query = f"""
        select user_id, count(*) as changes, max(changed_at) as last_at from {{views}}membership_changes
        where audience_key = :key and run >= :run
        group by user_id having count(*) >= {FLAPS} order by count(*) desc, user_id limit {MOST_FLAPPING}
    """
    return Flapping(
        since_run=first["run"],
        since=first["started_at"],
        is_whole=is_whole and len(searched) < SEARCHED_RUNS,
        users=read_as(connection, FlappingUser, query, key=key, run=first["run"]),
    )


def _newest_runs(connection: Connection) -> Iterator[Mapping[str, Any]]:
    """The newest runs with the number of their changes, in batches: mostly the first ones have changes enough."""
    query = f"""
        select run, started_at, entered + "left" + trait_users_changed as changes from {{views}}sync_runs
        where run < :before order by run desc limit {RUNS_AT_ONCE}
    """
    before = MAX_RUN
    for _ in range(0, SEARCHED_RUNS, RUNS_AT_ONCE):
        rows = read(connection, query, before=before)
        yield from rows
        if len(rows) < RUNS_AT_ONCE:
            return
        before = rows[-1]["run"]


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
    since = next(iter(read(connection, first, key=key)), {})
    return Holdout(
        share=found[0]["holdout"],
        salt=found[0]["holdout_salt"],
        since_run=since.get("run"),
        since=since.get("started_at"),
    )

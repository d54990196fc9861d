"""List the members of an audience, now or at a past time, from the stored snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, select

from audience_sync.history.runs import run_at
from audience_sync.model import RunId
from audience_sync.prefetch import in_order
from audience_sync.sql import Condition, Expression, Query, TableName, quote_literal
from audience_sync.store.audiences.properties import Property, read_audience, read_chains
from audience_sync.store.connection.engine import Store
from audience_sync.store.snapshots.chain import Chain, base_rows_query, newest_rows_query, row_groups
from audience_sync.store.snapshots.files import download_chain
from audience_sync.store.tables import changes, runs
from audience_sync.text import iso_time
from audience_sync.workspace import THREADS, Workspace

#: Row groups of the base in one part of the answer, and bytes of its ids: DuckDB sorts it in memory. Lines of more
#: bytes, if ids are very long, become rows of Python, a few at a time.
GROUPS_A_PART, PART_BYTES = 4, 32_000_000
#: A line of CSV (RFC 4180). An id is quoted if it has separators, quotes, line ends, control characters, or spaces at
#: an end. The first branch is for plain ASCII, and needs a third of the time of the second.
CSV_LINE = Expression(
    """concat(case
        when strlen(to_json(user_id)::varchar) = length(user_id) + 2
            and not contains(user_id, ',') and not contains(user_id, ' ') and not contains(user_id, chr(127))
        then user_id
        when regexp_full_match(user_id, '[\\pL\\pM\\pN\\pP\\pS ]*') and not regexp_matches(user_id, '[",]|^ | $')
        then user_id
        else '"' || replace(user_id, '"', '""') || '"'
    end, ',', member_since, chr(10))"""
)
JSON_LINE = Expression(
    """concat('{"user_id": ', to_json(user_id), ', "member_since": "', member_since, '"}', chr(10))"""
)


class Part(NamedTuple):
    """Some of the lines, as UTF-8, and their number."""

    lines: memoryview
    members: int


def members_of(
    store: Store, key: str, *, at: datetime | None, memory_limit: int, line: Expression = CSV_LINE
) -> Iterator[Part]:
    """Yield the members in the order of user ids, in bounded memory.

    ``at`` None means now. ``line``: the SQL of a line with its end, from ``user_id`` and ``member_since`` (ISO 8601,
    UTC). Raises UnknownNameError for an unknown audience, and HistoryPrunedError for a time whose changes were deleted.
    """
    with Workspace(memory_limit) as workspace:
        # No longer: a slow reader of the parts would block commits.
        found = store.read_with_retry(partial(_read_members, workspace=workspace, key=key, at=at))
        if found is None:
            return
        base, changed, since = base_rows_query(found.chain), found.changed, found.since

        def read(part: _Range) -> Iterable[Part]:
            between = part.condition
            moved = f"from {changed} where {between}"
            rows = (
                f"select user_id, run_id from ({base}) anti join ({moved}) using (user_id) where {between} "
                f"union all select user_id, run_id {moved} and present"
            )
            # A line is written after the sort, which moves an id and a number only.
            members = f"select user_id, member_since from ({rows}) join {since} using (run_id) order by user_id"
            lines = Query(f"select {line} from ({members})")
            [[(more,)]] = workspace.stream(f"select coalesce(sum(strlen(user_id)), 0) {moved} and present")
            if part.size + more > PART_BYTES:
                return (_part_of(some) for some in workspace.stream(lines))
            return [Part(each.data, len(each.offsets) - 1) for (each,) in workspace.text_columns(lines)]

        for parts in in_order(read, _ranges(row_groups(workspace, found.chain)), THREADS):
            yield from parts


class _Members(NamedTuple):
    """The chain of an audience, and the tables of its changed users and of the starts of runs."""

    chain: Chain
    changed: TableName
    since: TableName


def _read_members(connection: Connection, *, workspace: Workspace, key: str, at: datetime | None) -> _Members | None:
    """None before the audience was created."""
    audience = read_audience(connection, key)
    chain = read_chains(connection, [audience])[audience.chain_id]
    run = None if at is None else run_at(connection, at)
    if run is not None and run < audience.created_run:
        return None
    chain = download_chain(connection, workspace, chain)
    changed = _changed_users(connection, workspace, audience, chain, run)
    return _Members(chain, changed, _start_times(connection, workspace))


def _part_of(rows: Sequence[tuple[str]]) -> Part:
    return Part(memoryview("".join([text for (text,) in rows]).encode()), len(rows))


class _Range(NamedTuple):
    """The users from ``first`` up to, but without, ``end``, and the bytes of their ids in the base."""

    first: str | None
    end: str | None
    size: int

    @property
    def condition(self) -> Condition:
        conditions = [f"user_id >= {quote_literal(self.first)}"] if self.first is not None else []
        conditions += [f"user_id < {quote_literal(self.end)}"] if self.end is not None else []
        return Condition(" and ".join(conditions) or "true")


def _ranges(groups: Iterable[tuple[str | None, int]]) -> Iterator[_Range]:
    """All users, in ranges of neighbouring row groups."""
    first, size, count = None, 0, 0
    for start, group_size in groups:
        if count and start is not None and (count >= GROUPS_A_PART or size + group_size > PART_BYTES):
            yield _Range(first, start, size)
            first, size, count = start, 0, 0
        size, count = size + group_size, count + 1
    yield _Range(first, None, size)


def _start_times(connection: Connection, workspace: Workspace) -> TableName:
    """A table of ``run_id`` and ``member_since``, the start of the run, which is a number for each different time."""
    started = connection.execute(select(runs.c.id, runs.c.started_at)).all()
    rows = [(row.id, iso_time(row.started_at, "seconds")) for row in started]
    times, kind = workspace.load({"run_id": "integer", "started": "varchar"}, [rows]), workspace.name("times")
    workspace.run(f"create type {kind} as enum (select distinct started from {times})")
    return workspace.table("since", f"select run_id, started::{kind} as member_since from {times}")


def _changed_users(
    connection: Connection, workspace: Workspace, audience: Property, chain: Chain, run: RunId | None
) -> TableName:
    """A table of users whose row in the base is not the one after ``run``: ``user_id``, ``run_id``, ``present``.

    None means the last run. A user's first later change shows the membership before it.
    """
    newest = workspace.table("newest", f"select user_id, run_id, present from ({newest_rows_query(chain)})")
    if run is None:
        return newest
    mine = changes.c.property_id == audience.id
    later = select(changes.c.user_id).where(mine, changes.c.run_id > run)
    query = (
        select(changes.c.user_id, changes.c.value, changes.c.run_id)
        .where(mine, changes.c.user_id.in_(later))
        .execution_options(yield_per=10_000)
    )
    columns = {"user_id": "varchar", "value": "varchar", "run_id": "integer"}
    log = workspace.load(columns, connection.execute(query).partitions())
    was = workspace.table(
        "was",
        f"select user_id, coalesce(max(run_id) filter (where run_id <= {run}), {audience.created_run}) as run_id, "
        f"min_by(value, run_id) filter (where run_id > {run}) = 'false' as present "
        f"from {log} group by user_id having present is not null",
    )
    return workspace.table("changed", f"from {was} union all from {newest} anti join {was} using (user_id)")

"""Fetch the changes in a table: all of them if they are few, and only a sample of what a guard holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from audience_sync.model import StateTable
from audience_sync.sources.base import Comparison, SnapshotRequest
from audience_sync.sources.rows.snapshot_query import MAX_RAW_CHARACTERS
from audience_sync.sources.warehouse.comparison_sql import ENTERED, IS_USER, LEFT, StateQuery
from audience_sync.sources.warehouse.engine import Engine
from audience_sync.sql import Query, TableName
from audience_sync.workspace import Workspace

CORRECT_QUERY = "It must be one SELECT and nothing else. Correct it in the config."
#: A table with fewer rows is fetched whole.
FEW_ROWS = 10_000
#: Rows without a valid id that are fetched of a larger table; the others are counted.
MOST_INVALID_ROWS = 10_000
#: Users of each kind that a sample has, on average. A hold stores 100.
SAMPLED_USERS = 300
#: The columns of changes in the workspace, with DuckDB's types.
_COLUMNS = {"change": "varchar", "row_count": "bigint"}

#: Rows and the sum of their ``row_count``, by the audience's name (None without names) and the change.
Counts = Mapping[tuple[str | None, str], tuple[int, int]]


class Fetched(Struct, frozen=True):
    """A table of the workspace with ``user_id``, ``change``, ``row_count``, and ``name`` if there are names.

    ``held``: by name (None without names), the numbers of users who entered and left an audience, if the table has only
    a sample of them, because a guard holds it.
    """

    table: TableName
    held: Mapping[str | None, tuple[int, int]]


def fetch(engine: Engine, workspace: Workspace, rows: Query, request: SnapshotRequest) -> Fetched:
    """All rows of a query for changes."""
    keys = ("user_id",) if request.name is None else ("user_id", "name")
    with engine.explaining("fetching the changes failed", CORRECT_QUERY, request.query):
        return Fetched(engine.load(workspace, rows, dict.fromkeys(keys, "varchar") | _COLUMNS), {})


def fetch_table(
    engine: Engine, workspace: Workspace, request: SnapshotRequest, state: StateQuery, new: StateTable
) -> Fetched:
    """The changes in a new table. What a guard would hold is decided on their counts, before they are fetched."""
    comparison = request.comparison
    assert comparison is not None
    if new.rows <= FEW_ROWS or new.is_base:
        return fetch(engine, workspace, state.stored(new.name), request)
    with engine.explaining("counting the changes failed", CORRECT_QUERY, request.query):
        counts = {
            (name, change): (int(rows), int(row_count))
            for name, change, rows, row_count in engine.rows(state.counts(new.name))
        }
    held = _held(counts, comparison)
    found = fetch(engine, workspace, Query(_selection(state, new.name, counts, held, comparison.sampled)), request)
    _add_other_invalid_rows(workspace, found.table, counts, has_names=request.name is not None)
    return Fetched(found.table, held)


def _held(counts: Counts, comparison: Comparison) -> dict[str | None, tuple[int, int]]:
    changed = dict.fromkeys(name for name, change in counts if change in (ENTERED, LEFT))
    moved = {name: (_rows(counts, name, ENTERED), _rows(counts, name, LEFT)) for name in changed}
    return {name: numbers for name, numbers in moved.items() if comparison.is_held(name, *numbers)}


def _rows(counts: Counts, name: str | None, change: str) -> int:
    return counts.get((name, change), (0, 0))[0]


def _selection(
    state: StateQuery, table: str, counts: Counts, held: Mapping[str | None, object], sampled: Sequence[str]
) -> str:
    """A query for the rows to fetch: at most so many invalid ones, and of held audiences a sample of users.

    The sample is chosen by hash, and has the users of earlier samples too.
    """
    dialect, names = state.dialect, [name for name in held if name is not None]
    conditions = [IS_USER]
    if held:
        shares = [
            _sample_condition(state, name, change, rows)
            for (name, change), (rows, _) in counts.items()
            if name in held and change in (ENTERED, LEFT)
        ]
        if names:
            shares.append(f"name not in ({', '.join(map(dialect.literal, names))})")
        if sampled:
            shares.append(f"user_id in ({', '.join(map(dialect.literal, sampled))})")
        conditions.append(f"({' or '.join(shares)})")
    short = f"substr(user_id, 1, {MAX_RAW_CHARACTERS}) as user_id{', name' if state.has_names else ''}"
    place = state.place(table)
    return (
        f"select {state.columns()}, change, row_count from {place} t where {' and '.join(conditions)} "
        f"union all select * from (select {short}, change, row_count from {place} t where not ({IS_USER}) "
        f"limit {MOST_INVALID_ROWS}) i"
    )


def _sample_condition(state: StateQuery, name: str | None, change: str, rows: int) -> str:
    """A condition for a share of the users of one audience with one change, about as many as a sample has."""
    conditions = [f"change = {state.dialect.literal(change)}"]
    if name is not None:
        conditions.append(f"name = {state.dialect.literal(name)}")
    if rows > SAMPLED_USERS:
        most = f"{16**8 * SAMPLED_USERS // rows:08x}"
        conditions.append(f"{state.dialect.md5('user_id')} < {state.dialect.literal(most)}")
    return f"({' and '.join(conditions)})"


def _add_other_invalid_rows(workspace: Workspace, table: TableName, counts: Counts, *, has_names: bool) -> None:
    """Add one row, without an id, for all rows of a reason that were counted and not fetched."""
    name = "name" if has_names else "null"
    fetched = {
        (name, change): rows
        for name, change, rows in workspace.all(f"select {name}, change, sum(row_count) from {table} group by all")
    }
    for (audience, change), (_, rows) in counts.items():
        if change not in (ENTERED, LEFT) and (others := rows - fetched.get((audience, change), 0)):
            values = [None, *([audience] if has_names else []), change, others]
            workspace.run(f"insert into {table} values ({', '.join('?' * len(values))})", values)

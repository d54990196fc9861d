"""Compare a snapshot with the last one, step by step, on any engine.

The engine keeps the last snapshot in tables: a base, and a table of changes for each run after it. A table is written
once, under a name that no run uses again. The store names those that count, in the transaction of the run's commit; a
table that it does not name was left by a run that ended early, and is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from audience_sync.errors import SourceError
from audience_sync.model import RunId, StateTable
from audience_sync.sources.base import ComparedState, Comparison, SnapshotRequest
from audience_sync.sources.warehouse.comparison_sql import ENTERED, LEFT, ComparedColumns, StateQuery
from audience_sync.sources.warehouse.engine import Engine
from audience_sync.sql import Query, TableName
from audience_sync.workspace import Workspace

CORRECT_QUERY = "It must be one SELECT and nothing else. Correct it in the config."
CHECK = "Run: audience-sync check"
#: A state is folded into a new base when it has this many tables of changes, or these hold this share of its rows.
MOST_DELTAS = 12
MOST_DELTA_SHARE = 0.25
#: The columns of changes in the workspace, with DuckDB's types.
_COLUMNS = {"change": "varchar", "row_count": "bigint"}


class Compared(NamedTuple):
    """The changes, in the workspace; and the tables of the state with them, None if none was created."""

    table: TableName
    state: ComparedState | None


def preview(engine: Engine, workspace: Workspace, request: SnapshotRequest, columns: ComparedColumns) -> Compared:
    """Compare and fetch the changes, without a new table."""
    changes = _state_of(engine, request).comparison(request.query or "", columns)
    return Compared(_fetch(engine, workspace, changes, request), None)


def compare(engine: Engine, workspace: Workspace, request: SnapshotRequest, columns: ComparedColumns) -> Compared:
    """Compare, keep the changes in a new table, and fetch them. Raises SourceError if the last snapshot is damaged."""
    comparison, state = request.comparison, _state_of(engine, request)
    assert comparison is not None
    assert comparison.run is not None
    with engine.explaining("the list of tables failed", CHECK):
        names = _Names(engine.tables(comparison.prefix), comparison.prefix, comparison.run)
    _drop_left_over(engine, names, comparison)
    _require_whole(engine, state, names, comparison.mend)
    if _is_long(state.tables):
        with engine.explaining("folding the last snapshot failed", CHECK):
            base = _create(engine, names.new("base"), state.folded(), is_base=True)
        state = replace(state, tables=(base,))
    changes = state.comparison(request.query or "", columns)
    with engine.explaining("comparing failed", CHECK, request.query):
        is_base = not state.tables
        new = _create(engine, names.new("base" if is_base else "delta"), changes, is_base=is_base)
    found = _fetch(engine, workspace, state.stored(new.name), request)
    before = tuple(state.tables)
    kept = None if before and not _has_users(workspace, found) else new
    audiences = () if request.name is None else _audience_names(workspace, found)
    return Compared(found, ComparedState(source=comparison.source, before=before, new=kept, names=audiences))


class _Names:
    """The names of tables of this installation: those that exist, and new ones for a run."""

    def __init__(self, existing: set[str], prefix: str, run: RunId) -> None:
        self.existing, self._prefix, self._run = existing, prefix, run
        self._number = sum(name.startswith(f"{prefix}{run}_") for name in existing)

    def new(self, kind: str) -> str:
        self._number += 1
        return f"{self._prefix}{self._run}_{kind}_{self._number - 1}"

    def before_this_run(self) -> list[str]:
        return sorted(name for name in self.existing if self._run_of(name) < self._run)

    def _run_of(self, name: str) -> int:
        """The run that created a table; -1 if its name has no run."""
        number = name.removeprefix(self._prefix).partition("_")[0]
        return int(number) if number.isdecimal() else -1


def _state_of(engine: Engine, request: SnapshotRequest) -> StateQuery:
    tables = request.comparison.state if request.comparison else ()
    return StateQuery(engine.dialect, engine.place, tables, has_names=request.name is not None)


def _drop_left_over(engine: Engine, names: _Names, comparison: Comparison) -> None:
    """Drop what runs before this one have created and the store does not name."""
    with engine.explaining("dropping tables of earlier runs failed", CHECK):
        for name in names.before_this_run():
            if name not in comparison.in_use:
                engine.drop(name)


def _require_whole(engine: Engine, state: StateQuery, names: _Names, mend: str) -> None:
    """Raise SourceError if a table is missing, or has other rows than the run that created it counted."""
    there = _count(engine, [each.name for each in state.tables if each.name in names.existing])
    for each in state.tables:
        rows = there.get(each.name)
        if rows == each.rows:
            continue
        what = "is missing" if rows is None else f"has {rows:,} rows, and had {each.rows:,} when it was created"
        raise SourceError(
            f"the last snapshot in the warehouse is damaged: the table {engine.schema}.{each.name} {what}. Nothing "
            f"was compared or sent. To fetch everything, compare it here, and send it again: {mend}"
        )


def _create(engine: Engine, name: str, rows: Query, *, is_base: bool) -> StateTable:
    engine.create(name, rows)
    return StateTable(name, is_base, _count(engine, [name])[name])


def _count(engine: Engine, tables: Sequence[str]) -> Mapping[str, int]:
    """The rows of each table, by one query."""
    counts = (
        f"select {engine.dialect.literal(name)} as name, count(*) as row_count from {engine.place(name)}"
        for name in tables
    )
    if not (query := " union all ".join(counts)):
        return {}
    with engine.explaining("counting rows failed", CHECK):
        return {name: int(rows) for name, rows in engine.rows(Query(query))}


def _is_long(tables: Sequence[StateTable]) -> bool:
    """Whether a state has so many changes that a new base is worth its time."""
    if len(tables) < 2:
        return False
    base, *deltas = tables
    return len(deltas) >= MOST_DELTAS or sum(each.rows for each in deltas) > MOST_DELTA_SHARE * max(base.rows, 1000)


def _fetch(engine: Engine, workspace: Workspace, rows: Query, request: SnapshotRequest) -> TableName:
    """Stream the rows of a query into a table of the workspace."""
    keys = ("user_id",) if request.name is None else ("user_id", "name")
    with engine.explaining("fetching the changes failed", CORRECT_QUERY, request.query):
        return workspace.load(dict.fromkeys(keys, "varchar") | _COLUMNS, engine.stream(rows))


def _has_users(workspace: Workspace, changes: TableName) -> bool:
    return bool(workspace.one(f"select count(*) from {changes} where change in ('{ENTERED}', '{LEFT}')")[0])


def _audience_names(workspace: Workspace, changes: TableName) -> tuple[str, ...]:
    names = workspace.all(f"select distinct name from {changes} where name is not null")
    return tuple(name for (name,) in names)

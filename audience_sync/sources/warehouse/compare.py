"""Compare a snapshot with the last one, step by step, on any engine.

The engine keeps the last snapshot in tables: a base, and a table of changes for each run after it. A table is written
once, under a name that no run uses again. The store names those that count, in the transaction of the run's commit; a
table that it does not name was left by a run that ended early, and is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from audience_sync.errors import SourceError
from audience_sync.model import StateTable
from audience_sync.sources.base import ComparedState, Comparison, SnapshotRequest
from audience_sync.sources.warehouse.comparison_sql import IS_USER, ComparedColumns, StateQuery
from audience_sync.sources.warehouse.engine import Engine
from audience_sync.sources.warehouse.fetch import Fetched, fetch, fetch_table
from audience_sync.sources.warehouse.traits_sql import TraitsState
from audience_sync.sql import Query, TableName
from audience_sync.workspace import Workspace

State = TypeVar("State", StateQuery, TraitsState)
CHECK, UNREADABLE = "Run: audience-sync check", "the last snapshot can't be read"
#: A state is folded into a new base when it has this many tables of changes, or these hold this share of its rows.
MOST_DELTAS = 12
MOST_DELTA_SHARE = 0.25


class Compared(NamedTuple):
    """The changes, in the workspace; and the tables of the state with them, None if none was created."""

    changes: Fetched
    state: ComparedState | None


def preview(engine: Engine, workspace: Workspace, request: SnapshotRequest, columns: ComparedColumns) -> Compared:
    """Compare and fetch the changes, without a new table. Raises SourceError if the last snapshot is damaged."""
    comparison, state = request.comparison, _state_of(engine, request)
    assert comparison is not None
    require_whole(engine, state, existing_tables(engine, comparison), comparison.mend)
    changes = state.comparison(request.query or "", columns, counts_rows=comparison.counts_rows)
    return Compared(fetch(engine, workspace, changes, request), None)


def compare(engine: Engine, workspace: Workspace, request: SnapshotRequest, columns: ComparedColumns) -> Compared:
    """Compare, keep the changes in a new table, and fetch them. Raises SourceError if the last snapshot is damaged."""
    comparison, query = request.comparison, request.query or ""
    assert comparison is not None

    def changes(state: StateQuery) -> Query:
        return state.comparison(query, columns, counts_rows=comparison.counts_rows)

    state, new = advance(engine, comparison, _state_of(engine, request), changes, query)
    found = fetch_table(engine, workspace, request, state, new)
    is_kept = _has_users(workspace, found.table) and None not in found.held
    compared = ComparedState(
        source=comparison.source,
        subject=comparison.subject,
        before=tuple(state.tables),
        new=keep_changes(engine, new, is_kept=is_kept),
        names=() if request.name is None else _audience_names(workspace, found),
    )
    return Compared(found, compared)


def advance(
    engine: Engine, comparison: Comparison, state: State, changes: Callable[[State], Query], query: str
) -> tuple[State, StateTable]:
    """Create the table of a run. Returns the state that it was compared with, and the table.

    ``changes``: the comparison with a state. ``query``: the part of it that a person wrote. Raises SourceError if the
    last snapshot is damaged.
    """
    assert comparison.run is not None
    existing = existing_tables(engine, comparison)
    _drop_left_over(engine, existing, comparison)
    require_whole(engine, state, existing, comparison.mend)
    if comparison.may_fold and _is_long(state.tables):
        with engine.explaining("folding the last snapshot failed", CHECK):
            base = _create(engine, comparison, state.folded(), is_base=True)
            if not base.rows:  # as files it may have no columns
                engine.drop(base.name)
        state = replace(state, tables=(base,) if base.rows else ())
    with engine.explaining("comparing failed", CHECK, query):
        return state, _create(engine, comparison, changes(state), is_base=not state.tables)


def keep_changes(engine: Engine, new: StateTable, *, is_kept: bool) -> StateTable | None:
    """The table; None if it is not kept, so that it is dropped."""
    if is_kept:
        return new
    with engine.explaining("dropping a table that is not kept failed", CHECK):
        engine.drop(new.name)
    return None


def _state_of(engine: Engine, request: SnapshotRequest) -> StateQuery:
    tables = request.comparison.state if request.comparison else ()
    return StateQuery(engine.dialect, engine.place, tables, has_names=request.name is not None)


def existing_tables(engine: Engine, comparison: Comparison) -> Collection[str]:
    """The names of the tables of this store."""
    with engine.explaining("the list of tables failed", CHECK):
        return engine.tables(comparison.prefix)


def _drop_left_over(engine: Engine, existing: Collection[str], comparison: Comparison) -> None:
    """Drop what runs before this one have created and the store does not name.

    A table that can't be dropped now, since someone reads it, is dropped by a later run.
    """
    for name in sorted(set(existing) - comparison.in_use):
        if _run_of(name, comparison.prefix) < (comparison.run or 0):
            with suppress(*engine.errors):
                engine.drop(name)


def _run_of(name: str, prefix: str) -> int:
    """The run that created a table; -1 if its name has no run."""
    number = name.removeprefix(prefix).partition("_")[0]
    return int(number) if number.isdecimal() else -1


def require_whole(engine: Engine, state: StateQuery | TraitsState, existing: Collection[str], mend: str) -> None:
    """Raise SourceError if a table is missing or can't be read, or has other rows than when it was created."""
    with engine.explaining(UNREADABLE, f"Run again. If a table is damaged: {mend}"):
        there = _count(engine, [each.name for each in state.tables if each.name in existing])
    for each in state.tables:
        rows = there.get(each.name, None if engine.lists_empty else 0)
        if rows == each.rows:
            continue
        what = "is missing" if rows is None else f"has {rows:,} rows, and had {each.rows:,} when it was created"
        raise SourceError(
            f"the last snapshot in the warehouse is damaged: the table {engine.label_of(each.name)} {what}. Nothing "
            f"was compared or sent. To fetch everything, compare it here, and send it again: {mend}"
        )


def _create(engine: Engine, comparison: Comparison, rows: Query, *, is_base: bool) -> StateTable:
    """Create a table under a name that no table has had, not even of a run that a restored store has forgotten."""
    name = f"{comparison.prefix}{comparison.run}_{'base' if is_base else 'delta'}_{token_hex(4)}"
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
    return {name: int(rows) for name, rows in engine.rows(Query(query))}


def _is_long(tables: Sequence[StateTable]) -> bool:
    """Whether a state has so many changes that a new base is worth its time."""
    if len(tables) < 2:
        return False
    base, *deltas = tables
    return len(deltas) >= MOST_DELTAS or sum(each.rows for each in deltas) > MOST_DELTA_SHARE * max(base.rows, 1000)


def _has_users(workspace: Workspace, changes: TableName) -> bool:
    return bool(workspace.one(f"select count(*) from {changes} where {IS_USER}")[0])


def _audience_names(workspace: Workspace, found: Fetched) -> tuple[str, ...]:
    names = workspace.all(f"select distinct name from {found.table} where name is not null")
    return tuple({name for (name,) in names} | {name for name in found.held if name is not None})

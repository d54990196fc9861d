"""Read the snapshots of computed traits from a place that compares them: only users with a changed row are fetched."""

from __future__ import annotations

from msgspec.structs import replace

from audience_sync.sources.base import ComparedState, Comparison, SnapshotRequest, SnapshotRows
from audience_sync.sources.warehouse.columns import QUERY_NAME
from audience_sync.sources.warehouse.compare import (
    CHECK,
    MOST_DELTAS,
    UNREADABLE,
    advance,
    existing_tables,
    keep_changes,
    require_whole,
)
from audience_sync.sources.warehouse.comparison_sql import LEFT, TOTAL
from audience_sync.sources.warehouse.engine import Engine
from audience_sync.sources.warehouse.fetch_traits import WITH_ROWS, WITHOUT_ROWS, FetchedTraits, fetch_traits
from audience_sync.sources.warehouse.traits_sql import TraitColumns, TraitsState
from audience_sync.sql import Query, Relation
from audience_sync.workspace import Workspace

#: The name of a preview's comparison, which has no table.
_COMPARED = Relation("compared")


def read_traits(
    engine: Engine, workspace: Workspace, request: SnapshotRequest, comparison: Comparison, columns: TraitColumns
) -> SnapshotRows:
    """Compare and fetch. In a preview, no table is created. Without a state that fits, everything is fetched."""
    query = request.query or ""
    state = TraitsState(engine.dialect, engine.place, comparison.state, columns)
    if not _fits(engine, state, comparison):
        state = replace(state, tables=())
    reread = comparison.state[-1].reread if comparison.state else ()
    counts_rows = comparison.counts_rows
    if comparison.run is None:
        require_whole(engine, state, existing_tables(engine, comparison), comparison.mend)
        rows = state.comparison(query, counts_rows=counts_rows)
        compared = Query(f"with {_COMPARED} as ({rows}) {state.changes(_COMPARED, reread)}")
        found = fetch_traits(engine, workspace, request, state, compared)
        return _snapshot(engine, found, state, counts_rows=counts_rows)
    may_fold = comparison.may_fold and not any(each.left_out for each in state.tables)
    state, new = advance(
        engine,
        replace(comparison, may_fold=may_fold),
        state,
        lambda state: state.comparison(query, counts_rows=counts_rows),
        query,
    )
    found = fetch_traits(engine, workspace, request, state, state.changes(engine.place(new.name), reread))
    compared_state = ComparedState(
        source=comparison.source,
        subject=comparison.subject,
        before=tuple(state.tables),
        new=keep_changes(engine, new, is_kept=found.has_changed),
        traits=tuple(request.traits),
    )
    return replace(_snapshot(engine, found, state, counts_rows=counts_rows), state=compared_state)


def check_traits(engine: Engine, request: SnapshotRequest, columns: TraitColumns, table: str) -> None:
    """Raise SourceError if a column has a type that can't be compared, or kept in a table. No row is read.

    ``table``: the name of an empty table, which is created and dropped.
    """
    remedy = "Remove its trait, or cast it to text in the query."
    with engine.explaining("computed traits can't be compared", remedy, request.query):
        try:
            _create_empty(engine, request, columns, table)
        except engine.errors:
            for name, kind in columns.types.items():
                with engine.explaining(
                    f"the column {name!r}, of type {kind}, can't be compared", remedy, request.query
                ):
                    _create_empty(engine, request, replace(columns, types={name: kind}), table)
            raise


def _create_empty(engine: Engine, request: SnapshotRequest, columns: TraitColumns, table: str) -> None:
    state = TraitsState(engine.dialect, engine.place, (), columns)
    engine.create(table, Query(f"select * from ({state.comparison(request.query or '')}) c where 1 = 0"))
    engine.drop(table)


def _fits(engine: Engine, state: TraitsState, comparison: Comparison) -> bool:
    """Whether the columns have the types of the query's, and there are not too many tables: some are not folded."""
    if not state.tables:
        return True
    if len(state.tables) > 4 * MOST_DELTAS:
        return False
    base = state.tables[0].name
    with engine.explaining(UNREADABLE, f"Run again. If a table is damaged: {comparison.mend}"):
        if base not in engine.tables(comparison.prefix):
            return True  # so the comparison reports the damage
        stored = dict(engine.columns(f"select * from {engine.place(base)}"))
    found, plain = (
        [kind for name, kind in stored.items() if name.lower().startswith("value_")],
        engine.dialect.plain_type,
    )
    return list(map(plain, found)) == list(map(plain, state.columns.types.values()))


def _snapshot(engine: Engine, found: FetchedTraits, state: TraitsState, *, counts_rows: bool) -> SnapshotRows:
    """The fetched rows, with a NULL for each row without a valid id; and the users who left, unless all are new."""
    rows, invalid = found.rows, f"from {found.others}, range(row_count) where change not in {WITHOUT_ROWS}"
    without_ids = f" union all by name select null::varchar as user_id {invalid}"
    is_whole = not state.tables
    unchecked = rows.unchecked and replace(rows.unchecked, select=rows.unchecked.select + without_ids)
    return replace(
        rows,
        select=rows.select + without_ids,
        unchecked=unchecked if is_whole else None,
        invalid_rows=f"select '{QUERY_NAME}' as file, 0 as \"row\", user_id, change as reason {invalid} "
        f'union all select file, 0 as "row", user_id, reason from ({rows.invalid_rows})',
        left=None if is_whole else Query(f"select user_id from {found.others} where change in {WITHOUT_ROWS}"),
        is_empty=not is_whole and _is_empty(engine, found, state),
        row_count=found.counts[TOTAL] if counts_rows else None,
    )


def _is_empty(engine: Engine, found: FetchedTraits, state: TraitsState) -> bool:
    """Whether all users of the last snapshot have left, and none has entered; False if none may have changed."""
    counts = found.counts
    if any(counts[each] for each in WITH_ROWS) or not any(counts[each] for each in WITHOUT_ROWS):
        return False
    with engine.explaining("counting users failed", CHECK):
        [(before,)] = engine.rows(state.user_count())
    return int(before) == counts[LEFT]

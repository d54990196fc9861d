"""Read the snapshots of computed traits from a place that compares them: only users with a changed row are fetched."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.sources.base import ComparedState, Comparison, SnapshotRequest, SnapshotRows
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.rows.snapshot_query import MAX_RAW_CHARACTERS, snapshot_rows
from audience_sync.sources.rows.spool import spool
from audience_sync.sources.warehouse.columns import QUERY_NAME
from audience_sync.sources.warehouse.compare import CHECK, MOST_DELTAS, advance, keep_changes
from audience_sync.sources.warehouse.comparison_sql import ENTERED, LEFT, TOTAL
from audience_sync.sources.warehouse.engine import Engine, Row
from audience_sync.sources.warehouse.fetch import CORRECT_QUERY
from audience_sync.sources.warehouse.traits_sql import REPEATED, UNCHANGED, TraitColumns, TraitsState
from audience_sync.sql import WRITTEN_CSV, Query, Relation, TableName, csv_scan
from audience_sync.workspace import Workspace

#: The names of our columns among those of the source, of which each may be a trait's.
_OURS = ("user_id of the row", "change of the row", "count of the rows")
#: Changes of rows, and of users of whom there may be no row.
_WITH_ROWS, _WITHOUT_ROWS = (ENTERED, UNCHANGED), (LEFT, REPEATED)
#: The name of a preview's comparison, which has no table.
_COMPARED = Relation("compared")


class _Fetched(Struct, frozen=True):
    """The rows of users who may have changed.

    ``others``: a table of users without rows, and of rows without a valid id. ``counts``: how many of each change, and
    under ``TOTAL`` the number of all rows of the snapshot.
    """

    rows: SnapshotRows
    others: TableName
    counts: Mapping[str, int]

    @property
    def has_changed(self) -> bool:
        """Whether a row is new or gone."""
        return self.counts[ENTERED] + self.counts[LEFT] > 0


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
        rows = state.comparison(query, counts_rows=counts_rows)
        compared = Query(f"with {_COMPARED} as ({rows}) {state.changes(_COMPARED, reread)}")
        found = _fetch(engine, workspace, request, state, compared)
        return _snapshot(engine, found, state, counts_rows=counts_rows)
    may_fold = comparison.may_fold and not any(each.left_out for each in state.tables)
    state, new = advance(
        engine,
        replace(comparison, may_fold=may_fold),
        state,
        lambda state: state.comparison(query, counts_rows=counts_rows),
        query,
    )
    found = _fetch(engine, workspace, request, state, state.changes(engine.place(new.name), reread))
    compared_state = ComparedState(
        source=comparison.source,
        subject=comparison.subject,
        before=tuple(state.tables),
        new=keep_changes(engine, new, is_kept=found.has_changed),
        traits=tuple(request.traits),
    )
    return replace(_snapshot(engine, found, state, counts_rows=counts_rows), state=compared_state)


def check_traits(engine: Engine, request: SnapshotRequest, columns: TraitColumns) -> None:
    """Raise SourceError if a column has a type that the engine can't compare. No row is read."""
    state = TraitsState(engine.dialect, engine.place, (), columns)
    remedy = "Remove the trait whose column can't be cast to text, or cast it in the query."
    with engine.explaining("computed traits can't be compared", remedy, request.query):
        engine.columns(state.comparison(request.query or ""))


def _fits(engine: Engine, state: TraitsState, comparison: Comparison) -> bool:
    """Whether the columns have the types of the query's, and there are not too many tables: some are not folded."""
    if not state.tables:
        return True
    if len(state.tables) > 4 * MOST_DELTAS:
        return False
    base = state.tables[0].name
    with engine.explaining("the last snapshot can't be read", CHECK):
        if base not in engine.tables(comparison.prefix):
            return True  # so the comparison reports the damage
        stored = dict(engine.columns(f"select * from {engine.place(base)}"))
    found, plain = (
        [kind for name, kind in stored.items() if name.lower().startswith("value_")],
        engine.dialect.plain_type,
    )
    return list(map(plain, found)) == list(map(plain, state.columns.types.values()))


def _fetch(
    engine: Engine, workspace: Workspace, request: SnapshotRequest, state: TraitsState, changes: Query
) -> _Fetched:
    """Stream the rows of users into a file, by the rules of values of any source; and the others into a table."""
    path, counts = workspace.path("-others.csv"), dict.fromkeys((*_WITH_ROWS, *_WITHOUT_ROWS, TOTAL), 0)

    def users(out: Any) -> Iterator[Row]:
        for batch in engine.stream(changes):
            for row in batch:
                user_id, change, row_count, *_ = row
                if change in counts:
                    counts[change] += int(row_count) if change == TOTAL else 1
                if change in _WITH_ROWS:
                    yield row
                elif change != TOTAL:
                    # PostgreSQL can't store NUL characters, not even in a report about them.
                    raw = user_id and user_id[:MAX_RAW_CHARACTERS].replace("\0", "\ufffd")
                    out.writerow((user_id if change in counts else raw, change, row_count))

    wanted = replace(request, user_id=_OURS[0])
    with (
        engine.explaining("fetching the changes failed", CORRECT_QUERY, request.query),
        path.open("w", encoding="utf-8", newline="") as out,
    ):
        rows = users(csv.writer(out, lineterminator="\r\n"))
        part = spool(workspace, QUERY_NAME, [*_OURS, *state.columns.types], rows, wanted)
    columns = {"user_id": "varchar", "change": "varchar", "row_count": "bigint"}
    others = workspace.table("others", f"from {csv_scan(path, columns, options=WRITTEN_CSV)}")
    return _Fetched(
        rows=snapshot_rows(workspace, wanted, [part], ScanErrors({}, what=QUERY_NAME)),
        others=others,
        counts=counts,
    )


def _snapshot(engine: Engine, found: _Fetched, state: TraitsState, *, counts_rows: bool) -> SnapshotRows:
    """The fetched rows, with a NULL for each row without a valid id; and the users who left, unless all are new."""
    rows, invalid = found.rows, f"from {found.others}, range(row_count) where change not in {_WITHOUT_ROWS}"
    without_ids = f" union all by name select null::varchar as user_id {invalid}"
    is_whole = not state.tables
    unchecked = rows.unchecked and replace(rows.unchecked, select=rows.unchecked.select + without_ids)
    return replace(
        rows,
        select=rows.select + without_ids,
        unchecked=unchecked if is_whole else None,
        invalid_rows=f"select '{QUERY_NAME}' as file, 0 as \"row\", user_id, change as reason {invalid} "
        f'union all select file, 0 as "row", user_id, reason from ({rows.invalid_rows})',
        left=None if is_whole else Query(f"select user_id from {found.others} where change in {_WITHOUT_ROWS}"),
        is_empty=not is_whole and _is_empty(engine, found, state),
        row_count=found.counts[TOTAL] if counts_rows else None,
    )


def _is_empty(engine: Engine, found: _Fetched, state: TraitsState) -> bool:
    """Whether all users of the last snapshot have left, and none has entered; False if none may have changed."""
    counts = found.counts
    if any(counts[each] for each in _WITH_ROWS) or not any(counts[each] for each in _WITHOUT_ROWS):
        return False
    with engine.explaining("counting users failed", CHECK):
        [(before,)] = engine.rows(state.user_count())
    return int(before) == counts[LEFT]

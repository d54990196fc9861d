"""Fetch the rows of users whose computed traits may have changed, by the rules for values of any source."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.sources.base import SnapshotRequest, SnapshotRows
from audience_sync.sources.rows.scan import Column, Scan, SnapshotPart, snapshot_part
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.rows.snapshot_query import MAX_RAW_CHARACTERS, snapshot_rows
from audience_sync.sources.rows.spool import spool
from audience_sync.sources.warehouse.columns import QUERY_NAME
from audience_sync.sources.warehouse.comparison_sql import ENTERED, LEFT, TOTAL
from audience_sync.sources.warehouse.engine import Engine, Row
from audience_sync.sources.warehouse.fetch import CORRECT_QUERY
from audience_sync.sources.warehouse.traits_sql import REPEATED, UNCHANGED, TraitsState
from audience_sync.sql import WRITTEN_CSV, Query, Relation, TableName, csv_scan, quote_identifier
from audience_sync.workspace import Workspace

#: The names of our columns among those of the source, of which each may be a trait's.
_OURS = ("user_id of the row", "change of the row", "count of the rows")
#: Changes of rows, and of users of whom there may be no row.
WITH_ROWS, WITHOUT_ROWS = (ENTERED, UNCHANGED), (LEFT, REPEATED)


class FetchedTraits(Struct, frozen=True):
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


def fetch_traits(
    engine: Engine, workspace: Workspace, request: SnapshotRequest, state: TraitsState, changes: Query
) -> FetchedTraits:
    """``changes``: a query of ``TraitsState.changes``."""
    wanted, fetch = replace(request, user_id=_OURS[0]), _load if engine.loads_types else _stream
    with engine.explaining("fetching the changes failed", CORRECT_QUERY, request.query):
        part, others, counts = fetch(engine, workspace, wanted, state, changes)
    return FetchedTraits(
        rows=snapshot_rows(workspace, wanted, [part], ScanErrors({}, what=QUERY_NAME)),
        others=others,
        counts=dict.fromkeys((*WITH_ROWS, *WITHOUT_ROWS, TOTAL), 0) | counts,
    )


_Parts = tuple[SnapshotPart, TableName, dict[str, int]]


def _load(engine: Engine, workspace: Workspace, wanted: SnapshotRequest, state: TraitsState, changes: Query) -> _Parts:
    """Load all rows into a table, whose values follow the rules for typed files."""
    table = engine.load(workspace, changes, {})
    types = {name: kind for name, kind, *_ in workspace.all(f"describe {table}")}
    columns = {
        name: Column(quote_identifier(column), types[column])
        for name, column in zip((_OURS[0], *state.columns.types), ("user_id", *state.values), strict=True)
    }
    scan = Relation(f"(select * from {table} where change in {WITH_ROWS})")
    # PostgreSQL can't store NUL characters, not even in a report about them.
    raw = f"replace(left(user_id, {MAX_RAW_CHARACTERS}), chr(0), '\ufffd')"
    is_user = f"change in {WITHOUT_ROWS}"
    others = workspace.table(
        "others",
        f"select case when {is_user} then user_id else {raw} end as user_id, change, row_count from {table} "
        f"where change not in {(*WITH_ROWS, TOTAL)}",
    )
    numbers = f"select change, case when change = '{TOTAL}' then max(row_count) else count(*) end from {table}"
    counts = {change: int(number) for change, number in workspace.all(f"{numbers} group by change")}
    return snapshot_part(Scan(name=QUERY_NAME, scan=scan, columns=columns), wanted), others, counts


def _stream(
    engine: Engine, workspace: Workspace, wanted: SnapshotRequest, state: TraitsState, changes: Query
) -> _Parts:
    """Stream the rows of users into a file, and the others into a table."""
    path, counts = workspace.path("-others.csv"), dict.fromkeys((*WITH_ROWS, *WITHOUT_ROWS, TOTAL), 0)

    def users(out: Any) -> Iterator[Row]:
        for batch in engine.stream(changes):
            for row in batch:
                user_id, change, row_count, *_ = row
                if change in counts:
                    counts[change] += int(row_count) if change == TOTAL else 1
                if change in WITH_ROWS:
                    yield row
                elif change != TOTAL:
                    # PostgreSQL can't store NUL characters, not even in a report about them.
                    raw = user_id and user_id[:MAX_RAW_CHARACTERS].replace("\0", "\ufffd")
                    out.writerow((user_id if change in counts else raw, change, row_count))

    with path.open("w", encoding="utf-8", newline="") as out:
        rows = users(csv.writer(out, lineterminator="\r\n"))
        part = spool(workspace, QUERY_NAME, [*_OURS, *state.columns.types], rows, wanted)
    columns = {"user_id": "varchar", "change": "varchar", "row_count": "bigint"}
    others = workspace.table("others", f"from {csv_scan(path, columns, options=WRITTEN_CSV)}")
    return part, others, counts

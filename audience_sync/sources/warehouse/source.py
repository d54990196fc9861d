"""Read snapshots from a place that compares them: only changes are fetched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from secrets import token_hex

from msgspec.structs import replace

from audience_sync.errors import IncompleteError, SourceError
from audience_sync.sources.base import Comparison, SnapshotRequest, SnapshotRows, Source
from audience_sync.sources.readiness import too_old_reason
from audience_sync.sources.rows.snapshot_query import MAX_RAW_CHARACTERS
from audience_sync.sources.warehouse.columns import QUERY_NAME, QueryColumns, find_columns
from audience_sync.sources.warehouse.compare import Compared, compare, preview
from audience_sync.sources.warehouse.comparison_sql import ENTERED, LEFT, TOTAL, subquery
from audience_sync.sources.warehouse.engine import Engine, Row
from audience_sync.sources.warehouse.fetch import CORRECT_QUERY
from audience_sync.sources.warehouse.traits import check_traits, read_traits
from audience_sync.sql import Query
from audience_sync.workspace import Workspace

#: Opens a connection. Its argument is whether it may write; where that is possible, another one is refused to.
Connect = Callable[[bool], AbstractContextManager[Engine]]
#: The beginning of the names of tables that `check` creates.
_CHECK = "sync_check_"


class WarehouseSource(Source):
    """A source that compares snapshots itself. Lists and samples are fetched, by ``fetched``."""

    def __init__(self, fetched: Source, connect: Connect) -> None:
        self._fetched, self._connect = fetched, connect

    def stop(self) -> None:
        self._fetched.stop()

    def fingerprint(self, request: SnapshotRequest) -> str | None:
        return self._fetched.fingerprint(request)

    def check(self) -> str:
        """Create an empty table and drop it. Raises SourceError, with the GRANT to run, if this user may not."""
        found = self._fetched.check()
        with self._connect(True) as engine:
            what = f"{engine.label} can't keep the last snapshots"
            with engine.explaining("the query for the user failed", "Try again."):
                remedy = engine.missing_right()
            with engine.explaining(what, remedy):
                table = _check_table()
                engine.create(table, Query("select 1 as nothing where 1 = 0"))
                for each in {table, *engine.tables(_CHECK)}:  # also of a check that was killed
                    engine.drop(each)
            return f"{found}; compares in {engine.label}"

    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        comparison = request.comparison
        if comparison is None:
            if request.sample_rows is not None:  # it is checked
                with self._connect(False) as engine:
                    columns = find_columns(engine, request)
                if request.traits:
                    with self._connect(True) as engine:
                        check_traits(engine, request, columns.of_traits, _check_table())
            return self._fetched.read(workspace, request)
        with self._connect(False) as engine:
            if reason := too_old_reason(request.expected, partial(_ask_modified, engine)):
                raise IncompleteError(reason)
            columns = find_columns(engine, request)
            rows = _read(engine, workspace, request, comparison, columns) if comparison.run is None else None
        if rows is None:
            with self._connect(True) as engine:
                rows = _read(engine, workspace, request, comparison, columns)
        return replace(rows, columns=columns.generic_types if request.expected.columns else None)


def _check_table() -> str:
    return f"{_CHECK}{token_hex(4)}"


def _ask_modified(engine: Engine, query: str) -> Sequence[Row]:
    with engine.explaining("the query `modified` failed", CORRECT_QUERY, query):
        return engine.rows(Query(f"select * from {subquery(query)}"), 1)


def _read(
    engine: Engine, workspace: Workspace, request: SnapshotRequest, comparison: Comparison, columns: QueryColumns
) -> SnapshotRows:
    if request.traits:
        return read_traits(engine, workspace, request, comparison, columns.of_traits)
    find = preview if comparison.run is None else compare
    found = find(engine, workspace, request, columns.of_audience)
    rows = _snapshot_rows(found, request, is_whole=not comparison.state)
    if not comparison.counts_rows:
        return rows
    return replace(
        rows, row_count=workspace.one(f"select row_count from {found.changes.table} where change = '{TOTAL}'")[0]
    )


def _snapshot_rows(found: Compared, request: SnapshotRequest, *, is_whole: bool) -> SnapshotRows:
    """The users who entered, and a NULL for each row without a valid id; and the users who left, unless all entered."""
    table, name = found.changes.table, "name, " if request.name else ""
    invalid = f"from {table}, range(row_count) where change not in ('{ENTERED}', '{LEFT}', '{TOTAL}')"
    # PostgreSQL can't store NUL characters, not even in a report about them.
    raw = f"replace(left(user_id, {MAX_RAW_CHARACTERS}), chr(0), '\ufffd') as user_id"
    return SnapshotRows(
        select=f"select {name}user_id from {table} where change = '{ENTERED}' "
        f"union all select {name}null::varchar as user_id {invalid}",
        invalid_rows=f"select '{QUERY_NAME}' as file, 0 as \"row\", {raw}, change as reason {invalid}",
        explain=lambda error: SourceError(f"{QUERY_NAME}: the changes can't be read: {error}"),
        rereadable=True,
        left=None if is_whole else Query(f"select {name}user_id from {table} where change = '{LEFT}'"),
        held=found.changes.held,
        fetched=table,
        state=found.state,
    )

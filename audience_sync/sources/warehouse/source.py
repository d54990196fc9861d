"""Read the snapshots of audiences from a place that compares them: only changes are fetched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from secrets import token_hex

from msgspec.structs import replace

from audience_sync.errors import IncompleteError, SourceError
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source
from audience_sync.sources.readiness import too_old_reason
from audience_sync.sources.rows.column_schema import generic_type
from audience_sync.sources.rows.scan import duplicate_column, missing_column
from audience_sync.sources.rows.snapshot_query import MAX_RAW_CHARACTERS
from audience_sync.sources.warehouse.compare import Compared, compare, preview
from audience_sync.sources.warehouse.comparison_sql import ENTERED, LEFT, ComparedColumns, column_of, subquery
from audience_sync.sources.warehouse.engine import Engine, Row
from audience_sync.sources.warehouse.fetch import CORRECT_QUERY
from audience_sync.sql import Query
from audience_sync.workspace import Workspace

QUERY_NAME = "the query"
#: Opens a connection. Its argument is whether it may write; where that is possible, another one is refused to.
Connect = Callable[[bool], AbstractContextManager[Engine]]
#: The beginning of the names of tables that `check` creates.
_CHECK = "sync_check_"


class WarehouseSource(Source):
    """A source that compares the snapshots of audiences itself. Everything else is fetched, by ``fetched``."""

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
                table = f"{_CHECK}{token_hex(4)}"
                engine.create(table, Query("select 1 as nothing where 1 = 0"))
                for each in {table, *engine.tables(_CHECK)}:  # also of a check that was killed
                    engine.drop(each)
            return f"{found}; compares in {engine.label}"

    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        comparison = request.comparison
        if comparison is None:
            if request.sample_rows is not None and not request.traits:  # an audience is checked
                with self._connect(False) as engine:
                    _columns(engine, request)
            return self._fetched.read(workspace, request)
        with self._connect(False) as engine:
            if reason := too_old_reason(request.expected, partial(_ask_modified, engine)):
                raise IncompleteError(reason)
            columns, types = _columns(engine, request)
            found = preview(engine, workspace, request, columns) if comparison.run is None else None
        if found is None:
            with self._connect(True) as engine:
                found = compare(engine, workspace, request, columns)
        rows = _snapshot_rows(found, request, is_whole=not comparison.state)
        return replace(rows, columns=types if request.expected.columns else None)


def _ask_modified(engine: Engine, query: str) -> Sequence[Row]:
    with engine.explaining("the query `modified` failed", CORRECT_QUERY, query):
        return engine.rows(Query(f"select * from {subquery(query)}"), 1)


def _columns(engine: Engine, request: SnapshotRequest) -> tuple[ComparedColumns, dict[str, str]]:
    """SQL for the requested columns, and all columns of the query with their generic types. No row is read.

    Where connections can be read-only, this refuses a query that writes.
    """
    with engine.explaining("the query failed", CORRECT_QUERY, request.query):
        columns = engine.columns(request.query or "")
    names, types = [name for name, _ in columns], dict(columns)
    for name in (request.user_id, *([request.name] if request.name else [])):
        if name not in names:
            raise missing_column(QUERY_NAME, name, names, request)
        if names.count(name) > 1:
            raise duplicate_column(QUERY_NAME, name)
    dialect = engine.dialect
    user_id = dialect.user_id(column_of(dialect, request.user_id), types[request.user_id])
    if user_id is None:
        what = f"column {request.user_id!r} has the type {types[request.user_id]}"
        remedy = "Choose another column, or cast this one to text."
        raise SourceError(f"{QUERY_NAME}: {what}, which can't hold user ids. {remedy}")
    audience = request.name and dialect.name(column_of(dialect, request.name), types[request.name])
    return ComparedColumns(user_id, audience or None), {name: generic_type(kind) for name, kind in columns}


def _snapshot_rows(found: Compared, request: SnapshotRequest, *, is_whole: bool) -> SnapshotRows:
    """The users who entered, and a NULL for each row without a valid id; and the users who left, unless all entered."""
    table, name = found.changes.table, "name, " if request.name else ""
    invalid = f"from {table}, range(row_count) where change not in ('{ENTERED}', '{LEFT}')"
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
        state=found.state,
    )

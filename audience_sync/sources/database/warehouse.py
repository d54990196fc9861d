"""Compare snapshots in the warehouse that has their rows: only changes are fetched.

The warehouse keeps the last snapshot in tables of a schema of their own: a base, and a table of changes for each run
after it. A table is written once, under a name that no run uses again. The store names those that count, in the
transaction of the run's commit; a table that it does not name was left by a run that ended early, and is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from audience_sync.errors import IncompleteError, SourceError
from audience_sync.model import StateTable
from audience_sync.sources.base import ComparedState, Comparison, SnapshotRequest, SnapshotRows
from audience_sync.sources.database.comparison_sql import ENTERED, LEFT, ComparedColumns, StateQuery
from audience_sync.sources.database.dialects import DIALECTS, Dialect
from audience_sync.sources.database.source import CORRECT_QUERY, FETCH_ROWS, QUERY_NAME, DatabaseSource
from audience_sync.sources.rows.column_schema import generic_type
from audience_sync.sources.rows.scan import duplicate_column, missing_column
from audience_sync.sql import Query, TableName
from audience_sync.workspace import Workspace

#: A state is folded into a new base when it has this many tables of changes, or these hold this share of its rows.
MOST_DELTAS = 12
MOST_DELTA_SHARE = 0.25
#: Options of statements. A cursor, which a streamed one is, can run one SELECT and nothing else.
_STREAMED: Mapping[str, Any] = {"stream_results": True, "yield_per": FETCH_ROWS, "no_parameters": True}
_AT_ONCE: Mapping[str, Any] = {"stream_results": False, "no_parameters": True}
_COLUMNS = {"user_id": "varchar", "change": "varchar", "row_count": "bigint"}


class _Compared(NamedTuple):
    """The changes, in the workspace; and the tables of the state with them."""

    table: TableName
    state: ComparedState | None


class WarehouseSource(DatabaseSource):
    """A database that compares the snapshots of audiences itself. Other queries are fetched.

    ``schema``: has the tables of last snapshots, and nothing else.
    """

    def __init__(self, url: str, schema: str) -> None:
        super().__init__(url)
        self._schema = schema
        self._dialect_name = self._url.get_backend_name()

    @property
    def _dialect(self) -> Dialect:
        if self._dialect_name not in DIALECTS:
            able = ", ".join(sorted(DIALECTS))
            raise SourceError(
                f"`compare: in_warehouse` is not possible in {self._dialect_name}, only in {able}. "
                "Remove it: then the rows are fetched and compared here."
            )
        return DIALECTS[self._dialect_name]

    def check(self) -> str:
        """Raises SourceError, with the GRANT to run, if this user may not create tables in the schema."""
        dialect = self._dialect
        with self._connect() as connection:
            rows = self._ask(connection, "the query for rights", dialect.may_create(self._schema))
            allowed = rows[0][0] if rows else None
        if not allowed:
            grants = dialect.grants(self._schema, self._url.username or "audience_sync")
            what = "there is no such schema" if allowed is None else "this user may not create tables in it"
            raise SourceError(
                f"database {self._redactor.url}: the schema '{self._schema}' can't keep the last snapshots: {what}. "
                f"An administrator has to run: {grants}"
            )
        return f"database {self._redactor.url}, connected; compares in schema {self._schema}"

    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        comparison, query = request.comparison, request.query or ""
        if comparison is None:
            if request.sample_rows is not None and not request.traits:  # an audience is checked
                with self._connect() as connection:
                    self._columns(connection, query, request)
            return super().read(workspace, request)
        with self._connect() as connection:
            if reason := self._stale_reason(connection, request):
                raise IncompleteError(reason)
            columns, types = self._columns(connection, query, request)
            state = StateQuery(self._dialect, self._schema, comparison.state, request.name is not None)
            if comparison.run is None:
                found = _Compared(self._fetch(connection, workspace, state.comparison(query, columns), request), None)
        if comparison.run is not None:
            with self._writing() as connection:
                found = self._compare(connection, workspace, request, state, columns)
        rows = _snapshot_rows(found, request, is_whole=not comparison.state)
        return replace(rows, columns=types if request.expected.columns else None)

    def _columns(
        self, connection: Connection, query: str, request: SnapshotRequest
    ) -> tuple[ComparedColumns, dict[str, str]]:
        """SQL for the requested columns, and all columns of the query with their types. No row is read."""
        try:
            none = f"select * from (\n{query.rstrip().rstrip(';')}\n) q limit 0"
            answer = connection.exec_driver_sql(none, execution_options=_STREAMED)
        except SQLAlchemyError as error:
            raise self._problem("the query failed", error, CORRECT_QUERY, query) from None
        with answer:
            description = answer.cursor.description if answer.cursor else ()
            names = [each[0] for each in description]
            types = {each[0]: str(getattr(each, "type_display", each[1] or "")) for each in description}
        for name in (request.user_id, *([request.name] if request.name else [])):
            if name not in names:
                raise missing_column(QUERY_NAME, name, names, request)
            if names.count(name) > 1:
                raise duplicate_column(QUERY_NAME, name)
        dialect = self._dialect
        user_id = dialect.id_text(request.user_id, types[request.user_id])
        if user_id is None:
            what = f"column {request.user_id!r} has the type {types[request.user_id]}"
            remedy = "Choose another column, or cast this one to text."
            raise SourceError(f"{QUERY_NAME}: {what}, which can't hold user ids. {remedy}")
        name_text = None if request.name is None else dialect.name(dialect.quote(request.name))
        return ComparedColumns(user_id, name_text), {name: generic_type(kind) for name, kind in types.items()}

    def _compare(
        self,
        connection: Connection,
        workspace: Workspace,
        request: SnapshotRequest,
        state: StateQuery,
        columns: ComparedColumns,
    ) -> _Compared:
        """Compare, keep the changes in a new table, and fetch them."""
        comparison = request.comparison
        assert comparison is not None
        tables = self._tables(connection, comparison)
        self._drop_left_over(connection, comparison, tables)
        self._require_whole(connection, state, tables, comparison.mend)
        if _is_long(state.tables):
            base = self._create(connection, comparison, "base", state.folded())
            state = replace(state, tables=(base,))
        kind = "delta" if state.tables else "base"
        new = self._create(connection, comparison, kind, state.comparison(request.query or "", columns), request.query)
        rows = Query(f"select {state.columns()}, change, row_count from {self._place(new.name)}")
        found = self._fetch(connection, workspace, rows, request)
        names: tuple[str, ...] = ()
        if request.name is not None:
            names = tuple(
                name for (name,) in workspace.all(f"select distinct name from {found} where name is not null")
            )
        is_empty = not workspace.one(f"select count(*) from {found} where change in ('{ENTERED}', '{LEFT}')")[0]
        before = tuple(state.tables)
        kept = None if before and is_empty else new
        return _Compared(found, ComparedState(source=comparison.source, before=before, new=kept, names=names))

    def _create(
        self, connection: Connection, comparison: Comparison, kind: str, rows: Query, query: str | None = None
    ) -> StateTable:
        """Create a table of these rows, and commit it. ``query``: the part that a person wrote."""
        name = f"{comparison.prefix}{comparison.run}_{kind}"
        name = f"{name}_{self._count(connection, f'{comparison.prefix}{comparison.run}_')}"
        self._execute(connection, Query(f"create table {self._place(name)} as {rows}"), query)
        connection.commit()
        return StateTable(name, kind == "base", self._rows_of(connection, name))

    def _count(self, connection: Connection, prefix: str) -> int:
        """The number of tables with this prefix, so that the next name is new."""
        return len(self._ask(connection, "the list of tables", self._dialect.tables(self._schema, prefix)))

    def _rows_of(self, connection: Connection, table: str) -> int:
        rows = self._ask(connection, f"counting {table}", f"select count(*) from {self._place(table)}")
        return int(rows[0][0])

    def _tables(self, connection: Connection, comparison: Comparison) -> set[str]:
        rows = self._ask(connection, "the list of tables", self._dialect.tables(self._schema, comparison.prefix))
        return {name for (name,) in rows}

    def _drop_left_over(self, connection: Connection, comparison: Comparison, tables: set[str]) -> None:
        """Drop what runs before this one have created and the store does not name."""
        for name in sorted(tables - comparison.in_use):
            if _run_of(name, comparison.prefix) < (comparison.run or 0):
                self._execute(connection, Query(f"drop table {self._place(name)}"))
        connection.commit()

    def _require_whole(self, connection: Connection, state: StateQuery, tables: set[str], mend: str) -> None:
        """Raise SourceError if a table is missing, or has other rows than the run that created it counted."""
        for each in state.tables:
            there = self._rows_of(connection, each.name) if each.name in tables else None
            if there == each.rows:
                continue
            what = "is missing" if there is None else f"has {there:,} rows, and had {each.rows:,} when it was created"
            raise SourceError(
                f"the last snapshot in the warehouse is damaged: the table {self._schema}.{each.name} {what}. Nothing "
                f"was compared or sent. To fetch everything, compare it here, and send it again: {mend}"
            )

    def _fetch(self, connection: Connection, workspace: Workspace, rows: Query, request: SnapshotRequest) -> TableName:
        """Stream the rows of a query into a table of the workspace."""
        columns = _COLUMNS if request.name is None else {"user_id": "varchar", "name": "varchar"} | _COLUMNS
        try:
            answer = connection.exec_driver_sql(rows, execution_options=_STREAMED)
            return workspace.load(columns, answer.partitions(FETCH_ROWS))
        except SQLAlchemyError as error:
            raise self._problem("fetching the changes failed", error, CORRECT_QUERY, request.query) from None

    def _execute(self, connection: Connection, statement: Query, query: str | None = None) -> None:
        try:
            connection.exec_driver_sql(statement, execution_options=_AT_ONCE)
        except SQLAlchemyError as error:
            raise self._problem("comparing failed", error, "Run: audience-sync check", query) from None

    def _place(self, table: str) -> str:
        return f"{self._dialect.quote(self._schema)}.{self._dialect.quote(table)}"

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._connect(read_only=False) as connection:
            yield connection


def _run_of(name: str, prefix: str) -> int:
    """The run that created a table, by its name; -1 if the name has no run."""
    number = name.removeprefix(prefix).partition("_")[0]
    return int(number) if number.isdecimal() else -1


def _is_long(tables: Sequence[StateTable]) -> bool:
    """Whether a state has so many changes that a new base is worth its time."""
    if len(tables) < 2:
        return False
    base, *deltas = tables
    return len(deltas) >= MOST_DELTAS or sum(each.rows for each in deltas) > MOST_DELTA_SHARE * max(base.rows, 1000)


def _snapshot_rows(found: _Compared, request: SnapshotRequest, *, is_whole: bool) -> SnapshotRows:
    """The users who entered, and a NULL for each row without a valid id; and the users who left, unless all entered."""
    table, name = found.table, "name, " if request.name else ""
    invalid = f"from {table}, range(row_count) where change not in ('{ENTERED}', '{LEFT}')"
    return SnapshotRows(
        select=f"select {name}user_id from {table} where change = '{ENTERED}' "
        f"union all select {name}null::varchar as user_id {invalid}",
        invalid_rows=f"select '{QUERY_NAME}' as file, 0 as \"row\", user_id, change as reason {invalid}",
        explain=lambda error: SourceError(f"{QUERY_NAME}: the changes can't be read: {error}"),
        rereadable=True,
        left=None if is_whole else Query(f"select {name}user_id from {table} where change = '{LEFT}'"),
        state=found.state,
    )

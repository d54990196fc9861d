"""Read snapshots from a DuckDB file, which is attached read-only for the time of one query."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
from msgspec.structs import replace

from audience_sync.config.read.paths import duckdb_files_of
from audience_sync.errors import IncompleteError, SourceError
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source
from audience_sync.sources.fingerprint import MAX_PROBE_ROWS, probe_fingerprint
from audience_sync.sources.readiness import too_old_reason
from audience_sync.sources.rows.column_schema import generic_type
from audience_sync.sources.rows.scan import Column, Scan, duplicate_column, snapshot_part, wanted_columns
from audience_sync.sources.rows.scan_errors import ScanErrors, first_line
from audience_sync.sources.rows.snapshot_query import snapshot_rows
from audience_sync.sources.sql_errors import DESCRIBE, statement_problem
from audience_sync.sql import Expression, Relation, quote_identifier, quote_literal
from audience_sync.text import display_path, pluralize
from audience_sync.workspace import Workspace, interruptible_query

QUERY_NAME = "the query"
#: DuckDB's name of a workspace's own tables, and those that a file can't have either.
_OWN = "memory"
_RESERVED = (_OWN, "system", "temp")
_RAISES_ERROR = re.compile(r"\berror\s*\(", re.IGNORECASE)
_ZONED = "TIMESTAMP WITH TIME ZONE"
#: Memory for a probe (bytes).
_PROBE_BYTES = 200_000_000
#: DuckDB's messages about a file, and what they mean.
_FILE_PROBLEMS = (
    (
        r"Conflicting lock .*?\(PID (?P<process>\d+)\)",
        "another process ({process}) has it open to write, and DuckDB then allows no reader. Nothing of it was used. "
        "Run again when that process has ended, or let it write a copy and rename that",
    ),
    (
        "Unique file handle conflict",
        "this process has it open to write. Nothing of it was used. Close that connection, and run again",
    ),
    (
        "version number|storage version|newer version",
        "another version of DuckDB wrote it ({message}). Nothing of it was used. "
        "Install that version: pip install --upgrade duckdb",
    ),
    (
        "not a valid DuckDB|[Cc]orrupt|checksum",
        "it is not a DuckDB database, or damaged. Nothing of it was used. "
        "Correct the path, or replace the file with a whole copy",
    ),
    ("Permission denied", "it can't be opened: permission denied. Let the user of this process read it"),
)

Cursor = duckdb.DuckDBPyConnection


class DuckDbSource(Source):
    """A DuckDB file. It can be read by several processes, or written by one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._cursor: Cursor | None = None

    def stop(self) -> None:
        if self._cursor is not None:
            self._cursor.interrupt()

    def check(self) -> str:
        with closing(self._new_database()) as database, self._attached(database) as cursor:
            tables, views = (
                cursor.execute(f"select count(*) from duckdb_{kind}s() where not internal").fetchall()[0][0]
                for kind in ("table", "view")
            )
        return f"DuckDB database {display_path(self._path)}, {pluralize(tables, 'table')}, {pluralize(views, 'view')}"

    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        if request.query is None:
            raise SourceError("a database is read by `query:`, not by `file:`. Correct the config.")
        errors = ScanErrors({}, what=QUERY_NAME, raises=bool(_RAISES_ERROR.search(request.query)))
        with self._attached(workspace.connection) as cursor:
            if reason := self._too_old_reason(cursor, request):
                raise IncompleteError(reason)
            described = _describe(cursor, QUERY_NAME, request.query)
            names = Counter(name for name, _ in described)
            if twice := next((name for name in wanted_columns(request) if names[name] > 1), None):
                raise duplicate_column(QUERY_NAME, twice)
            table = workspace.name("answer")
            rows = _renamed(request.query, described, request.sample_rows)
            try:
                cursor.execute(f"create table {_OWN}.main.{table} as {rows}")
            except duckdb.Error as error:
                raise self._file_problem(error) or errors.explain(error) from None
        columns = {name: Column(Expression(f"c{index}"), kind) for index, (name, kind) in enumerate(described)}
        part = snapshot_part(Scan(name=QUERY_NAME, scan=Relation(table), columns=columns), request)
        types = {name: generic_type(kind) for name, kind in described} if request.expected.columns else None
        return replace(snapshot_rows(workspace, request, [part], errors, rereadable=True), columns=types)

    def fingerprint(self, request: SnapshotRequest) -> str | None:
        if request.probe is None:
            return None
        with closing(self._new_database()) as database, self._attached(database) as cursor:
            if self._too_old_reason(cursor, request):
                return None
            return probe_fingerprint(request, self._ask(cursor, "the probe", request.probe))

    def _new_database(self) -> Cursor:
        """A database in memory that can open this file, and nothing else."""
        options: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{_PROBE_BYTES}B",
            "threads": 1,
            "temp_directory": "",
        }
        options |= {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
        database = duckdb.connect(":memory:", config=options)
        paths = ", ".join(map(quote_literal, duckdb_files_of(self._path)))
        for setting in (f"allowed_paths = [{paths}]", "enable_external_access = false", "lock_configuration = true"):
            database.execute(f"set {setting}")
        return database

    @contextmanager
    def _attached(self, database: Cursor) -> Iterator[Cursor]:
        """A cursor whose tables are those of the file."""
        if not Path(self._path).is_file():
            raise SourceError(
                f"the DuckDB database {display_path(self._path)} does not exist. Correct the path, or create it."
            )
        name = quote_identifier(_database_name(self._path))
        path = quote_literal(duckdb_files_of(self._path)[0])
        with closing(database.cursor()) as cursor, interruptible_query(cursor):
            self._cursor = cursor
            try:
                cursor.execute(f"attach {path} as {name} (type duckdb, read_only)")
                cursor.execute(f"use {name}")
            except duckdb.Error as error:
                raise self._file_problem(error) or self._problem(first_line(str(error))) from None
            try:
                yield cursor
            finally:
                cursor.execute(f"use {_OWN}")
                cursor.execute(f"detach {name}")

    def _too_old_reason(self, cursor: Cursor, request: SnapshotRequest) -> str | None:
        return too_old_reason(request.expected, lambda query: self._ask(cursor, "the query `modified`", query))

    def _ask(self, cursor: Cursor, what: str, query: str) -> Sequence[Any]:
        described = _describe(cursor, what, query)
        try:
            return cursor.execute(_in_utc(query, described)).fetchmany(MAX_PROBE_ROWS + 1)
        except duckdb.Error as error:
            raise self._file_problem(error) or ScanErrors({}, what=what).explain(error) from None

    def _file_problem(self, error: Exception) -> SourceError | None:
        message = str(error)
        for pattern, meaning in _FILE_PROBLEMS:
            if found := re.search(pattern, message):
                return self._problem(meaning.format(message=first_line(message), **found.groupdict()))
        return None

    def _problem(self, what: str) -> SourceError:
        return SourceError(f"the DuckDB database {display_path(self._path)} can't be read: {what}.")


def _database_name(path: str) -> str:
    """The name by which queries can call the database, as DuckDB derives it from its file."""
    name = Path(path).name.split(".")[0] or "database"
    return f"{name}_db" if name.lower() in _RESERVED else name


def _describe(cursor: Cursor, what: str, query: str) -> list[tuple[str, str]]:
    """The columns of a query's answer, with their types. Raises SourceError unless it is one SELECT."""
    try:
        statements = cursor.extract_statements(query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise SourceError(f"{what} must be one SELECT statement. Nothing was run. Correct it in the config.")
        return [(row[0], row[1]) for row in cursor.execute(f"{DESCRIBE}{_plain(query)}").fetchall()]
    except duckdb.Error as error:
        raise statement_problem(str(error), what) from None


def _renamed(query: str, described: Sequence[tuple[str, str]], limit: int | None = None) -> str:
    """The query with the columns ``c0``, ``c1`` and so on, and at most so many rows."""
    names = ", ".join(f"c{index}" for index in range(len(described)))
    most = "" if limit is None else f" limit {limit}"
    return f"select * from (\n{_plain(query)}\n) as answer({names}){most}"


def _in_utc(query: str, described: Sequence[tuple[str, str]]) -> str:
    """The query with times in UTC in place of times with a zone, for which the driver needs another package."""
    kinds = (
        f"c{index} at time zone 'UTC'" if kind == _ZONED else f"c{index}" for index, (_, kind) in enumerate(described)
    )
    return f"select {', '.join(kinds)} from ({_renamed(query, described)})"


def _plain(query: str) -> str:
    return query.rstrip().rstrip(";")

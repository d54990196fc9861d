"""Read snapshots from a database: one streamed query in a read-only transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from sqlalchemy import (
    URL,
    Connection,
    CursorResult,
    Dialect,
    NullPool,
    Row,
    Select,
    create_engine,
    literal_column,
    make_url,
    select,
    table,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from audience_sync.config.read.paths import SqliteUrl
from audience_sync.errors import IncompleteError, SourceError
from audience_sync.poolers import pooler_refusal
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source
from audience_sync.sources.database.drivers import (
    CLICKHOUSE,
    MYSQL,
    Stopper,
    abandon,
    accept_undecodable_texts,
    connect_arguments,
    is_damaged,
    prepare,
    type_name,
)
from audience_sync.sources.database.extras import how_to_install, with_driver
from audience_sync.sources.database.redact_errors import ErrorRedactor
from audience_sync.sources.fingerprint import MAX_PROBE_ROWS, probe_fingerprint
from audience_sync.sources.readiness import too_old_reason
from audience_sync.sources.rows.column_schema import generic_type
from audience_sync.sources.rows.scan import SnapshotPart
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.rows.snapshot_query import snapshot_rows
from audience_sync.sources.rows.spool import spool
from audience_sync.text import display_path
from audience_sync.workspace import Workspace

if TYPE_CHECKING:
    from audience_sync.sources.database.clickhouse import RowBlocks

QUERY_NAME = "the query"
CORRECT_QUERY = "It must be one SELECT and nothing else. Correct it in the config."
REPLACE_FILE = "Correct the path, or replace the file with a whole copy."
CORRECT_DATA = "Correct the query in the config, or the data that it reads."
FETCH_ROWS = 10_000
#: The name of a query as the subquery of another one.
_SUBQUERY = "few_rows"
#: The message of SQLite's driver about a text that is not UTF-8.
_UNDECODABLE = "Could not decode to UTF-8"


class _UndecodableError(Exception):
    """The answer has a text that the driver can't decode with its current settings."""


class DatabaseSource(Source):
    """Any database with a URL of SQLAlchemy; SQLite's paths are relative to the working directory."""

    def __init__(self, url: str) -> None:
        self._url = parse_url(url)
        self._redactor = ErrorRedactor(self._url)
        self._stopper = Stopper()

    @property
    def backend(self) -> str:
        """SQLAlchemy's name of the database."""
        return self._url.get_backend_name()

    def stop(self) -> None:
        self._stopper.stop()

    def check(self) -> str:
        with self.connect():
            return f"database {self._redactor.url}, connected"

    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        if request.query is None:
            raise SourceError("a database is read by `query:`, not by `file:`. Correct the config.")
        with self.connect() as connection:
            if reason := self._too_old_reason(connection, request):
                raise IncompleteError(reason)
            try:
                part, columns = self._spool(connection, workspace, request)
            except _UndecodableError:
                accept_undecodable_texts(connection)
                part, columns = self._spool(connection, workspace, request)
        rows = snapshot_rows(workspace, request, [part], ScanErrors({}, what=QUERY_NAME))
        return replace(rows, columns=columns if request.expected.columns else None)

    def fingerprint(self, request: SnapshotRequest) -> str | None:
        if request.probe is None:
            return None
        with self.connect() as connection:
            if self._too_old_reason(connection, request):
                return None
            rows = self._ask(connection, "the probe", request.probe)
        return probe_fingerprint(request, rows)

    def _ask(self, connection: Connection, what: str, query: str) -> Sequence[Any]:
        """The answer of a cheap query, by a cursor: on PostgreSQL a cursor can only run one SELECT."""
        if connection.dialect.name == CLICKHOUSE:
            with self._blocks(connection, query, f"{what} failed", CORRECT_QUERY) as blocks:
                return list(islice(blocks.rows, MAX_PROBE_ROWS + 1))
        try:
            answer = connection.execution_options(stream_results=True, no_parameters=True).exec_driver_sql(query)
            rows = answer.fetchmany(MAX_PROBE_ROWS + 1)
            answer.close()
            return rows
        except SQLAlchemyError as error:
            raise self.problem(f"{what} failed", error, CORRECT_QUERY, query) from None

    def _too_old_reason(self, connection: Connection, request: SnapshotRequest) -> str | None:
        return too_old_reason(
            request.expected, lambda modified: self._ask(connection, "the query `modified`", modified)
        )

    def _spool(
        self, connection: Connection, workspace: Workspace, request: SnapshotRequest
    ) -> tuple[SnapshotPart, Mapping[str, str]]:
        """The rows, and the columns of the answer with their types."""
        if connection.dialect.name == CLICKHOUSE:
            return self._spool_blocks(connection, workspace, request)
        query = request.query or ""
        at_once = request.sample_rows or FETCH_ROWS
        options = {"stream_results": True, "yield_per": at_once, "no_parameters": True}
        connection = connection.execution_options(**options)
        answer = None if request.sample_rows is None else _limited_answer(connection, query, request.sample_rows)
        try:
            answer = answer or connection.exec_driver_sql(query)
        except SQLAlchemyError as error:
            raise self.problem("the query failed", error, CORRECT_QUERY, query) from None
        if not answer.returns_rows:
            raise SourceError("the query returns no rows: it must be a SELECT. Correct it in the config.")
        description = answer.cursor.description if answer.cursor else ()
        columns = {each[0]: generic_type(type_name(connection.dialect, each)) for each in description}
        rows = islice(self._rows(answer, query, at_once), request.sample_rows)
        refuse = partial(_unusable_type_error, request)
        return spool(workspace, QUERY_NAME, list(answer.keys()), rows, request, refuse=refuse), columns

    def _spool_blocks(
        self, connection: Connection, workspace: Workspace, request: SnapshotRequest
    ) -> tuple[SnapshotPart, Mapping[str, str]]:
        """The same, of ClickHouse."""
        query, few = request.query or "", request.sample_rows
        statement = query if few is None else limited_query(connection.dialect, query, few)
        with self._blocks(connection, statement, "the query failed", CORRECT_QUERY, query) as blocks:
            rows = islice(blocks.rows, few)
            refuse = partial(_unusable_type_error, request)
            part = spool(workspace, QUERY_NAME, blocks.names, rows, request, refuse=refuse)
            return part, {name: generic_type(kind) for name, kind in blocks.columns.items()}

    @contextmanager
    def _blocks(
        self, connection: Connection, statement: str, what: str, remedy: str, query: str | None = None
    ) -> Iterator[RowBlocks]:
        from audience_sync.sources.database.clickhouse import row_blocks

        driver = connection.connection.driver_connection
        try:
            with row_blocks(driver, statement) as blocks:
                yield blocks
        except connection.dialect.loaded_dbapi.Error as error:
            raise self.problem(what, error, remedy, query or statement) from None

    def _rows(self, answer: CursorResult[Any], query: str, at_once: int) -> Iterator[Row[Any]]:
        """The rows of the answer. Raises SourceError if it breaks off, with the number of rows before."""
        count = 0
        try:
            for rows in answer.partitions(at_once):
                yield from rows
                count += len(rows)
        except SQLAlchemyError as error:
            if _UNDECODABLE in str(error):
                raise _UndecodableError from None
            after = f" after {count:,} rows" if count else ""
            raise self.problem(f"the query failed{after}", error, CORRECT_DATA, query) from None

    @contextmanager
    def connect(self, *, read_only: bool = True) -> Iterator[Connection]:
        """A connection. What is not committed at its end is rolled back; if it is ``read_only``, nothing can be."""
        self._require_file()
        try:
            url, arguments = connect_arguments(self._url)
            engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)
        except (ImportError, NoSuchModuleError) as error:
            raise self.problem("needs a driver that is not installed", error, how_to_install(self._url)) from None
        except Exception as error:  # of the driver, which may read files that the URL names
            raise self.problem("can't be opened", error, "Correct the URL.") from None
        try:
            connection = engine.connect()
        except (SQLAlchemyError, FileNotFoundError, TypeError) as error:  # the last two: options of the URL
            raise self.problem("can't connect", error, "Check the URL, and that it can be reached.") from None
        with connection:
            prepare(connection, read_only=read_only)
            self._stopper.watch(connection)
            driver = connection.connection.driver_connection
            try:
                yield connection
            except BaseException:
                abandon(connection, driver)
                raise
            connection.rollback()

    def _require_file(self) -> None:
        # SQLite would create an empty database, and then report a missing table.
        name = self._url.database
        if self.backend != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
            return
        if not Path(name).is_file():
            raise SourceError(
                f"the SQLite database {display_path(name)} does not exist. Correct the path, or create it."
            )

    def problem(self, what: str, error: Exception, remedy: str, query: str | None = None) -> SourceError:
        cause = getattr(error, "orig", None) or error
        if refusal := pooler_refusal(str(cause)):
            reason, advice = refusal
            return SourceError(f"database {self._redactor.url}: can't be read: {reason}. {advice}")
        if is_damaged(cause):
            what, remedy = "the file is damaged, or is not a SQLite database", REPLACE_FILE
        return SourceError(
            f"database {self._redactor.url}: {what}: {self._redactor.error_message(cause, query)}. {remedy}"
        )


def _limited_answer(connection: Connection, query: str, limit: int) -> CursorResult[Any] | None:
    """The first rows by a limit in SQL, for drivers that would fetch all rows, at once or when the cursor is closed.

    None for other drivers, and for databases that refuse this SQL.
    """
    dialect = connection.dialect
    if dialect.name == "sqlite" or (dialect.supports_server_side_cursors and dialect.name not in MYSQL):
        return None
    try:
        return connection.exec_driver_sql(limited_query(dialect, query, limit))
    except SQLAlchemyError:
        return None


def limited_query(dialect: Dialect, query: str, limit: int) -> str:
    """The query with a limit as the database writes it: ``LIMIT``, ``TOP``, ``FETCH FIRST``."""
    statement: Select[Any] = select(literal_column("*")).select_from(table(_SUBQUERY)).limit(limit)
    few = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    name = dialect.identifier_preparer.quote(_SUBQUERY)  # ClickHouse's quotes every name
    return few.replace(name, f"(\n{query.rstrip().rstrip(';')}\n) {name}", 1)


def parse_url(text: str) -> URL:
    """A database's URL with the driver that it uses. Raises SourceError."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: a port that is not a number
        # The message does not quote the URL: it may contain a password.
        raise SourceError(
            "the database's URL is not one that SQLAlchemy can read (postgresql://user@host:5432/name; the port is a "
            "number). Correct `database:` of the source in the config."
        ) from None
    sqlite = SqliteUrl.parse(text)
    if sqlite and sqlite.is_file:  # decoded here, since SQLAlchemy 2.0 and 2.1 differ
        return url.set(database=sqlite.path)
    return with_driver(url)


def _unusable_type_error(request: SnapshotRequest, value: Any) -> SourceError:
    return SourceError(
        f"{QUERY_NAME}: column {request.user_id!r} has the type {type(value).__name__}, which can't hold user ids. "
        "Choose another column, or cast this one to text."
    )

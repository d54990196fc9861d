"""How are snapshots read from a database? By one query, streamed, in a transaction that changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, CursorResult, Engine, NullPool, Row, create_engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from audience_sync.config.read.paths import SqliteUrl
from audience_sync.errors import IncompleteError, SourceError
from audience_sync.poolers import pooler_refusal
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source
from audience_sync.sources.database.drivers import Stopper, arguments, is_damaged, keep_odd_texts, prepare
from audience_sync.sources.database.redact_errors import ErrorRedactor
from audience_sync.sources.fingerprint import fingerprint
from audience_sync.sources.readiness import parse_time, stale
from audience_sync.sources.rows.column_schema import generic_type
from audience_sync.sources.rows.scan import SnapshotPart
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.rows.snapshot_query import snapshot_rows
from audience_sync.sources.rows.spool import spool
from audience_sync.sources.sql_errors import shown_place
from audience_sync.workspace import Workspace

THE_ANSWER = "the query"
CORRECT = "It may be one SELECT and nothing else. Correct it in the config."
REPLACE = "Correct the path, or replace the file with a whole copy."
CORRECT_DATA = "Correct the query in the config, or the data that it meets."
ROWS_AT_ONCE = 10_000
#: Rows that the answer of a probe may have.
MOST_PROBED = 1_000
#: Their drivers read the whole answer before the next statement, however few rows were fetched.
_DRAINING = ("mysql", "mariadb")
#: Both mean psycopg 3, whatever SQLAlchemy's default is.
_POSTGRESQL = ("postgres", "postgresql")
#: What SQLite's driver says of a text that is not UTF-8.
_UNDECODABLE = "Could not decode to UTF-8"


class _UndecodableError(Exception):
    """The answer has a text that the driver can't read as it is set up."""


class DatabaseSource(Source):
    """Any database that SQLAlchemy has a URL for; SQLite's paths are relative to the working directory."""

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        self._masking = ErrorRedactor(self._url)
        self._stopper = Stopper()

    def stop(self) -> None:
        self._stopper.stop()

    def check(self) -> str:
        with self._connected():
            return f"database {self._masking.url}, connected"

    def read(self, workspace: Workspace, wanted: SnapshotRequest) -> SnapshotRows:
        if wanted.query is None:
            raise SourceError("a database is read by `query:`, not by `file:`. Correct the config.")
        with self._connected() as connection:
            problem = self._stale(connection, wanted)
            if problem:
                raise IncompleteError(problem)
            try:
                part, columns = self._spooled(connection, workspace, wanted)
            except _UndecodableError:
                keep_odd_texts(connection)
                part, columns = self._spooled(connection, workspace, wanted)
        rows = snapshot_rows(workspace, wanted, [part], ScanErrors({}, what=THE_ANSWER))
        return replace(rows, columns=columns if wanted.expected.columns else None)

    def mark(self, wanted: SnapshotRequest) -> str | None:
        if wanted.probe is None:
            return None
        with self._connected() as connection:
            if self._stale(connection, wanted):
                return None
            rows = [repr(tuple(row)) for row in self._asked(connection, "the probe", wanted.probe)]
        if len(rows) > MOST_PROBED:
            raise SourceError(f"the probe gives more than {MOST_PROBED} rows: it is to be cheap. Correct it.")
        return fingerprint(wanted, rows)

    def _asked(self, connection: Connection, what: str, query: str) -> Sequence[Any]:
        """The answer of a cheap query; as a cursor, which on PostgreSQL is one SELECT and nothing else."""
        try:
            answer = connection.execution_options(stream_results=True, no_parameters=True).exec_driver_sql(query)
            rows = answer.fetchmany(MOST_PROBED + 1)
            answer.close()
            return rows
        except SQLAlchemyError as error:
            raise self._problem(f"{what} failed", error, CORRECT, query) from None

    def _stale(self, connection: Connection, wanted: SnapshotRequest) -> str | None:
        """Why what is there is too old."""
        expected = wanted.expected
        if expected.since is None or expected.modified is None:
            return None
        answer = self._asked(connection, "the query `modified`", expected.modified)
        return stale("the newest change", parse_time(answer[0][0] if answer else None), expected.since)

    def _spooled(
        self, connection: Connection, workspace: Workspace, wanted: SnapshotRequest
    ) -> tuple[SnapshotPart, Mapping[str, str]]:
        """The rows, and the answer's columns."""
        query = wanted.query or ""
        at_once = wanted.most or ROWS_AT_ONCE
        options = {"stream_results": True, "yield_per": at_once, "no_parameters": True}
        connection = connection.execution_options(**options)
        answer = None if wanted.most is None else _few(connection, query, wanted.most)
        try:
            answer = answer or connection.exec_driver_sql(query)
        except SQLAlchemyError as error:
            raise self._problem("the query failed", error, CORRECT, query) from None
        if not answer.returns_rows:
            raise SourceError("the query gives no rows at all: it must be a SELECT. Correct it in the config.")
        columns = _columns(answer)
        rows = islice(self._rows(answer, query, at_once), wanted.most)
        return spool(workspace, THE_ANSWER, list(answer.keys()), rows, wanted, _refuse(wanted)), columns

    def _rows(self, answer: CursorResult[Any], query: str, at_once: int) -> Iterator[Row[Any]]:
        """Raises SourceError where the answer breaks off, with how far it came."""
        count = 0
        try:
            for rows in answer.partitions(at_once):
                yield from rows
                count += len(rows)
        except SQLAlchemyError as error:
            if _UNDECODABLE in str(error):
                raise _UndecodableError from None
            after = f" after {count:,} rows" if count else ""
            raise self._problem(f"the query failed{after}", error, CORRECT_DATA, query) from None

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection whose transaction is rolled back, never committed."""
        self._require_file()
        with self._engine() as engine:
            try:
                connection = engine.connect()
            except SQLAlchemyError as error:
                raise self._problem("can't connect", error, "Check the URL, and that it can be reached.") from None
            with connection:
                prepare(connection)
                self._stopper.watch(connection)
                yield connection
                connection.rollback()

    @contextmanager
    def _engine(self) -> Iterator[Engine]:
        try:
            engine = create_engine(
                self._url, poolclass=NullPool, hide_parameters=True, connect_args=arguments(self._url)
            )
        except (ImportError, NoSuchModuleError) as error:
            raise self._problem("needs a driver that is not installed", error, "Install it with pip.") from None
        except SQLAlchemyError as error:
            raise self._problem("can't be opened", error, "Correct the URL.") from None
        try:
            yield engine
        finally:
            engine.dispose()

    def _require_file(self) -> None:
        # SQLite would create an empty database and say that the table is missing.
        name = self._url.database
        if self._url.get_backend_name() != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
            return
        if not Path(name).is_file():
            raise SourceError(
                f"the SQLite database {shown_place(name)} does not exist. Correct the path, or create it."
            )

    def _problem(self, what: str, error: Exception, remedy: str, query: str | None = None) -> SourceError:
        cause = getattr(error, "orig", None) or error
        if refusal := pooler_refusal(str(cause)):
            reason, advice = refusal
            return SourceError(f"database {self._masking.url}: can't be read: {reason}. {advice}")
        if is_damaged(cause):
            what, remedy = "the file is damaged, or is not a SQLite database", REPLACE
        return SourceError(f"database {self._masking.url}: {what}: {self._masking.message(cause, query)}. {remedy}")


def _few(connection: Connection, query: str, most: int) -> CursorResult[Any] | None:
    """The first rows, asked for by SQL where the driver would fetch all of them, now or when its cursor is closed.
    None where they need not be, or where the database has another SQL."""
    dialect = connection.dialect
    if dialect.name == "sqlite" or (dialect.supports_server_side_cursors and dialect.name not in _DRAINING):
        return None
    try:
        return connection.exec_driver_sql(f"select * from (\n{query.rstrip().rstrip(';')}\n) few_rows limit {most}")
    except SQLAlchemyError:
        return None


def _columns(answer: CursorResult[Any]) -> dict[str, str]:
    """Of types what the driver says; SQLite's says nothing."""
    description = answer.cursor.description if answer.cursor else ()
    return {column[0]: generic_type(getattr(column, "type_display", str(column[1] or ""))) for column in description}


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: a port that is not a number
        # The text itself is not shown: it may hold a password.
        raise SourceError(
            "the database's URL is not one that SQLAlchemy can read (postgresql://user@host:5432/name; the port is a "
            "number). Correct `database:` of the source in the config."
        ) from None
    sqlite = SqliteUrl.parsed(text)
    if sqlite and sqlite.is_file:  # decoded here: SQLAlchemy 2.0 and 2.1 differ in that
        return url.set(database=sqlite.path)
    return url.set(drivername="postgresql+psycopg") if url.drivername in _POSTGRESQL else url


def _refuse(wanted: SnapshotRequest) -> Callable[[Any], SourceError]:
    def refuse(value: Any) -> SourceError:
        return SourceError(
            f"{THE_ANSWER}: column {wanted.user_id!r} has the type {type(value).__name__}, which holds no user ids. "
            "Choose another column, or cast this one to text."
        )

    return refuse

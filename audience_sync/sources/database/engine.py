"""Compare snapshots in a database, by SQLAlchemy."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from audience_sync.errors import SourceError
from audience_sync.sources.database.drivers import CLICKHOUSE
from audience_sync.sources.database.source import FETCH_ROWS, DatabaseSource
from audience_sync.sources.rows.scan import batched
from audience_sync.sources.warehouse.comparison_sql import subquery
from audience_sync.sources.warehouse.dialects import DIALECTS, REFUSED
from audience_sync.sources.warehouse.dialects.base import Dialect
from audience_sync.sources.warehouse.engine import Engine, Row
from audience_sync.sources.warehouse.source import Connect, WarehouseSource
from audience_sync.sql import Query
from audience_sync.text import join_names

#: Options of statements. A cursor, which a streamed one is, can run one SELECT and nothing else.
_STREAMED: Mapping[str, Any] = {"stream_results": True, "yield_per": FETCH_ROWS, "no_parameters": True}
_AT_ONCE: Mapping[str, Any] = {"stream_results": False, "no_parameters": True}


def warehouse_source(url: str, schema: str) -> WarehouseSource:
    """A database that compares snapshots itself. ``schema`` has the tables of last snapshots, and nothing else."""
    database = DatabaseSource(url)
    return WarehouseSource(database, connect_to(database, _dialect(database.backend), schema))


def connect_to(database: DatabaseSource, dialect: Dialect, schema: str) -> Connect:
    """What connects to a database that compares."""

    @contextmanager
    def connect(writes: bool) -> Iterator[Engine]:
        with database.connect(read_only=not writes) as connection:
            yield DatabaseEngine(database, connection, dialect, schema)

    return connect


def _dialect(backend: str) -> Dialect:
    if backend not in DIALECTS:
        reason = REFUSED.get(backend, f"only in {join_names(sorted(DIALECTS))}")
        raise SourceError(
            f"`compare: in_warehouse` is not possible in {backend}: {reason}. "
            "Remove it: then the rows are fetched and compared here."
        )
    return DIALECTS[backend]


class DatabaseEngine(Engine):
    """A connection of SQLAlchemy."""

    def __init__(self, database: DatabaseSource, connection: Connection, dialect: Dialect, schema: str) -> None:
        super().__init__(dialect, schema)
        self._database, self._connection = database, connection
        self.errors = (SQLAlchemyError, connection.dialect.loaded_dbapi.Error)

    def columns(self, query: str) -> Sequence[tuple[str, str]]:
        none = f"select * from {subquery(query)} where 1 = 0"
        with self._connection.exec_driver_sql(none, execution_options=_STREAMED) as answer:
            described = answer.cursor.description if answer.cursor else ()
            return list(zip(answer.keys(), map(self.dialect.type_name, described), strict=True))

    def stream(self, query: Query) -> Generator[Sequence[Row], None, None]:
        statement = self.dialect.select(query)
        if self._connection.dialect.name == CLICKHOUSE:
            from audience_sync.sources.database.clickhouse import row_blocks

            with row_blocks(self._connection.connection.driver_connection, statement, read_only=False) as blocks:
                yield from batched(blocks.rows, FETCH_ROWS)
            return
        with self._connection.exec_driver_sql(statement, execution_options=_STREAMED) as answer:
            yield from answer.partitions(FETCH_ROWS)

    def run(self, statement: Query) -> None:
        try:
            self._connection.exec_driver_sql(statement, execution_options=_AT_ONCE)
            self._connection.commit()
        except SQLAlchemyError:
            self._connection.rollback()
            raise

    def problem(self, what: str, error: Exception, remedy: str, query: str | None = None) -> SourceError:
        return self._database.problem(what, error, remedy, query)

"""Compare in DuckDB, the reference: what an engine needs that is not SQLAlchemy's."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import duckdb

from audience_sync.errors import SourceError
from audience_sync.sources.warehouse.comparison_sql import subquery
from audience_sync.sources.warehouse.dialects.base import Dialect, column_kinds
from audience_sync.sources.warehouse.engine import Engine, Row
from audience_sync.sql import Condition, Query


class DuckDB(Dialect):
    """The SQL of DuckDB."""

    kinds = column_kinds(
        text=r"varchar$|uuid$|enum",
        integer=r"u?(tiny|small|big|huge)?int$|integer$",
        decimal=r"decimal",
        double=r"double$|float$",
        date=r"date$",
    )

    def grants(self, schema: str, grantee: str) -> str:
        return f"create schema if not exists {self.quote(schema)};"

    def byte_length(self, text: str) -> str:
        return f"strlen({text})"

    def contains_nul(self, text: str) -> Condition:
        return Condition(f"contains({text}, chr(0))")

    def is_missing_date(self, column: str) -> Condition:
        return Condition(f"{column} is null or not isfinite({column})")


class DuckDBEngine(Engine):
    """A cursor of DuckDB."""

    errors = (duckdb.Error,)

    def __init__(self, dialect: Dialect, schema: str, connection: duckdb.DuckDBPyConnection) -> None:
        super().__init__(dialect, schema)
        self._connection = connection

    def columns(self, query: str) -> Sequence[tuple[str, str]]:
        described = self._connection.execute(f"describe select * from {subquery(query)}").fetchall()
        return [(name, kind) for name, kind, *_ in described]

    def stream(self, query: Query) -> Generator[Sequence[Row], None, None]:
        answer = self._connection.execute(self.dialect.select(query))
        while rows := answer.fetchmany(2):
            yield rows

    def run(self, statement: Query) -> None:
        self._connection.execute(statement)

    def problem(self, what: str, error: Exception, remedy: str, query: str | None = None) -> SourceError:
        return SourceError(f"{what}: {error}. {remedy}")

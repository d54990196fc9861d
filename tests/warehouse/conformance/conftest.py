"""Run each test on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pytest
from conftest import PostgreSQL

from audience_sync.sources.database.engine import connect_to
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.sources.warehouse.dialects.base import Kind
from audience_sync.sources.warehouse.dialects.postgresql import PostgreSQL as PostgreSQLDialect
from audience_sync.sources.warehouse.engine import Engine

from .duckdb_engine import DuckDB, DuckDBEngine
from .places import SCHEMA, SHOP, Place

STANDARD_TYPES = {
    Kind.TEXT: "varchar",
    Kind.INTEGER: "bigint",
    Kind.DECIMAL: "decimal(38, 2)",
    Kind.DOUBLE: "double precision",
    Kind.DATE: "date",
}


def duckdb_place(_: pytest.FixtureRequest) -> Iterator[Place]:
    with duckdb.connect() as connection:

        @contextmanager
        def connect(writes: bool) -> Iterator[Engine]:
            with connection.cursor() as cursor:
                yield DuckDBEngine(DuckDB(), SCHEMA, cursor)

        yield Place(DuckDB(), connect, STANDARD_TYPES)


def postgresql_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    server: PostgreSQL = request.getfixturevalue("postgresql")
    url = server.create()
    yield Place(PostgreSQLDialect(), connect_to(DatabaseSource(url), SCHEMA), STANDARD_TYPES)
    server.drop(url)


PLACES = {"duckdb": duckdb_place, "postgresql": postgresql_place}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Once each engine."""
    for place in PLACES[request.param](request):
        schemas = (place.dialect.quote(each) for each in (SCHEMA, SHOP))
        place.run(*(f"create schema {each}" for each in schemas))
        yield place

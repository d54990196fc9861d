"""Run each test on DuckDB and PostgreSQL, or on the engines that AUDIENCE_SYNC_ENGINES names.

ClickHouse, Snowflake and Sail need packages that can't be in one environment with those of the program. `.ci/run` makes
one of their own, with `requirements.txt`, and names them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb
import pytest
from conftest import PostgreSQL

from audience_sync.sources.database.engine import connect_to
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.sources.warehouse.dialects import COMPILED, DIALECTS
from audience_sync.sources.warehouse.dialects.base import Dialect, Kind
from audience_sync.sources.warehouse.dialects.bigquery import BigQuery
from audience_sync.sources.warehouse.dialects.databricks import Databricks
from audience_sync.sources.warehouse.dialects.snowflake import Snowflake
from audience_sync.sources.warehouse.dialects.trino import Trino
from audience_sync.sources.warehouse.engine import Engine
from warehouse.sail import spark_server

from .duckdb_engine import DuckDB, DuckDBEngine
from .places import SCHEMA, STANDARD_TYPES, Place
from .spark_places import spark_place
from .translated_engine import TranslatedEngine


def connected(database: DatabaseSource, dialect: Dialect, *details: Any) -> Place:
    return Place(dialect, connect_to(database, dialect, SCHEMA), *details)


def duckdb_place(_: pytest.FixtureRequest) -> Iterator[Place]:
    with duckdb.connect() as connection:

        @contextmanager
        def connect(writes: bool) -> Iterator[Engine]:
            with connection.cursor() as cursor:
                yield DuckDBEngine(DuckDB(), SCHEMA, cursor)

        yield Place(DuckDB(), connect)


def translated_place(dialect: Dialect) -> Callable[[pytest.FixtureRequest], Iterator[Place]]:
    """A warehouse that we can't run."""

    def place(_: pytest.FixtureRequest) -> Iterator[Place]:
        with duckdb.connect() as connection:

            @contextmanager
            def connect(writes: bool) -> Iterator[Engine]:
                with connection.cursor() as cursor:
                    yield TranslatedEngine(dialect, SCHEMA, cursor)

            yield Place(dialect, connect, TRANSLATED_TYPES[type(dialect)])

    return place


TRANSLATED_TYPES: Mapping[type[Dialect], Mapping[Kind, str]] = {
    BigQuery: {
        Kind.TEXT: "string",
        Kind.INTEGER: "int64",
        Kind.DECIMAL: "numeric(38, 2)",
        Kind.DOUBLE: "float64",
        Kind.DATE: "date",
    },
    Databricks: {
        Kind.TEXT: "string",
        Kind.INTEGER: "bigint",
        Kind.DECIMAL: "decimal(38, 2)",
        Kind.DOUBLE: "double",
        Kind.DATE: "date",
    },
    Trino: {**STANDARD_TYPES, Kind.DOUBLE: "double"},
}


def postgresql_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    server: PostgreSQL = request.getfixturevalue("postgresql")
    url = server.create()
    yield connected(DatabaseSource(url), DIALECTS["postgresql"])
    server.drop(url)


def clickhouse_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """ClickHouse within this process, through the driver of its servers."""
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    folder = factory.getbasetemp() / "clickhouse"  # one for each process: the engine can't open another
    database = DatabaseSource(f"clickhousedb:///?interface=chdb&path={folder}")
    types = {
        Kind.TEXT: "Nullable(String)",
        Kind.INTEGER: "Nullable(Int64)",
        Kind.DECIMAL: "Nullable(Decimal(38, 2))",
        Kind.DOUBLE: "Nullable(Float64)",
        Kind.DATE: "Nullable(Date32)",
    }
    drop = "drop database if exists {}"
    with database.connect():  # it opens its files at the first connection, and closes them with the last
        yield connected(database, DIALECTS["clickhousedb"], types, "create database {}", drop)


class FakeSnowflake(Snowflake):
    """Without the functions that the imitation does not have."""

    def text(self, column: str, type_name: str) -> str:
        return f"cast({column} as varchar)"

    def byte_length(self, text: str) -> str:
        return f"length(hex_encode({text})) / 2"


def snowflake_place(_: pytest.FixtureRequest) -> Iterator[Place]:
    """What imitates Snowflake in DuckDB, through Snowflake's own driver."""
    import fakesnow
    from fakesnow.transforms.stage import LOCAL_BUCKET_PATH  # a folder that its import makes, and nothing removes

    with fakesnow.patch():
        database = DatabaseSource("snowflake://user:password@account/warehouse/public")
        yield connected(database, FakeSnowflake())
    shutil.rmtree(LOCAL_BUCKET_PATH, ignore_errors=True)


def spark_files_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Spark, with the last snapshots in files."""
    with spark_place(request.getfixturevalue("spark_url"), request.getfixturevalue("tmp_path") / "state") as place:
        yield place


def spark_tables_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Spark, with the last snapshots in its catalog."""
    with spark_place(request.getfixturevalue("spark_url"), None) as place:
        yield place


@pytest.fixture(scope="session")
def spark_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with spark_server(tmp_path_factory.mktemp("sail")) as url:
        yield url


PLACES: dict[str, Callable[[pytest.FixtureRequest], Iterator[Place]]] = {
    "duckdb": duckdb_place,
    "postgresql": postgresql_place,
    "clickhouse": clickhouse_place,
    "snowflake": snowflake_place,
    "spark_files": spark_files_place,
    "spark_tables": spark_tables_place,
    **{name: translated_place(DIALECTS[name]) for name in COMPILED},
}


@pytest.fixture(params=os.environ.get("AUDIENCE_SYNC_ENGINES", f"duckdb postgresql {' '.join(COMPILED)}").split())
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Once each engine."""
    for place in PLACES[request.param](request):
        place.create_schemas()
        yield place
        place.drop_schemas()

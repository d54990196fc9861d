"""Keep last snapshots in Spark: as files, or as tables of a catalog."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audience_sync.sources.spark.engine import FilesEngine, TablesEngine
from audience_sync.sources.spark.server import SparkServer
from audience_sync.sources.warehouse.dialects.base import Kind
from audience_sync.sources.warehouse.dialects.spark import Spark
from audience_sync.sources.warehouse.engine import Engine
from audience_sync.sql import Query

from .places import SCHEMA, Place

TYPES = {
    Kind.TEXT: "string",
    Kind.INTEGER: "bigint",
    Kind.DECIMAL: "decimal(38, 2)",
    Kind.DOUBLE: "double",
    Kind.DATE: "date",
}
#: Few tasks, since each costs as much as the few rows of a test.
SETTINGS = {
    "spark.sql.session.timeZone": "America/New_York",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.leafNodeDefaultParallelism": "2",
}


class SparkPlace(Place):
    """A session of Spark."""

    def literal(self, value: Any) -> str:
        return f"cast('{value}' as double)" if isinstance(value, float) else super().literal(value)


@dataclass(frozen=True, kw_only=True)
class FilesPlace(SparkPlace):
    """Keeps tables as files in a folder."""

    folder: Path

    def make_unusable(self) -> None:
        self.folder.write_text("a file, where a folder is needed")

    def replace(self, table: str, rows: Query) -> None:
        with self.connect(True) as engine:
            assert isinstance(engine, FilesEngine)
            engine.drop(table)
            shutil.rmtree(self.folder / table, ignore_errors=True)
            engine.create(table, rows)


@contextmanager
def spark_place(url: str, folder: Path | None) -> Iterator[Place]:
    """All connections are one session, since Sail's has a catalog of its own. ``folder``: for files."""
    server = SparkServer(url)
    with server.connect() as spark:
        for name, value in SETTINGS.items():
            spark.session.conf.set(name, value)

        @contextmanager
        def connect(_: bool) -> Iterator[Engine]:
            yield TablesEngine(server, spark, SCHEMA) if folder is None else FilesEngine(server, spark, folder.as_uri())

        yield (
            SparkPlace(Spark(), connect, TYPES)
            if folder is None
            else FilesPlace(dialect=Spark(), connect=connect, types=TYPES, folder=folder)
        )

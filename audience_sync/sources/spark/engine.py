"""Compare snapshots in Spark, which keeps the last ones as Parquet files or as tables of a catalog."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from audience_sync.errors import SourceError
from audience_sync.sources.spark.server import SparkConnection, SparkError, SparkServer, client_errors
from audience_sync.sources.spark.source import SparkSource
from audience_sync.sources.warehouse.comparison_sql import subquery
from audience_sync.sources.warehouse.dialects.spark import Spark
from audience_sync.sources.warehouse.engine import Engine, Row
from audience_sync.sources.warehouse.source import Connect, WarehouseSource
from audience_sync.sql import Query, Relation, TableName
from audience_sync.workspace import Workspace

#: The columns of a table without files: those of audiences.
_COLUMNS = "user_id string, name string, change string, row_count bigint"
_PATH_NOT_FOUND, _NO_FILES = "PATH_NOT_FOUND", "UNABLE_TO_INFER_SCHEMA"


def spark_source(url: str, state: str) -> WarehouseSource:
    """A Spark server that compares snapshots itself. ``state``: a path or a schema, for nothing else."""
    server = SparkServer(url)
    return WarehouseSource(SparkSource(server), connect_to(server, state))


def connect_to(server: SparkServer, state: str) -> Connect:
    kind = FilesEngine if "://" in state else TablesEngine

    @contextmanager
    def connect(_: bool) -> Iterator[Engine]:
        with server.connect() as spark:
            yield kind(server, spark, state)

    return connect


class SparkEngine(Engine):
    """A session of Spark Connect. A person's query is read as a subquery, which can't write."""

    errors = (SparkError,)
    loads_types = True

    def __init__(self, server: SparkServer, spark: SparkConnection, schema: str) -> None:
        self._sql = Spark()
        super().__init__(self._sql, schema)
        self._server, self._spark = server, spark

    def columns(self, query: str) -> Sequence[tuple[str, str]]:
        return self._spark.columns(f"select * from {subquery(query)}")

    def stream(self, query: Query) -> Generator[Sequence[Row], None, None]:
        for rows in self._spark.stream(query):
            yield list(zip(*(column.to_pylist() for column in rows.columns), strict=True))

    def load(self, workspace: Workspace, rows: Query, columns: Mapping[str, str]) -> TableName:
        return self._spark.load(workspace, rows)

    def run(self, statement: Query) -> None:
        self._spark.run(statement)

    def problem(self, what: str, error: Exception, remedy: str, query: str | None = None) -> SourceError:
        assert isinstance(error, SparkError)
        return self._server.problem(what, error, remedy, query)


class TablesEngine(SparkEngine):
    """Keeps tables in a schema, in the format that its catalog has by default."""

    def tables(self, prefix: str) -> set[str]:
        names = self.rows(Query(f"show tables in {self._sql.schema(self.schema)}"))
        return {name for _, name, is_temporary in names if name.startswith(prefix) and not is_temporary}

    def create(self, table: str, rows: Query) -> None:
        with client_errors():
            self._spark.frame(rows).writeTo(self.place(table)).create()


class FilesEngine(SparkEngine):
    """Keeps each table as Parquet files, in a folder below a path as the cluster sees it.

    Spark's SQL can't remove a folder. A table is dropped by writing nothing over it, which removes its files.
    """

    lists_empty = False  # a table without rows may have no file

    def __init__(self, server: SparkServer, spark: SparkConnection, schema: str) -> None:
        super().__init__(server, spark, schema.rstrip("/"))
        self._views = set[str]()

    @property
    def label(self) -> str:
        return self.schema

    def label_of(self, table: str) -> str:
        return f"{self.schema}/{table}"

    def place(self, table: str) -> Relation:
        """A view of the files; its session alone has it."""
        if table not in self._views:
            try:
                self._read(table, None)
            except SparkError as error:
                if error.condition == _NO_FILES:
                    self._read(table, _COLUMNS)
                elif error.condition != _PATH_NOT_FOUND:  # then a query of it fails
                    raise
        return Relation(self.dialect.quote(table))

    def _read(self, table: str, columns: Any) -> None:
        """Create a view of a table's files. ``columns``: their types, or None to read these from the files."""
        with client_errors():
            reader = self._spark.session.read
            files = (reader if columns is None else reader.schema(columns)).parquet(self.label_of(table))
            files.createOrReplaceTempView(table)
        self._views.add(table)

    def tables(self, prefix: str) -> set[str]:
        reader = self._spark.session.read.format("binaryFile")
        reader = reader.option("recursiveFileLookup", "true").option("pathGlobFilter", "*.parquet")
        try:
            with client_errors():
                paths = [path for (path,) in reader.load(self.schema).select("path").collect()]
        except SparkError as error:
            if error.condition == _PATH_NOT_FOUND:
                return set()
            raise
        return {name for path in paths if (name := path.split("/")[-2]).startswith(prefix)}

    def create(self, table: str, rows: Query) -> None:
        with client_errors():
            frame = self._spark.frame(rows)
            frame.write.parquet(self.label_of(table))
            columns = frame.schema
        self._read(table, columns)

    def drop(self, table: str) -> None:
        with client_errors():
            self._spark.frame("select 1 as nothing where 1 = 0").write.mode("overwrite").json(self.label_of(table))

    def missing_right(self) -> str:
        return f"Its user must be able to list, read, write and delete files in {self.schema}."

"""Fetch snapshots from Spark: one query, whose answer arrives in Arrow tables and is read like a Parquet file."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from audience_sync.errors import IncompleteError, SourceError
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source
from audience_sync.sources.fingerprint import MAX_PROBE_ROWS, probe_fingerprint
from audience_sync.sources.readiness import too_old_reason
from audience_sync.sources.rows.column_schema import generic_type
from audience_sync.sources.rows.scan import (
    Column,
    Scan,
    duplicate_column,
    missing_column,
    snapshot_part,
    wanted_columns,
)
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.rows.snapshot_query import snapshot_rows
from audience_sync.sources.spark.server import SparkConnection, SparkError, SparkServer
from audience_sync.sources.warehouse.comparison_sql import subquery
from audience_sync.sources.warehouse.dialects.spark import Spark
from audience_sync.sql import Query, Relation, quote_identifier
from audience_sync.workspace import Workspace

QUERY_NAME = "the query"
CORRECT_QUERY = "It must be one SELECT and nothing else. Correct it in the config."


class SparkSource(Source):
    """A Spark Connect server whose rows are fetched."""

    def __init__(self, server: SparkServer) -> None:
        self._server = server

    def stop(self) -> None:
        self._server.stop()

    def check(self) -> str:
        with self._server.connect():
            return f"Spark at {self._server.address}, connected"

    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        if request.query is None:
            raise SourceError("Spark is read by `query:`, not by `file:`. Correct the config.")
        with self._server.connect() as spark:
            if reason := self._stale_reason(spark, request):
                raise IncompleteError(reason)
            try:
                types = _columns(spark, request)
                table = spark.load(workspace, _wanted_rows(request))
            except SparkError as error:
                raise self._server.problem("the query failed", error, CORRECT_QUERY, request.query) from None
        described = workspace.all(f"describe {table}")
        columns = {name: Column(quote_identifier(name), kind) for name, kind, *_ in described}
        part = snapshot_part(Scan(name=QUERY_NAME, scan=Relation(table), columns=columns), request)
        rows = snapshot_rows(
            workspace,
            request,
            [part],
            ScanErrors({}, what=QUERY_NAME),
            rereadable=True,
            row_count=workspace.one(f"select count(*) from {table}")[0],
        )
        return replace(rows, columns=types if request.expected.columns else None)

    def fingerprint(self, request: SnapshotRequest) -> str | None:
        if request.probe is None:
            return None
        with self._server.connect() as spark:
            if self._stale_reason(spark, request):
                return None
            return probe_fingerprint(request, self._ask(spark, "the probe", request.probe))

    def _stale_reason(self, spark: SparkConnection, request: SnapshotRequest) -> str | None:
        return too_old_reason(request.expected, lambda query: self._ask(spark, "the query `modified`", query))

    def _ask(self, spark: SparkConnection, what: str, query: str) -> list[tuple[object, ...]]:
        """The answer of a cheap query."""
        try:
            return spark.rows(Query(f"select * from {subquery(query)}"), MAX_PROBE_ROWS + 1)
        except SparkError as error:
            raise self._server.problem(f"{what} failed", error, CORRECT_QUERY, query) from None


def _columns(spark: SparkConnection, request: SnapshotRequest) -> Mapping[str, str]:
    """All columns of the query with their generic types. Raises SourceError for a missing or duplicate one."""
    found = spark.columns(f"select * from {subquery(request.query or '')}")
    names = [name for name, _ in found]
    for name in wanted_columns(request):
        if name not in names:
            raise missing_column(QUERY_NAME, name, names, request)
        if names.count(name) > 1:
            raise duplicate_column(QUERY_NAME, name)
    return {name: generic_type(kind) for name, kind in found}


def _wanted_rows(request: SnapshotRequest) -> Query:
    columns = ", ".join(map(Spark().quote, wanted_columns(request)))
    limit = "" if request.sample_rows is None else f" limit {request.sample_rows}"
    return Query(f"select {columns} from {subquery(request.query or '')}{limit}")

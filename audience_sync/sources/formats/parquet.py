"""Read Parquet files with their own types."""

from __future__ import annotations

from pathlib import Path

import duckdb

from audience_sync.sources.rows.scan import Column, Scan, refuse_duplicates
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.storage.locate import FoundFile
from audience_sync.sql import Relation, quote_identifier, quote_literal
from audience_sync.workspace import Workspace


def parquet_table(workspace: Workspace, found: FoundFile, file: Path) -> Scan:
    """A table of the file. Raises SourceError for an incomplete file, and for duplicate names of columns."""
    path = quote_literal(str(file))
    scan = Relation(f"read_parquet({path}, hive_partitioning = false)")
    try:
        described = workspace.all(f"describe from {scan}")
        names = _column_names(workspace, path)
    except duckdb.Error as error:
        raise ScanErrors({str(file): found.name, str(found.path): found.name}).explain(error) from None
    refuse_duplicates(found.name, names)
    # DuckDB renames one of two columns whose names differ only in case, but keeps the file's order.
    columns = {name: Column(quote_identifier(row[0]), row[1]) for name, row in zip(names, described, strict=True)}
    return Scan(name=found.name, scan=scan, columns=columns)


def _column_names(workspace: Workspace, path: str) -> list[str]:
    """The columns' names in the file: DuckDB renames duplicates when it reads rows."""
    _, *rows = workspace.all(f"select name, coalesce(num_children, 0) from parquet_schema({path})")
    names, nested = list[str](), 0  # the schema is a tree in depth-first order, its root first
    for name, children in rows:
        if not nested:
            names.append(name)
        nested = max(nested - 1, 0) + children
    return names

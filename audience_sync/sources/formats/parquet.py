"""How is a Parquet file read? With the types it has."""

from __future__ import annotations

from pathlib import Path

import duckdb

from audience_sync.sources.rows.scan import Column, Scan, refuse_duplicates
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.storage.locate import FoundFile
from audience_sync.workspace import Workspace, quote_identifier, quote_literal


def parquet_table(workspace: Workspace, found: FoundFile, file: Path) -> Scan:
    """Raises SourceError where the file is not whole, or two of its columns have one name."""
    path = quote_literal(str(file))
    scan = f"read_parquet({path}, hive_partitioning = false)"
    try:
        described = workspace.all(f"describe from {scan}")
        names = _column_names(workspace, path)
    except duckdb.Error as error:
        raise ScanErrors({str(file): found.name, str(found.path): found.name}).explain(error) from None
    refuse_duplicates(found.name, names)
    # DuckDB renames one of two columns whose names differ in case only: their order is the file's.
    columns = {name: Column(quote_identifier(row[0]), row[1]) for name, row in zip(names, described, strict=True)}
    return Scan(found.name, scan, columns)


def _column_names(workspace: Workspace, path: str) -> list[str]:
    """The columns as the file calls them: DuckDB renames doubles where it reads the rows."""
    rows = workspace.all(f"select name, coalesce(num_children, 0) from parquet_schema({path})")
    return _top_names(rows)


def _top_names(rows: list[tuple[str, int]]) -> list[str]:
    # The schema is a tree in depth-first order, its root first.
    names, index = [], 1
    while index < len(rows):
        names.append(rows[index][0])
        index = _index_after(rows, index)
    return names


def _index_after(rows: list[tuple[str, int]], index: int) -> int:
    """The place behind a column and all that it is made of."""
    children = rows[index][1]
    index += 1
    for _ in range(children):
        index = _index_after(rows, index)
    return index

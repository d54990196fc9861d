"""Open the files of one entry as tables: all of one format, with the same columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest
from audience_sync.sources.formats.csv import csv_table
from audience_sync.sources.formats.json import check_columns, invalid_line, json_table, record_keys, with_common_types
from audience_sync.sources.formats.parquet import parquet_table
from audience_sync.sources.rows.scan import Column, Scan, join_names, require_same_columns
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.rows.spool import spool_text
from audience_sync.sources.rows.type_inference import infer_types, kinds_for_sql
from audience_sync.sources.storage.decode import decoded_copy
from audience_sync.sources.storage.head import cut_heads
from audience_sync.sources.storage.locate import FoundFile
from audience_sync.sources.storage.resolve_names import CSV, EXCEL, JSON, SUFFIXES
from audience_sync.sql import Expression, quote_literal
from audience_sync.workspace import Workspace

#: Maximum number of columns for a query: each column's type is inferred.
MAX_COLUMNS = 2_000


class OpenFiles(Struct, frozen=True):
    """Files of one format, with the paths that DuckDB reads: originals, links, or decoded copies."""

    found: Sequence[FoundFile]
    paths: Sequence[Path]
    suffix: str

    @property
    def display_names(self) -> Mapping[str, str]:
        """The displayed names of files by the paths that DuckDB may quote in an error."""
        links = zip(self.paths, self.found, strict=True)
        return {str(name): found.name for path, found in links for name in dict.fromkeys((path, found.path))}

    @property
    def partitions(self) -> Sequence[str]:
        """The columns that folders add to any of the files."""
        return list(dict.fromkeys(name for found in self.found for name in found.partitions))

    @property
    def errors(self) -> ScanErrors:
        return ScanErrors(self.display_names, bad_line=invalid_line)


def open_files(workspace: Workspace, found: Sequence[FoundFile], request: SnapshotRequest) -> OpenFiles:
    """The files, or their beginnings for a sample.

    Raises SourceError for an unknown format, several formats, or a file that can't be unpacked.
    """
    suffix, encoding = _one_format(found), request.encoding
    if request.sample_rows is not None:
        found = cut_heads(workspace, found, encoding)
    paths = [decoded_copy(workspace, file, encoding) if suffix in CSV + JSON else file.path for file in found]
    return OpenFiles(found, [workspace.scannable(path) for path in paths], suffix)


def _one_format(found: Sequence[FoundFile]) -> str:
    for file in found:
        if not file.name.lower().endswith(SUFFIXES):
            raise SourceError(
                f"{file.name} has no supported format: {', '.join(SUFFIXES)}. "
                "(.zst is not supported: a truncated file looks complete.) Write the file in one of these formats."
            )
    if len(suffixes := sorted({file.suffix for file in found})) > 1:
        raise SourceError(
            f"{found[0].name} and {len(found) - 1} more are read together, but they have several formats: "
            f"{join_names(suffixes)}. Keep one format in a folder, or name the files by a glob (`*{suffixes[0]}`)."
        )
    return suffixes[0]


def open_tables(workspace: Workspace, files: OpenFiles, names: Sequence[str]) -> list[Scan]:
    """Tables with these columns, for formats other than Excel. Raises SourceError if a column is missing."""
    if files.suffix in JSON:
        own = [name for name in names if name not in files.partitions]
        tables = _json_tables(files, own)
        check_columns(workspace, tables, files.paths, own)
    else:
        tables = _format_tables(workspace, files)
    tables = _with_partitions(files, tables)
    require_same_columns(tables)
    return tables


def open_tables_for_sql(workspace: Workspace, files: OpenFiles, request: SnapshotRequest) -> list[Scan]:
    """Tables with all columns, untyped for CSV, Excel and JSON; empty if JSON has no records. Raises SourceError."""
    if files.suffix in JSON:
        keys = [key for key in record_keys(workspace, files.paths) if key not in files.partitions]
        _refuse_too_many_columns(files.found[0].name, keys)
        return _with_partitions(files, _json_tables(files, keys)) if keys else []
    own = _excel_tables(workspace, files, request) if files.suffix in EXCEL else _format_tables(workspace, files)
    tables = _with_partitions(files, own)
    require_same_columns(tables)
    _refuse_too_many_columns(tables[0].name, tables[0].columns)
    return tables


def with_sql_types(workspace: Workspace, files: OpenFiles, tables: Sequence[Scan], text: Collection[str]) -> list[Scan]:
    """The tables with inferred types, except for the columns of ``text``, which become user ids."""
    names = [name for name in tables[0].columns if name not in files.partitions]
    if files.suffix in JSON:
        return with_common_types(workspace, tables, names, text)
    return infer_types(workspace, tables, [name for name in names if name not in text], kinds_for_sql)[0]


def _with_partitions(files: OpenFiles, tables: Sequence[Scan]) -> list[Scan]:
    """The tables with the columns of their folders, which replace columns of the same names."""
    return [
        table.with_columns(
            {
                name: Column(Expression("null") if value is None else quote_literal(value), "VARCHAR").cast("VARCHAR")
                for name, value in found.partitions.items()
            }
        )
        for table, found in zip(tables, files.found, strict=True)
    ]


def _refuse_too_many_columns(file: str, columns: Collection[str]) -> None:
    if len(columns) > MAX_COLUMNS:
        raise SourceError(
            f"{file} has {len(columns):,} columns; a query can use at most {MAX_COLUMNS:,}. Write only the "
            "columns that you need, or read it by `file:`."
        )


def _json_tables(files: OpenFiles, names: Sequence[str]) -> list[Scan]:
    return [json_table(found, path, names) for found, path in zip(files.found, files.paths, strict=True)]


def _format_tables(workspace: Workspace, files: OpenFiles) -> list[Scan]:
    open_table = csv_table if files.suffix in CSV else parquet_table
    return [open_table(workspace, found, path) for found, path in zip(files.found, files.paths, strict=True)]


def _excel_tables(workspace: Workspace, files: OpenFiles, request: SnapshotRequest) -> list[Scan]:
    from audience_sync.sources.formats.excel import read_sheet

    sheets = [(found, read_sheet(found, request.sheet, request.sample_rows)) for found in files.found]
    return [csv_table(workspace, found, spool_text(workspace, book.header, book.rows)) for found, book in sheets]

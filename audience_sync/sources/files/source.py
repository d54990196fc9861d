"""Read snapshots from files, by name, glob, folder, or SQL over files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import duckdb
from msgspec.structs import replace

from audience_sync.errors import IncompleteError, SourceError
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source
from audience_sync.sources.files.open import OpenFiles, open_files, open_tables
from audience_sync.sources.fingerprint import request_fingerprint
from audience_sync.sources.formats.json import record_keys
from audience_sync.sources.readiness import not_ready_reason
from audience_sync.sources.rows.column_schema import generic_type
from audience_sync.sources.rows.scan import Scan, SnapshotPart, snapshot_part, wanted_columns
from audience_sync.sources.rows.snapshot_query import snapshot_rows
from audience_sync.sources.rows.spool import spool
from audience_sync.sources.rows.type_inference import infer_types, stays_text
from audience_sync.sources.storage.head import sampled_bytes
from audience_sync.sources.storage.locate import FileLocation, FoundFile
from audience_sync.sources.storage.manifest import manifest_row_count
from audience_sync.sources.storage.resolve_names import EXCEL, JSON, file_words
from audience_sync.text import pluralize
from audience_sync.workspace import Workspace

#: Names of columns with their generic types.
Columns = Mapping[str, str]


class FilesSource(Source):
    """A folder of data files: a path, or a URL that fsspec supports.

    ``partitions``: ``hive`` if its folders add columns, for all entries.
    """

    def __init__(self, folder: str | Path, *, partitions: str | None = None) -> None:
        self._folder = FileLocation(folder, hive=partitions is not None)

    def _folder_of(self, request: SnapshotRequest) -> FileLocation:
        return FileLocation(self._folder.root, hive=self._folder.hive or request.partitions is not None)

    def check(self) -> str:
        if "://" in self._folder.root:
            self._folder.require_package()
            return f"files at {self._folder.root.split('://', 1)[0]}://, read when they are needed"
        return f"folder {self._folder.root}, {pluralize(len(self._folder.files()), 'file')}"

    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        try:
            return self._read(workspace, request)
        except SourceError as error:
            if request.sample_rows is None or isinstance(error, IncompleteError):
                raise
            # A JSON key may come late, and a quote may end after the sample: only the whole file shows an error.
            return self._read(workspace, replace(request, sample_rows=None))

    def _read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        if request.query is not None:
            return self._read_query(workspace, request)
        found = self._folder_of(request).find(request.file or "", workspace, most_bytes=sampled_bytes(request))
        self._require_ready(request)
        files = open_files(workspace, found, request)
        parts, columns, row_count = _read_parts(workspace, files, request)
        verify, rereadable = partial(_refuse_changes, found), files.suffix == ".parquet"
        rows = snapshot_rows(
            workspace, request, parts, files.errors, verify, rereadable=rereadable, row_count=row_count
        )
        return replace(rows, manifest_rows=self._manifest_rows(workspace, request, found), columns=columns)

    def _read_query(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        from audience_sync.sources.files.sql import query_rows

        answer = query_rows(workspace, self._folder_of(request), request)
        self._require_ready(request)
        self._manifest_rows(workspace, request, answer.found)  # checks the files; an answer has other rows
        verify = partial(_refuse_changes, answer.found)
        rows = snapshot_rows(workspace, request, [answer.part], answer.errors, verify)
        return replace(rows, columns=answer.columns if request.expected.columns else None)

    def fingerprint(self, request: SnapshotRequest) -> str | None:
        if request.query is not None:
            from audience_sync.sources.files.sql import is_repeatable

            if not is_repeatable(request.query):
                return None
        if self._not_ready_reason(request):
            return None
        folder = self._folder_of(request)
        effective = replace(request, partitions="hive") if folder.hive else request
        return request_fingerprint(effective, *(folder.versions(name) for name in _file_names(request)))

    def _require_ready(self, request: SnapshotRequest) -> None:
        if reason := self._not_ready_reason(request):
            raise IncompleteError(reason)

    def _not_ready_reason(self, request: SnapshotRequest) -> str | None:
        expected = request.expected
        if expected.since is None and expected.marker is None:
            return None
        folder = self._folder_of(request)
        files = [file for name in _file_names(request) for file in folder.times(name)]
        if not files:
            return None  # ``read`` reports missing files
        return not_ready_reason(expected, files, folder.times(expected.marker) if expected.marker else [])

    def _manifest_rows(self, workspace: Workspace, request: SnapshotRequest, found: Sequence[FoundFile]) -> int | None:
        manifest = request.expected.manifest
        return None if manifest is None else manifest_row_count(workspace, self._folder, manifest, found)


def _file_names(request: SnapshotRequest) -> list[str]:
    """The names of files, globs and folders in a request."""
    return [request.file or ""] if request.query is None else file_words(request.query)


def _read_parts(
    workspace: Workspace, files: OpenFiles, request: SnapshotRequest
) -> tuple[list[SnapshotPart], Columns | None, int | None]:
    """The parts of the snapshot, the files' columns if they are expected, and the number of rows if it is known."""
    if files.suffix in EXCEL:
        return *_read_excel(workspace, files, request), None
    try:
        tables = open_tables(workspace, files, wanted_columns(request))
        for table in tables:
            snapshot_part(table, request)  # report a missing column before reading
        typed, row_count = _infer_trait_types(workspace, tables, request, files.partitions)
        columns = _column_types(workspace, files, typed[0]) if request.expected.columns else None
        return [snapshot_part(table, request) for table in typed], columns, row_count
    except duckdb.Error as error:
        raise files.errors.explain(error) from None


def _column_types(workspace: Workspace, files: OpenFiles, table: Scan) -> Columns:
    """The columns with types; for JSON the keys of all records without types, which differ between records."""
    if files.suffix in JSON:
        return dict.fromkeys(record_keys(workspace, files.paths), "") | dict.fromkeys(files.partitions, "text")
    return {name: generic_type(column.type) for name, column in table.columns.items()}


def _infer_trait_types(
    workspace: Workspace, tables: Sequence[Scan], request: SnapshotRequest, partitions: Collection[str]
) -> tuple[list[Scan], int | None]:
    """The tables with inferred types of trait columns where the config sets no type, and the number of their rows."""
    typed = {trait.column for trait in request.traits.values() if trait.type or trait.is_id}
    typed |= {request.user_id, request.name or request.user_id}
    typed |= set(partitions)
    untyped = {
        trait.column
        for key, trait in request.traits.items()
        if trait.column not in typed and not stays_text(key) and not stays_text(trait.column)
    }
    return infer_types(workspace, tables, sorted(untyped))


def _read_excel(
    workspace: Workspace, files: OpenFiles, request: SnapshotRequest
) -> tuple[list[SnapshotPart], Columns | None]:
    from audience_sync.sources.formats.excel import read_sheet

    read = partial(read_sheet, sheet=request.sheet, rows=request.sample_rows)
    sheets = [(found.name, read(found).with_partitions(found.partitions)) for found in files.found]
    parts = [spool(workspace, name, sheet.header, sheet.rows, request, is_sheet=True) for name, sheet in sheets]
    columns = {name: "" for _, sheet in sheets for name in sheet.header if name}
    return parts, columns if request.expected.columns else None


def _refuse_changes(found: Sequence[FoundFile]) -> None:
    for file in found:
        file.refuse_change()

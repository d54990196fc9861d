"""How are snapshots read from files? By name, glob or folder, or by SQL over them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from audience_sync.errors import IncompleteError, SourceError
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source
from audience_sync.sources.files.open import EXCEL, JSON, OpenFiles, open_files, tables_with
from audience_sync.sources.files.sql import is_repeatable, query_rows
from audience_sync.sources.fingerprint import fingerprint
from audience_sync.sources.formats.json import record_keys
from audience_sync.sources.readiness import not_ready_reason
from audience_sync.sources.rows.column_schema import generic_type
from audience_sync.sources.rows.scan import Scan, SnapshotPart, part_of, wanted_columns
from audience_sync.sources.rows.snapshot_query import snapshot_rows
from audience_sync.sources.rows.spool import spool
from audience_sync.sources.rows.type_inference import Kind, infer, stays_text
from audience_sync.sources.storage.head import heads
from audience_sync.sources.storage.locate import FileLocation, FoundFile
from audience_sync.sources.storage.manifest import promised_rows
from audience_sync.sources.storage.resolve_names import file_words
from audience_sync.workspace import Workspace

#: Names, and types in plain words.
Columns = Mapping[str, str]


class FilesSource(Source):
    """A folder of data files: a path, or a URL that fsspec knows.

    ``partitions``: ``hive`` where its folders give columns, whatever an entry says.
    """

    def __init__(self, folder: str | Path, *, partitions: str | None = None) -> None:
        self._folder = FileLocation(folder, hive=partitions is not None)

    def _folder_of(self, wanted: SnapshotRequest) -> FileLocation:
        return FileLocation(self._folder.place, hive=self._folder.hive or wanted.partitions is not None)

    def check(self) -> str:
        if "://" in self._folder.place:
            return f"files at {self._folder.place.split('://', 1)[0]}://, read when they are needed"
        count = len(self._folder.files())
        return f"folder {self._folder.place}, {count} file{'' if count == 1 else 's'}"

    def read(self, workspace: Workspace, wanted: SnapshotRequest) -> SnapshotRows:
        if wanted.most is None:
            return self._read(workspace, wanted)
        try:
            return self._read(workspace, wanted)
        except IncompleteError:
            raise
        except SourceError:
            # A JSON key may come late, a quote may open nothing: whether it is wrong, the whole file says.
            return self._read(workspace, replace(wanted, most=None))

    def _read(self, workspace: Workspace, wanted: SnapshotRequest) -> SnapshotRows:
        if wanted.query is not None:
            return self._answer(workspace, wanted)
        found = self._folder_of(wanted).find(wanted.file or "", workspace)
        self._require(wanted)
        looked_at = found if wanted.most is None else heads(workspace, found, wanted.encoding)
        files = open_files(workspace, looked_at, wanted.encoding)
        parts, columns = _read_parts(workspace, files, wanted)
        rereadable = files.suffix == ".parquet"
        rows = snapshot_rows(workspace, wanted, parts, files.problems, verify(found), rereadable=rereadable)
        return replace(rows, promised=self._promised(workspace, wanted, found), columns=columns)

    def _answer(self, workspace: Workspace, wanted: SnapshotRequest) -> SnapshotRows:
        answer = query_rows(workspace, self._folder_of(wanted), wanted)
        self._require(wanted)
        self._promised(workspace, wanted, answer.found)  # of the files: nobody promised how many rows the answer has
        rows = snapshot_rows(workspace, wanted, [answer.part], answer.problems, verify(answer.found))
        return replace(rows, columns=answer.columns if wanted.expected.columns else None)

    def mark(self, wanted: SnapshotRequest) -> str | None:
        if wanted.query is not None and not is_repeatable(wanted.query):
            return None
        if self._unready(wanted):
            return None
        folder = self._folder_of(wanted)
        asked = replace(wanted, partitions="hive") if folder.hive else wanted
        return fingerprint(asked, *(folder.versions(name) for name in _names(wanted)))

    def _require(self, wanted: SnapshotRequest) -> None:
        problem = self._unready(wanted)
        if problem:
            raise IncompleteError(problem)

    def _unready(self, wanted: SnapshotRequest) -> str | None:
        expected = wanted.expected
        if expected.since is None and expected.marker is None:
            return None
        folder = self._folder_of(wanted)
        files = [file for name in _names(wanted) for file in folder.times(name)]
        if not files:
            return None  # that they are missing is what ``read`` says
        return not_ready_reason(expected, files, folder.times(expected.marker) if expected.marker else [])

    def _promised(self, workspace: Workspace, wanted: SnapshotRequest, found: Sequence[FoundFile]) -> int | None:
        manifest = wanted.expected.manifest
        return None if manifest is None else promised_rows(workspace, self._folder, manifest, found)


def _names(wanted: SnapshotRequest) -> list[str]:
    """What may be files, globs and folders."""
    return [wanted.file or ""] if wanted.query is None else file_words(wanted.query)


def _read_parts(
    workspace: Workspace, files: OpenFiles, wanted: SnapshotRequest
) -> tuple[list[SnapshotPart], Columns | None]:
    """The parts of the snapshot, and the columns that the files have, where they are expected."""
    if files.suffix in EXCEL:
        return _read_excel(workspace, files, wanted)
    try:
        tables = tables_with(workspace, files, wanted_columns(wanted))
        for table in tables:
            part_of(table, wanted)  # a column that is missing is said before anything is read
        typed = _inferred(workspace, tables, wanted, files.partitions)
        columns = _columns(workspace, files, typed[0]) if wanted.expected.columns else None
        return [part_of(table, wanted) for table in typed], columns
    except duckdb.Error as error:
        raise files.problems.explain(error) from None


def _columns(workspace: Workspace, files: OpenFiles, table: Scan) -> Columns:
    """Of JSON the keys of all records: their types differ from record to record."""
    if files.suffix in JSON:
        return dict.fromkeys(record_keys(workspace, files.paths), "") | dict.fromkeys(files.partitions, "text")
    return {name: generic_type(column.type) for name, column in table.columns.items()}


def _inferred(
    workspace: Workspace, tables: Sequence[Scan], wanted: SnapshotRequest, partitions: Collection[str]
) -> list[Scan]:
    """CSV tables with the types of the trait columns whose type nobody says."""
    said = {trait.column for trait in wanted.traits.values() if trait.type or trait.is_id}
    said |= {wanted.user_id, wanted.name or wanted.user_id}
    said |= set(partitions)
    guessed = {
        trait.column
        for key, trait in wanted.traits.items()
        if trait.column not in said and not stays_text(key) and not stays_text(trait.column)
    }
    return infer(workspace, tables, sorted(guessed), lambda name: tuple(Kind))


def _read_excel(
    workspace: Workspace, files: OpenFiles, wanted: SnapshotRequest
) -> tuple[list[SnapshotPart], Columns | None]:
    from audience_sync.sources.formats.excel import read_sheet

    sheets = [(found.name, read_sheet(found, wanted.sheet).beside(found.partitions)) for found in files.found]
    parts = [spool(workspace, name, sheet.header, sheet.rows, wanted, is_sheet=True) for name, sheet in sheets]
    columns = {name: "" for _, sheet in sheets for name in sheet.header if name}
    return parts, columns if wanted.expected.columns else None


def verify(found: Sequence[FoundFile]) -> Callable[[], None]:
    """A check that the files are as they were when they were found."""

    def unchanged() -> None:
        for file in found:
            if file.now() != file.state:
                raise SourceError(
                    f"{file.name} was changed while it was read: it is still being written. Nothing of it was used. "
                    "Write it under another name and rename it when it is complete, and run again."
                )

    return unchanged

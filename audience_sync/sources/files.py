"""How are snapshots read from files? By name, glob or folder, or by SQL over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from audience_sync.errors import SourceError
from audience_sync.sources.base import Rows, Source, Wanted
from audience_sync.sources.inference import Kind, infer, stays_text
from audience_sync.sources.lookup import Folder, Found
from audience_sync.sources.marks import mark_of
from audience_sync.sources.queries import file_words, is_repeatable, query_rows
from audience_sync.sources.reading import EXCEL, Opened, opened, tables_with
from audience_sync.sources.rows import rows_of
from audience_sync.sources.spool import spool
from audience_sync.sources.tables import Part, Table, part_of, wanted_columns
from audience_sync.workspace import Workspace


class FilesSource(Source):
    """A folder of data files: a path, or a URL that fsspec knows."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Folder(folder)

    def check(self) -> str:
        if "://" in self._folder.place:
            return f"files at {self._folder.place.split('://', 1)[0]}://, read when they are needed"
        count = len(self._folder.files())
        return f"folder {self._folder.place}, {count} file{'' if count == 1 else 's'}"

    def read(self, workspace: Workspace, wanted: Wanted) -> Rows:
        if wanted.query is not None:
            answer = query_rows(workspace, self._folder, wanted)
            return rows_of(workspace, wanted, [answer.part], answer.problems, verify(answer.found))
        found = self._folder.find(wanted.file or "", workspace)
        files = opened(workspace, found, wanted.encoding)
        parts = _parts(workspace, files, wanted)
        rereadable = files.suffix == ".parquet"
        return rows_of(workspace, wanted, parts, files.problems, verify(found), rereadable=rereadable)

    def mark(self, wanted: Wanted) -> str | None:
        if wanted.query is not None and not is_repeatable(wanted.query):
            return None
        names = [wanted.file or ""] if wanted.query is None else file_words(wanted.query)
        return mark_of(wanted, *(self._folder.versions(name) for name in names))


def _parts(workspace: Workspace, files: Opened, wanted: Wanted) -> list[Part]:
    if files.suffix in EXCEL:
        return [_excel_part(workspace, found, wanted) for found in files.found]
    try:
        tables = tables_with(workspace, files, wanted_columns(wanted))
        for table in tables:
            part_of(table, wanted)  # a column that is missing is said before anything is read
        return [part_of(table, wanted) for table in _inferred(workspace, tables, wanted)]
    except duckdb.Error as error:
        raise files.problems.explain(error) from None


def _inferred(workspace: Workspace, tables: Sequence[Table], wanted: Wanted) -> list[Table]:
    """CSV tables with the types of the trait columns whose type nobody says."""
    if not tables[0].is_text:
        return list(tables)
    said = {trait.column for trait in wanted.traits.values() if trait.type} | {wanted.user_id, wanted.name}
    guessed = {
        trait.column
        for key, trait in wanted.traits.items()
        if trait.column not in said and not stays_text(key) and not stays_text(trait.column)
    }
    return infer(workspace, tables, sorted(guessed), lambda name: tuple(Kind))


def _excel_part(workspace: Workspace, found: Found, wanted: Wanted) -> Part:
    from audience_sync.sources.formats.excel import read_sheet

    sheet = read_sheet(found, wanted.sheet)
    return spool(workspace, found.name, sheet.header, sheet.rows, wanted)


def verify(found: Sequence[Found]) -> Callable[[], None]:
    """A check that the files are as they were when they were found."""

    def unchanged() -> None:
        for file in found:
            if file.now() != file.state:
                raise SourceError(
                    f"{file.name} was changed while it was read: it is still being written. Nothing of it was used. "
                    "Write it under another name and rename it when it is complete, and run again."
                )

    return unchanged

"""Read Excel workbooks with pandas, without converting cells: text stays text."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, time
from typing import Any

from msgspec import Struct

from audience_sync.errors import SourceError
from audience_sync.sources.rows.scan import did_you_mean, join_names, refuse_duplicates
from audience_sync.sources.storage.locate import FoundFile
from audience_sync.sources.values.user_ids import LARGEST_WHOLE_DOUBLE

#: Maximum size of an unpacked workbook.
MAX_BYTES = 300_000_000


class Sheet(Struct, frozen=True):
    """The header in the first row, and the rows below without blank ones."""

    header: list[str]
    rows: list[tuple[Any, ...]]

    def with_partitions(self, partitions: Mapping[str, str | None]) -> Sheet:
        """The sheet with the columns of its folders, which replace columns of the same names."""
        if not partitions:
            return self
        own = ["" if name in partitions else name for name in self.header]
        return Sheet([*own, *partitions], [(*row, *partitions.values()) for row in self.rows])


def read_sheet(found: FoundFile, sheet: str | None, rows: int | None = None) -> Sheet:
    """A sheet (default: the first visible one), loaded into memory: Excel allows 1,048,576 rows. Raises SourceError.

    ``rows``: read only so many rows below the header.
    """
    try:
        import pandas
        import python_calamine  # noqa: F401  # pandas reads with it
    except ImportError as error:
        raise SourceError(
            f"{found.name} is an Excel workbook, and reading it needs the package {error.name}, which is not "
            "installed. Nothing of it was used. Install it: pip install 'audience-sync[excel]'"
        ) from None
    _refuse_large(found)
    try:
        with pandas.ExcelFile(found.path, engine="calamine") as book:
            names = [str(name) for name in book.sheet_names]
            visible = [each.name for each in book.book.sheets_metadata if str(each.visible).endswith(".Visible")]
            chosen = _choose_sheet(found.name, names, visible, sheet)
            few = None if rows is None else rows + 1
            frame = pandas.read_excel(book, sheet_name=chosen, header=None, nrows=few, dtype=object, na_filter=False)
    except SourceError:
        raise
    except Exception as error:  # calamine has one error for everything
        raise SourceError(
            f"{found.name} is not a whole Excel workbook ({type(error).__name__}). Nothing of it was used. "
            "Save it again, or check that it is complete."
        ) from None
    return sheet_of_rows(found.name, frame.itertuples(index=False, name=None))


def _refuse_large(found: FoundFile) -> None:
    """Raise SourceError for a workbook that is too large when unpacked; other files are left to the reader."""
    size = found.path.stat().st_size
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(found.path) as packed:
        size = sum(part.file_size for part in packed.infolist())
    if size > MAX_BYTES:
        raise SourceError(
            f"{found.name} is too large to be read as a workbook, which is whole in memory ({size:,} bytes; at most "
            f"{MAX_BYTES:,}). Nothing of it was used. Save it as CSV or Parquet."
        )


def _choose_sheet(file: str, names: list[str], visible: list[str], sheet: str | None) -> str:
    """The name of the sheet to read. A hidden sheet is read only if the config names it."""
    if sheet is None:
        first = next((name for name in names if name in visible), None)
        if first is None:
            raise SourceError(
                f"{file}: all its sheets are hidden: {join_names(names)}. Name one by `sheet:` in the config."
            )
        return first
    if sheet not in names:
        raise SourceError(
            f"{file}: there is no sheet {sheet!r}.{did_you_mean(sheet, names)} It has {join_names(names)}."
        )
    return sheet


def sheet_of_rows(file: str, rows: Iterator[tuple[Any, ...]]) -> Sheet:
    """The sheet of these rows of cells, which begin with the header. Raises SourceError."""
    header = [str(cell).strip() if cell is not None else "" for cell in next(rows, ())]
    if not any(header):
        raise SourceError(f"{file}: the first row is blank: it must have the columns' names. Nothing of it was used.")
    refuse_duplicates(file, header)
    cells = (tuple(_cell_value(cell) for cell in row) for row in rows)
    return Sheet(header, [row for row in cells if any(cell is not None for cell in row)])


def _cell_value(cell: Any) -> Any:
    """The cell as a value of Python; None for an empty cell."""
    if cell is None or cell == "" or cell != cell:
        return None
    if isinstance(cell, int) and abs(cell) > LARGEST_WHOLE_DOUBLE:
        return float(cell)  # as in Excel: pandas makes an integer of it, with digits that were never there
    if isinstance(cell, datetime) and hasattr(cell, "to_pydatetime"):
        return cell.to_pydatetime()
    return cell.item() if hasattr(cell, "item") and not isinstance(cell, (datetime, time)) else cell

"""Write rows from Python (databases, Excel) to a file of the workspace, so that memory stays bounded.

The file is CSV, with the row's number, the user id, the reason if it is invalid, the name, and JSON text per trait. It
has half the bytes of JSON lines, and is as fast to write and scan.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest, Unsendable
from audience_sync.sources.rows.scan import (
    NAME_HAS_NUL,
    NAME_HAS_SURROGATE,
    REPEATED_HEADER,
    SnapshotPart,
    batched,
    bytes_column,
    duplicate_column,
    missing_column,
    wanted_columns,
)
from audience_sync.sources.values.json_python import json_text, json_texts
from audience_sync.sources.values.json_sql import ARE_BYTES, INVALID
from audience_sync.sources.values.user_ids import MISSING, NOT_TEXT, python_ids
from audience_sync.sql import WRITTEN_CSV, Expression, csv_scan
from audience_sync.workspace import Workspace

MAX_RAW_CHARACTERS = 200
_SURROGATE = re.compile("[\ud800-\udfff]")
BATCH_ROWS = 10_000


class ColumnPositions(Struct, frozen=True, kw_only=True):
    """The positions of the requested columns in a row."""

    user_id: int
    name: int | None
    traits: Mapping[str, int]
    ids: frozenset[str] = frozenset()  # keys of traits that are further ids
    header: tuple[str, ...] | None = None  # the header, if a row that repeats it is invalid


def column_positions(file: str, header: Sequence[str], request: SnapshotRequest, *, is_sheet: bool) -> ColumnPositions:
    """The positions of the requested columns. Raises SourceError for a missing or duplicate one."""
    for name in wanted_columns(request):
        if name not in header:
            raise missing_column(file, name, header, request)
        if list(header).count(name) > 1:
            raise duplicate_column(file, name)
    return ColumnPositions(
        user_id=header.index(request.user_id),
        name=header.index(request.name) if request.name else None,
        traits={key: header.index(trait.column) for key, trait in request.traits.items()},
        ids=frozenset(key for key, trait in request.traits.items() if trait.is_id),
        header=tuple(header) if is_sheet else None,
    )


def spool(
    workspace: Workspace,
    file: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    request: SnapshotRequest,
    *,
    refuse: Callable[[Any], SourceError] | None = None,
    is_sheet: bool = False,
) -> SnapshotPart:
    """Write the rows to a file, and return the part that scans it.

    ``refuse`` makes an error of a value whose type can't be a user id; without it, the row is invalid. ``is_sheet``: a
    row may repeat the header, since people combine sheets.
    """
    positions = column_positions(file, header, request, is_sheet=is_sheet)
    path = workspace.path("-rows.csv")
    with_invalid = set[str]()
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\r\n")  # what contains either is quoted
        for number, batch in enumerate(batched(rows, BATCH_ROWS)):
            start = number * BATCH_ROWS + 1
            cells = _cells(start, batch, positions, refuse, with_invalid)
            if start == 1 and with_invalid:  # the first rows decide whether a column can only hold bytes
                for key, texts in zip(positions.traits, cells[-len(positions.traits) :], strict=True):
                    if {text for text in texts if text is not None} == {INVALID + ARE_BYTES}:
                        raise bytes_column(file, request.traits[key].column)
            writer.writerows(zip(*cells, strict=True))
    return _spooled_part(path, file, positions, with_invalid)


def _cells(
    start: int,
    rows: Sequence[Sequence[Any]],
    positions: ColumnPositions,
    refuse: Callable[[Any], SourceError] | None,
    with_invalid: set[str],
) -> list[Sequence[Any]]:
    """The columns of one batch, the traits last. Traits with an invalid value are added to ``with_invalid``."""
    columns = list(zip(*rows, strict=True))
    values = columns[positions.user_id]
    user_ids, reasons = python_ids(values)
    headers = [index for index, row in enumerate(rows) if positions.header and _is_header(row, positions.header)]
    for index in headers:
        user_ids[index], reasons[index] = None, REPEATED_HEADER
    if refuse and start == 1 and NOT_TEXT in reasons and {NOT_TEXT, MISSING}.issuperset(reasons):
        raise refuse(values[reasons.index(NOT_TEXT)])
    cells: list[Sequence[Any]] = [range(start, start + len(rows)), user_ids, reasons, _raw_ids(values, reasons)]
    if positions.name is not None:
        names, problems = zip(*map(_audience_name, columns[positions.name]), strict=True)
        reasons = [reason or problem for reason, problem in zip(reasons, problems, strict=True)]
        cells = [*cells[:2], reasons, _raw_ids(values, reasons), names]
    for key, index in positions.traits.items():
        texts = python_ids(columns[index])[0] if key in positions.ids else json_texts(columns[index])
        for row in headers:
            texts[row] = None
        if key not in positions.ids and any(text[0] == INVALID for text in texts if text):
            with_invalid.add(key)
        cells.append(texts)
    return cells


def _is_header(row: Sequence[Any], header: Sequence[str]) -> bool:
    return all(("" if cell is None else str(cell).strip()) == name for cell, name in zip(row, header, strict=True))


def _raw_ids(values: Sequence[Any], reasons: Sequence[str | None]) -> list[str | None]:
    return [_raw_id(value) if reason else None for value, reason in zip(values, reasons, strict=True)]


def _audience_name(value: Any) -> tuple[str | None, str | None]:
    """An audience's name, or None and the reason why it is invalid."""
    if value is None or isinstance(value, Unsendable):
        return None, f"audience name {value.reason}" if value else None
    text = str(value)
    if "\0" in text:
        return None, NAME_HAS_NUL
    return (None, NAME_HAS_SURROGATE) if _SURROGATE.search(text) else (text, None)


def _raw_id(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, Unsendable):
        return "\ufffd"
    try:
        return _printable(str(value)[:MAX_RAW_CHARACTERS])
    except ValueError:  # an integer that Python refuses to convert to text
        return _printable(f"{Decimal(value):.{MAX_RAW_CHARACTERS}}"[:MAX_RAW_CHARACTERS])


def _printable(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")


def _spooled_part(path: Path, file: str, positions: ColumnPositions, with_invalid: Collection[str]) -> SnapshotPart:
    traits = {key: Expression(f"t{index}") for index, key in enumerate(positions.traits)}
    name = Expression("name") if positions.name is not None else None
    texts = ["user_id", "reason", "raw", *([name] if name else []), *traits.values()]
    return SnapshotPart(
        file=file,
        scan=csv_scan(path, {"row": "BIGINT", **dict.fromkeys(texts, "VARCHAR")}, options=WRITTEN_CSV),
        row=Expression('"row"'),
        user_id=Expression("user_id"),
        reason=Expression("reason"),
        raw=Expression(f"case when reason is null then user_id when reason <> '{MISSING}' then coalesce(raw, '') end"),
        name=name,
        traits=traits,
        may_be_invalid=dict.fromkeys(with_invalid, ()),
        is_checked_by_text=True,  # an invalid one is NULL
    )


def spool_text(workspace: Workspace, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write the rows as a CSV file of plain texts, for queries over them."""
    path = workspace.path("-table.csv")
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\r\n")  # what contains either is quoted
        writer.writerow(header)
        writer.writerows([_plain_text(value) for value in row] for row in rows)
    return path


def _plain_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    text = json_text(value)
    return text.strip('"') if text and not text.startswith(INVALID) else None

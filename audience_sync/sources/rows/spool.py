"""Where do rows go that were met in Python? Into a file of the workspace, so that memory stays bounded.

A CSV file with a cell for the row's number, the user id or why it can't be used, the name, and JSON text per
trait. (Half the bytes of JSON lines, written and scanned as fast.)
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest, Unsendable
from audience_sync.sources.rows.scan import (
    NAME_HAS_NUL,
    NAME_HAS_SURROGATE,
    REPEATED_HEADER,
    SnapshotPart,
    bytes_column,
    duplicate_column,
    missing_column,
    wanted_columns,
)
from audience_sync.sources.values.json_python import json_text, json_texts
from audience_sync.sources.values.json_sql import ARE_BYTES, INVALID
from audience_sync.sources.values.user_ids import MISSING, NOT_TEXT, python_ids
from audience_sync.workspace import Workspace, quote_literal

MAX_RAW_CHARACTERS = 200
_SURROGATE = re.compile("[\ud800-\udfff]")
BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class ColumnPositions:
    """Where in a row the wanted columns are."""

    user_id: int
    name: int | None
    traits: Mapping[str, int]
    ids: frozenset[str] = frozenset()  # those of the traits that are further ids
    header: tuple[str, ...] | None = None  # the header, where a row that repeats it is invalid


def column_positions(file: str, header: Sequence[str], request: SnapshotRequest) -> ColumnPositions:
    """Raises SourceError for a column that is missing, or wanted and there twice."""
    for name in wanted_columns(request):
        if name not in header:
            raise missing_column(file, name, header, request)
        if list(header).count(name) > 1:
            raise duplicate_column(file, name)
    return ColumnPositions(
        header.index(request.user_id),
        header.index(request.name) if request.name else None,
        {key: header.index(trait.column) for key, trait in request.traits.items()},
        frozenset(key for key, trait in request.traits.items() if trait.is_id),
    )


def spool(
    workspace: Workspace,
    file: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    request: SnapshotRequest,
    refuse: Callable[[Any], SourceError] | None = None,
    *,
    is_sheet: bool = False,
) -> SnapshotPart:
    """Write the rows down. ``refuse`` makes an error of a value whose type is no user id's (else: a reject).

    ``is_sheet``: people may have put sheets together, so that a row may be the header again.
    """
    where = replace(column_positions(file, header, request), header=tuple(header) if is_sheet else None)
    path = workspace.path("-rows.csv")
    odd = set[str]()
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\r\n")  # what contains either is quoted
        for start, batch in _batches(rows):
            cells = _cells(start, batch, where, refuse, odd)
            if start == 1 and odd:
                _refuse_bytes(file, request, dict(zip(where.traits, cells[-len(where.traits) :], strict=True)))
            writer.writerows(zip(*cells, strict=True))
    return _spooled_part(path, file, where, odd)


def _cells(
    start: int,
    rows: Sequence[Sequence[Any]],
    where: ColumnPositions,
    refuse: Callable[[Any], SourceError] | None,
    odd: set[str],
) -> list[Sequence[Any]]:
    """The columns of one batch; the traits are the last. ``odd`` gets those that have a rejected value."""
    columns = list(zip(*rows, strict=True))
    values = columns[where.user_id]
    user_ids, reasons = python_ids(values)
    headers = [index for index, row in enumerate(rows) if where.header and _is_header(row, where.header)]
    for index in headers:
        user_ids[index], reasons[index] = None, REPEATED_HEADER
    if refuse and start == 1 and NOT_TEXT in reasons and {NOT_TEXT, MISSING}.issuperset(reasons):
        raise refuse(values[reasons.index(NOT_TEXT)])
    cells: list[Sequence[Any]] = [range(start, start + len(rows)), user_ids, reasons, _raw_ids(values, reasons)]
    if where.name is not None:
        names, problems = zip(*map(_audience_name, columns[where.name]), strict=True)
        reasons = [reason or problem for reason, problem in zip(reasons, problems, strict=True)]
        cells = [*cells[:2], reasons, _raw_ids(values, reasons), names]
    for key, index in where.traits.items():
        texts = python_ids(columns[index])[0] if key in where.ids else json_texts(columns[index])
        for again in headers:
            texts[again] = None
        if key not in where.ids and any(text[0] == INVALID for text in texts if text):
            odd.add(key)
        cells.append(texts)
    return cells


def _is_header(row: Sequence[Any], header: Sequence[str]) -> bool:
    return all(("" if cell is None else str(cell).strip()) == name for cell, name in zip(row, header, strict=True))


def _refuse_bytes(file: str, request: SnapshotRequest, traits: Mapping[str, Sequence[str | None]]) -> None:
    """Raises SourceError for a column whose first values are bytes, all of them."""
    for key, texts in traits.items():
        if {text for text in texts if text is not None} == {INVALID + ARE_BYTES}:
            raise bytes_column(file, request.traits[key].column)


def _batches(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, list[Sequence[Any]]]]:
    """The rows in batches, each with the number of its first."""
    iterator, start = iter(rows), 1
    while batch := list(islice(iterator, BATCH_ROWS)):
        yield start, batch
        start += len(batch)


def _raw_ids(values: Sequence[Any], reasons: Sequence[str | None]) -> list[str | None]:
    return [_raw_id(value) if reason else None for value, reason in zip(values, reasons, strict=True)]


def _audience_name(value: Any) -> tuple[str | None, str | None]:
    """An audience's name, None where it can't be used, and why."""
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
    except ValueError:  # an integer that Python refuses to write
        return _printable(f"{Decimal(value):.{MAX_RAW_CHARACTERS}}"[:MAX_RAW_CHARACTERS])


def _printable(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")


def _spooled_part(path: Path, file: str, where: ColumnPositions, odd: Collection[str]) -> SnapshotPart:
    traits = {key: f"t{index}" for index, key in enumerate(where.traits)}
    names = ["user_id", "reason", "raw", *(["name"] if where.name is not None else []), *traits.values()]
    columns = "row: 'BIGINT', " + ", ".join(f"{name}: 'VARCHAR'" for name in names)
    options = (
        f"auto_detect = false, header = false, columns = {{{columns}}}, delim = ',', quote = '\"',"
        " escape = '\"', nullstr = '', new_line = '\\r\\n'"
    )
    scan = f"read_csv({quote_literal(str(path))}, {options})"
    raw = f"case when reason is null then user_id when reason <> '{MISSING}' then coalesce(raw, '') end"
    name = "name" if where.name is not None else None
    return SnapshotPart(file, scan, '"row"', "user_id", "reason", raw, name, traits, dict.fromkeys(odd, ()))


def spool_text(workspace: Workspace, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """The rows as a CSV file of plain texts, for SQL over them."""
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

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
    HEADER_AGAIN,
    NAME_HAS_NUL,
    NAME_HAS_SURROGATE,
    SnapshotPart,
    bytes_column,
    column_missing,
    column_twice,
    wanted_columns,
)
from audience_sync.sources.values.json_python import json_text, json_texts
from audience_sync.sources.values.json_sql import ARE_BYTES, REJECTED
from audience_sync.sources.values.user_ids import MISSING, NOT_TEXT, python_ids
from audience_sync.workspace import Workspace, quote_literal

MOST_RAW = 200
_SURROGATE = re.compile("[\ud800-\udfff]")
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class ColumnPositions:
    """Where in a row the wanted columns are."""

    user_id: int
    name: int | None
    traits: Mapping[str, int]
    ids: frozenset[str] = frozenset()  # those of the traits that are further ids
    again: tuple[str, ...] | None = None  # the header, where a row that repeats it is invalid


def places(file: str, header: Sequence[str], wanted: SnapshotRequest) -> ColumnPositions:
    """Raises SourceError for a column that is missing, or wanted and there twice."""
    for name in wanted_columns(wanted):
        if name not in header:
            raise column_missing(file, name, header, wanted)
        if list(header).count(name) > 1:
            raise column_twice(file, name)
    return ColumnPositions(
        header.index(wanted.user_id),
        header.index(wanted.name) if wanted.name else None,
        {key: header.index(trait.column) for key, trait in wanted.traits.items()},
        frozenset(key for key, trait in wanted.traits.items() if trait.is_id),
    )


def spool(
    workspace: Workspace,
    file: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    wanted: SnapshotRequest,
    refuse: Callable[[Any], SourceError] | None = None,
    *,
    is_sheet: bool = False,
) -> SnapshotPart:
    """Write the rows down. ``refuse`` makes an error of a value whose type is no user id's (else: a reject).

    ``is_sheet``: people may have put sheets together, so that a row may be the header again.
    """
    where = replace(places(file, header, wanted), again=tuple(header) if is_sheet else None)
    path = workspace.path("-rows.csv")
    odd = set[str]()
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\r\n")  # what contains either is quoted
        for start, batch in _batches(rows):
            cells = _cells(start, batch, where, refuse, odd)
            if start == 1 and odd:
                _refuse_bytes(file, wanted, dict(zip(where.traits, cells[-len(where.traits) :], strict=True)))
            writer.writerows(zip(*cells, strict=True))
    return _part(path, file, where, odd)


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
    headers = [place for place, row in enumerate(rows) if where.again and _is_header(row, where.again)]
    for place in headers:
        user_ids[place], reasons[place] = None, HEADER_AGAIN
    if refuse and start == 1 and NOT_TEXT in reasons and {NOT_TEXT, MISSING}.issuperset(reasons):
        raise refuse(values[reasons.index(NOT_TEXT)])
    cells: list[Sequence[Any]] = [range(start, start + len(rows)), user_ids, reasons, _raws(values, reasons)]
    if where.name is not None:
        names, problems = zip(*map(_name, columns[where.name]), strict=True)
        reasons = [reason or problem for reason, problem in zip(reasons, problems, strict=True)]
        cells = [*cells[:2], reasons, _raws(values, reasons), names]
    for key, place in where.traits.items():
        texts = python_ids(columns[place])[0] if key in where.ids else json_texts(columns[place])
        for again in headers:
            texts[again] = None
        if key not in where.ids and any(text[0] == REJECTED for text in texts if text):
            odd.add(key)
        cells.append(texts)
    return cells


def _is_header(row: Sequence[Any], header: Sequence[str]) -> bool:
    return all(("" if cell is None else str(cell).strip()) == name for cell, name in zip(row, header, strict=True))


def _refuse_bytes(file: str, wanted: SnapshotRequest, traits: Mapping[str, Sequence[str | None]]) -> None:
    """Raises SourceError for a column whose first values are bytes, all of them."""
    for key, texts in traits.items():
        if {text for text in texts if text is not None} == {REJECTED + ARE_BYTES}:
            raise bytes_column(file, wanted.traits[key].column)


def _batches(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, list[Sequence[Any]]]]:
    """The rows in batches, each with the number of its first."""
    iterator, start = iter(rows), 1
    while batch := list(islice(iterator, ROWS_AT_ONCE)):
        yield start, batch
        start += len(batch)


def _raws(values: Sequence[Any], reasons: Sequence[str | None]) -> list[str | None]:
    return [_raw(value) if reason else None for value, reason in zip(values, reasons, strict=True)]


def _name(value: Any) -> tuple[str | None, str | None]:
    """An audience's name, None where it can't be used, and why."""
    if value is None or isinstance(value, Unsendable):
        return None, f"audience name {value.reason}" if value else None
    text = str(value)
    if "\0" in text:
        return None, NAME_HAS_NUL
    return (None, NAME_HAS_SURROGATE) if _SURROGATE.search(text) else (text, None)


def _raw(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, Unsendable):
        return "\ufffd"
    try:
        return _sendable(str(value)[:MOST_RAW])
    except ValueError:  # an integer that Python refuses to write
        return _sendable(f"{Decimal(value):.{MOST_RAW}}"[:MOST_RAW])


def _sendable(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")


def _part(path: Path, file: str, where: ColumnPositions, odd: Collection[str]) -> SnapshotPart:
    traits = {key: f"t{place}" for place, key in enumerate(where.traits)}
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
    return text.strip('"') if text and not text.startswith(REJECTED) else None

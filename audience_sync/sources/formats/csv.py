"""How is a CSV or TSV file read? As text, every cell as written; a blank line is no row."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path

from audience_sync.errors import SourceError
from audience_sync.sources.lookup import Found
from audience_sync.sources.tables import Column, Table, refuse_doubles
from audience_sync.workspace import LINE_BYTES, literal

#: Bytes of it in which the delimiter is looked for.
LONGEST_HEADER = 1 << 20
MOST_COLUMNS = 10_000
DELIMITERS = (",", ";", "\t", "|")
_QUOTED = re.compile(r'"[^"]*"')
_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE_END_BYTES = re.compile(rb"\r\n|\n|\r")


def csv_table(found: Found, path: Path) -> Table:
    """``path`` is the plain file. Raises SourceError where the header can't be used, or a line is too long."""
    _refuse_long_lines(found, path)
    delimiter = "\t" if found.suffix == ".tsv" else _delimiter(path)
    header = _header(found, path, delimiter)
    columns = {name: Column(f"c{place}", "VARCHAR") for place, name in enumerate(header) if name}
    return Table(found.name, _scan(path, delimiter, len(header)), columns, is_text=True)


def _refuse_long_lines(found: Found, path: Path) -> None:
    """DuckDB takes none either; but a last one of more than 32 MB it passes over without a word."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as text:
        start = 0
        while len(text) - start > LINE_BYTES:
            window = start, start + LINE_BYTES + 1
            end = max(text.rfind(b"\n", *window), text.rfind(b"\r", *window))
            if end < 0:
                line = sum(1 for _ in _LINE_END_BYTES.finditer(text, 0, start)) + 1
                raise SourceError(
                    f"{found.name}, line {line:,} is longer than {LINE_BYTES:,} bytes: is it damaged? Nothing of it "
                    "was used."
                )
            start = end + 1


def _delimiter(path: Path) -> str:
    """The one most often met in the header, outside of quotes."""
    with path.open("rb") as file:
        line = file.readline(LONGEST_HEADER).decode(errors="replace")
    counts = Counter(_QUOTED.sub("", line))
    return max(DELIMITERS, key=lambda delimiter: counts[delimiter])


def _header(found: Found, path: Path, delimiter: str) -> list[str]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file, delimiter=delimiter, strict=True), [])
    except csv.Error:
        raise SourceError(
            f"{found.name}, line 1: the header's quotes are broken. Nothing of it was used. Write it again."
        ) from None
    if not any(header):
        raise SourceError(f"{found.name}, line 1 is blank: the columns' names must be there. Nothing of it was used.")
    if len(header) > MOST_COLUMNS:
        raise SourceError(
            f"{found.name} has {len(header):,} columns; at most {MOST_COLUMNS:,} are read. Nothing of it was used. "
            "Write those that are wanted."
        )
    refuse_doubles(f"{found.name}, line 1", header)
    _refuse_line_ends(found, path, header)
    return header


def _refuse_line_ends(found: Found, path: Path, header: Sequence[str]) -> None:
    """DuckDB takes the first line end of the file, also one within quotes, for that of all lines."""
    within = {end for name in header for end in _LINE_END.findall(name)}
    if within - {_line_end(path)}:
        raise SourceError(
            f"{found.name}, line 1: a column's name has a line end that is not the file's own, so that the rows can't "
            "be told apart. Nothing of it was used. Write the name on one line."
        )


def _line_end(path: Path) -> str:
    with path.open("rb") as file:
        outside = _LINE_END.search(_QUOTED.sub("", file.read(LONGEST_HEADER).decode(errors="replace")))
    return outside.group() if outside else ""


def _scan(path: Path, delimiter: str, width: int) -> str:
    columns = ", ".join(f"c{place}: 'VARCHAR'" for place in range(width))
    options = (
        f"auto_detect = false, header = true, columns = {{{columns}}}, delim = {literal(delimiter)},"
        " quote = '\"', escape = '\"', nullstr = '', strict_mode = true,"
        " hive_partitioning = false"
    )
    rows = f"read_csv({literal(str(path))}, {options}"
    # With one column, DuckDB takes a blank line for an unquoted empty value.
    return f"{rows})" if width > 1 else f"(from {rows}, allow_quoted_nulls = false) where c0 is not null)"

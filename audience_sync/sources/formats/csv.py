"""How is a CSV or TSV file read? As text, every cell as written; a blank line is no row."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

from audience_sync.errors import SourceError
from audience_sync.sources.lookup import Found
from audience_sync.sources.tables import Column, Table, refuse_doubles
from audience_sync.workspace import literal

#: Bytes of it in which the delimiter is looked for.
LONGEST_HEADER = 1 << 20
DELIMITERS = (",", ";", "\t", "|")
_QUOTED = re.compile(r'"[^"]*"')


def csv_table(found: Found, path: Path) -> Table:
    """``path`` is the plain file. Raises SourceError where the header can't be used."""
    delimiter = "\t" if found.suffix == ".tsv" else _delimiter(path)
    header = _header(found, path, delimiter)
    columns = {name: Column(f"c{place}", "VARCHAR") for place, name in enumerate(header) if name}
    return Table(found.name, _scan(path, delimiter, len(header)), columns, is_text=True)


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
    refuse_doubles(f"{found.name}, line 1", header)
    return header


def _scan(path: Path, delimiter: str, width: int) -> str:
    columns = ", ".join(f"c{place}: 'VARCHAR'" for place in range(width))
    options = (
        f"auto_detect = false, header = true, columns = {{{columns}}}, delim = {literal(delimiter)},"
        " quote = '\"', escape = '\"', nullstr = '', strict_mode = true"
    )
    rows = f"read_csv({literal(str(path))}, {options}"
    # With one column, DuckDB takes a blank line for an unquoted empty value.
    return f"{rows})" if width > 1 else f"(from {rows}, allow_quoted_nulls = false) where c0 is not null)"

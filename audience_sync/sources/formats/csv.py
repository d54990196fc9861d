"""Read CSV and TSV files as text, every cell as written; blank lines are skipped."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Sequence
from io import StringIO
from mmap import ACCESS_READ, mmap
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.errors import SourceError
from audience_sync.sources.rows.scan import Column, Scan, refuse_duplicates
from audience_sync.sources.storage.locate import FoundFile
from audience_sync.sql import LINE_BYTES, Condition, Expression, Relation, csv_scan, quote_literal
from audience_sync.workspace import Workspace

#: Bytes at the start of a file that may contain the header.
MAX_HEADER_BYTES = 1 << 20
MAX_COLUMNS = 10_000
DELIMITERS = (",", ";", "\t", "|")
#: A quote opens only at the start of a cell; a quoted cell may contain line ends.
_RECORD = re.compile(r'(?:(?:\A|(?<=[,;\t|]))"[^"]*(?:""[^"]*)*"|[^\r\n])*')
_QUOTED = re.compile(r'(?:\A|(?<=[,;\t|]))"[^"]*(?:""[^"]*)*"')
_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE_END_BYTES = re.compile(rb"\r\n|\n|\r")
#: The line by which a file states its separator for Excel.
_SEPARATOR_LINE = re.compile(r'(?:sep=(.)|"sep=(.)")[,;\t|]*(\r\n|\n|\r|\Z)', re.IGNORECASE)


class Header(Struct, frozen=True, kw_only=True):
    """The first record: the columns' names, the delimiter, and the header's text in the file.

    ``before`` is the size in bytes of a line ``sep=;``; ``end`` is the line end.
    """

    names: Sequence[str]
    delimiter: str
    text: str
    before: int
    end: str

    @property
    def size(self) -> int:
        """Bytes of the file up to the first row."""
        return self.before + len(self.text.encode()) + len(self.end)

    @property
    def is_plain(self) -> bool:
        """Whether DuckDB reads this header: it uses the first line end, even within quotes, for all lines."""
        return not self.before and not _LINE_END.search(self.text)


def csv_table(workspace: Workspace, found: FoundFile, path: Path) -> Scan:
    """``path`` is the decoded file. Raises SourceError for an invalid header or a line that is too long."""
    _refuse_long_lines(found, path)
    header = _read_header(found, path)
    columns = {name: Column(Expression(f"c{index}"), "VARCHAR") for index, name in enumerate(header.names) if name}
    skipped = 0
    if not header.is_plain:
        path, skipped = _with_plain_header(workspace, path, header)
    scan = _scan(path, header.delimiter, len(header.names), skipped)
    table = Scan(name=found.name, scan=scan, columns=columns, is_text=True)
    return _without_repeated_headers(table, header) if _has_repeated_header(path, header, skipped) else table


def _with_plain_header(workspace: Workspace, path: Path, header: Header) -> tuple[Path, int]:
    """A copy with a one-line header, and the number of lines before it, which keep line numbers unchanged."""
    copy, end = workspace.path("-header.csv"), header.end or "\n"
    lines = len(_LINE_END.findall(header.text)) + (1 if header.before else 0)
    plain = header.delimiter.join(f"c{index}" for index in range(len(header.names)))
    with path.open("rb") as file, copy.open("wb") as out:
        file.seek(header.size)
        out.write(("x" + end).encode() * lines + (plain + end).encode())
        shutil.copyfileobj(file, out, 1 << 20)
    return copy, lines


def _has_repeated_header(path: Path, header: Header, skipped: int) -> bool:
    """Whether a line begins like the header, as in files that were concatenated."""
    wanted = [form.encode() for form in _header_beginnings(header)]
    kept = max(map(len, wanted))
    # The first name is rare in data: one search instead of four. One byte is searched far faster than a text.
    needles = [header.names[0].encode()] if header.names[0] and not header.before else wanted
    with path.open("rb") as file:
        file.seek(0 if skipped else max(header.size - 1, 0))
        before = b""
        while chunk := file.read(1 << 20):  # bytes are searched far faster than a mapped file
            before += chunk
            some = (needle for needle in needles if all(byte in before for byte in needle))
            if any(needle in before for needle in some) and any(form in before for form in wanted):
                return True
            before = before[-kept:]
    return any(form in before + header.end.encode() for form in wanted)


def _header_beginnings(header: Header) -> set[str]:
    """The beginnings of a line that may repeat the header or its line `sep=;`, with the line end before it."""
    first, end = header.names[0], header.end or "\n"
    if not first:
        return {header.text, header.delimiter.join(header.names)}
    after = header.delimiter if len(header.names) > 1 else end[0]
    names = [first + after, '"' + first.replace('"', '""') + '"' + after]
    return {
        start + word
        for start in (end[-1], "\ufeff")
        for word in (*names, *(["sep=", "SEP=", "Sep="] if header.before else []))
    }


def _without_repeated_headers(table: Scan, header: Header) -> Scan:
    """The table without values from rows that repeat the header (with or without byte order mark) or `sep=;`."""
    first, *others = header.names
    without_mark = "ltrim(c0, chr(65279))"
    again = f"coalesce({without_mark}, '') = {quote_literal(first)}"
    for index, name in enumerate(others, start=1):
        again += f" and coalesce(c{index}, '') = {quote_literal(name)}"
    if header.before and len(header.names) == 2:
        again = f"({again}) or (coalesce(lower({without_mark}), '') = 'sep=' and c1 is null)"
    columns = {
        name: Column(Expression(f"case when not ({again}) then {column.sql} end"), column.type)
        for name, column in table.columns.items()
    }
    return replace(table, columns=columns, repeated_header=Condition(again))


def _refuse_long_lines(found: FoundFile, path: Path) -> None:
    """DuckDB refuses long lines too, but silently skips a last line of more than 32 MB."""
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


def _read_header(found: FoundFile, path: Path) -> Header:
    with path.open("rb") as file:
        start = file.read(MAX_HEADER_BYTES).decode(errors="ignore")
    separator = _SEPARATOR_LINE.match(start)
    before = separator.end() if separator else 0
    text = _RECORD.match(start[before:])[0]  # type: ignore[index]  # it matches any text
    end = _LINE_END.match(start, before + len(text))
    stated = (separator[1] or separator[2]) if separator else None
    most_frequent = max(DELIMITERS, key=_QUOTED.sub("", text).count)
    delimiter = stated or ("\t" if found.suffix == ".tsv" else most_frequent)
    names = _column_names(found, text, delimiter)
    size = len(start[:before].encode())
    return Header(names=names, delimiter=delimiter, text=text, before=size, end=end[0] if end else "")


def _column_names(found: FoundFile, text: str, delimiter: str) -> list[str]:
    try:
        header = next(csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
    except csv.Error:
        raise SourceError(
            f"{found.name}, line 1: the header's quotes are broken. Nothing of it was used. Write it again."
        ) from None
    if not any(header):
        raise SourceError(f"{found.name}, line 1 is blank: it must have the columns' names. Nothing of it was used.")
    if len(header) > MAX_COLUMNS:
        raise SourceError(
            f"{found.name} has {len(header):,} columns; at most {MAX_COLUMNS:,} are read. Nothing of it was used. "
            "Write only the columns that you need."
        )
    refuse_duplicates(f"{found.name}, line 1", header)
    return header


def _scan(path: Path, delimiter: str, width: int, skipped: int) -> Relation:
    columns = {f"c{index}": "VARCHAR" for index in range(width)}
    options = f"header = true, strict_mode = true, hive_partitioning = false, skip = {skipped}"
    if width > 1:
        return csv_scan(path, columns, delimiter=delimiter, options=options)
    # With one column, DuckDB reads a blank line as an unquoted empty value.
    rows = csv_scan(path, columns, delimiter=delimiter, options=f"{options}, allow_quoted_nulls = false")
    return Relation(f"(from {rows} where c0 is not null)")

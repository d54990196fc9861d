"""Translate errors of scans: DuckDB's message becomes file, line and remedy, without values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from audience_sync.encodings import encoding_advice
from audience_sync.errors import SourceError, mask_values

_NOTHING_USED = "Nothing of it was used."
_LINE = re.compile(r"\bLine: (\d+)")
_COLUMNS = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_JSON_POSITION = re.compile(r"in (?:line|record/value) (\d+)")
_QUOTED_VALUE = re.compile(r"'[^']*'")


@dataclass(frozen=True, slots=True)
class ScanErrors:
    """Translates the errors of one read. ``files`` maps the paths that DuckDB reads to the displayed names."""

    files: Mapping[str, str]
    #: The name in messages if no file is involved.
    what: str = ""
    #: Finds the first line of a file that is not JSON.
    bad_line: Callable[[str], int | None] = field(default=lambda path: None)
    #: Whether the query raises its own errors, by `error(...)`.
    raises: bool = False

    def explain(self, error: Exception) -> SourceError:
        message = str(error)
        path = next((path for path in self.files if path in message), None)
        file = self.files[path] if path else self.what or " or ".join(list(self.files.values())[:3])
        for words, say in _MESSAGES:
            if words in message:
                return SourceError(f"{say(file, message)} {_NOTHING_USED}")
        if "Malformed JSON" in message:
            return self._malformed(file, path, message)
        verb = "run" if self.what else "read"
        words = _CUSTOM_ERROR if self.raises else mask_values(first_line(message))
        return SourceError(f"{file} can't be {verb}: {words}. {_NOTHING_USED}")

    def _malformed(self, file: str, path: str | None, message: str) -> SourceError:
        if self.what and not path:
            return SourceError(f"{_MIXED_TYPES.format(what=self.what)} {_NOTHING_USED}")
        # DuckDB counts lines from the position at which its thread began to read.
        line = self.bad_line(path) if path else None
        record = _JSON_POSITION.search(message)
        index = f", line {line}" if line else f", record {record[1]}" if record else ""
        what = message.split(": ", 2)[-1].split(".")[0].strip()
        return SourceError(
            f"{file}{index}: this is not JSON ({what}). {_NOTHING_USED} "
            "Is the file still being written, or cut off? JSON lines have one whole object on each line."
        )


_CUSTOM_ERROR = "it raised its own error; its message is hidden, since it may contain personal data"
_MIXED_TYPES = (
    "{what} compares text with a JSON value: a column of JSON lines whose values have several types (numbers and "
    "text) is JSON. Write column ->> '$' for its text."
)


def first_line(message: str) -> str:
    """The first line of an error, without quoted values, which may be personal data."""
    line = message.strip().splitlines()[0] if message.strip() else "unknown error"
    return _QUOTED_VALUE.sub("'...'", line).rstrip(". ")


def _csv_position(file: str, message: str) -> str:
    line = _LINE.search(message)
    return f"{file}, line {line[1]}" if line else file


def _wrong_column_count(file: str, message: str) -> str:
    counts = _COLUMNS.search(message)
    expected, found = counts.groups() if counts else ("?", "?")
    return (
        f"{_csv_position(file, message)}: {found} value{'' if found == '1' else 's'} where the header has {expected} "
        "columns. Is the file cut off? A value that contains the delimiter or a line end must be in double quotes."
    )


def _not_converted(file: str, message: str) -> str:
    # DuckDB's reader of CSV files does the casts of a query.
    wanted_type = re.search(r"to '([A-Z ]+)'", message)
    kind = wanted_type[1] if wanted_type else "another type"
    return (
        f"{_csv_position(file, message)}: a value can't be converted to {kind}, as the query requires. "
        "Correct the value, or use try_cast in the query."
    )


def _quotes(file: str, message: str) -> str:
    return (
        f"{_csv_position(file, message)}: a double quote is opened and not closed properly. "
        'A quote inside of a quoted value is doubled (""). Write the file again with proper quotes.'
    )


def _encoding(file: str, message: str) -> str:
    return f"{_csv_position(file, message)}: this is not UTF-8. {encoding_advice('utf-8', file)}"


def _line_ends(file: str, message: str) -> str:
    return (
        f"{file}: the rows can't be separated: different line ends (\\r\\n and \\n) in one file, or broken quotes. "
        "Write the file again with one kind of line ends."
    )


def _not_object(file: str, message: str) -> str:
    index = _JSON_POSITION.search(message)
    where = f"{file}, record {index[1]}" if index else file
    if "duplicate key" in message:
        return f"{where}: a name appears twice in one JSON object, so it is unclear which one is meant. Write it once."
    return f'{where}: not a JSON object. Each record must be an object such as {{"user_id": "42"}}.'


def _parquet(file: str, message: str) -> str:
    return (
        f"{file} is not a complete Parquet file: cut off, damaged, or still being written. "
        "Write it again, under another name until it is complete."
    )


def _memory(file: str, message: str) -> str:
    return (
        f"{file} can't be read within `memory_limit`: there was not enough memory. Set a larger `memory_limit` in "
        "config.yaml, or read fewer files in one entry."
    )


def _milliseconds(file: str, message: str) -> str:
    return (
        f"{file} has a time in milliseconds outside of the years that DuckDB can hold (290309 BC to 294247). "
        "Correct the time, or write the column in microseconds."
    )


def _long_line(file: str, message: str) -> str:
    return f"{_csv_position(file, message)}: a line is longer than a table allows. Is a double quote left open?"


def _removed(file: str, message: str) -> str:
    return f"{file} can no longer be opened: it was moved or removed during the read. Run again."


_MESSAGES: tuple[tuple[str, Callable[[str, str], str]], ...] = (
    ("Expected Number of Columns", _wrong_column_count),
    ("Error when converting column", _not_converted),
    ("unterminated quote", _quotes),
    ("Invalid unicode", _encoding),
    ("reached an invalid state", _line_ends),
    ("Maximum line size", _long_line),
    ("JSON transform error", _not_object),
    ("Out of Memory Error", _memory),
    ("Could not convert Timestamp(MS)", _milliseconds),
    ("No magic bytes", _parquet),
    ("too small to be a Parquet", _parquet),
    ("decompression failure", _parquet),
    ("TProtocolException", _parquet),
    ("Failed to read file", _parquet),
    ("No files found", _removed),
    ("Cannot open file", _removed),
)

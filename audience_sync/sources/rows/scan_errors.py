"""Translate errors of scans: DuckDB's message becomes file, line and remedy, without values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from audience_sync.encodings import encoding_advice
from audience_sync.errors import SourceError, mask_values
from audience_sync.text import pluralize

_NOTHING_USED = "Nothing of it was used."
_QUOTED_VALUE = re.compile(r"'[^']*'")
_CUSTOM_ERROR = "it raised its own error; its message is hidden, since it may contain personal data"
_MIXED_TYPES = (
    "{what} compares text with a JSON value: a column of JSON lines whose values have several types (numbers and "
    "text) is JSON. Write column ->> '$' for its text."
)
_PARQUET = (
    "{file} is not a complete Parquet file: cut off, damaged, or still being written. "
    "Write it again, under another name until it is complete."
)
_REMOVED = "{file} can no longer be opened: it was moved or removed during the read. Run again."
#: Patterns in DuckDB's messages, and the messages for people. ``{at}`` is the file and line, ``{record}`` the file and
#: record.
_MESSAGES = (
    (
        "Expected Number of Columns",
        "{at}: {values} where the header has {expected} columns. Is the file cut off? A value that contains the "
        "delimiter or a line end must be in double quotes.",
    ),
    (  # DuckDB's reader of CSV files does the casts of a query
        "Error when converting column",
        "{at}: a value can't be converted to {type}, as the query requires. Correct the value, or use try_cast in the "
        "query.",
    ),
    (
        "unterminated quote",
        '{at}: a double quote is opened and not closed properly. A quote inside of a quoted value is doubled (""). '
        "Write the file again with proper quotes.",
    ),
    ("Invalid unicode", "{at}: this is not UTF-8. {encoding_advice}"),
    (
        "reached an invalid state",
        "{file}: the rows can't be separated: different line ends (\\r\\n and \\n) in one file, or broken quotes. "
        "Write the file again with one kind of line ends.",
    ),
    ("Maximum line size", "{at}: a line is longer than a table allows. Is a double quote left open?"),
    (
        "JSON transform error.*duplicate key",
        "{record}: a name appears twice in one JSON object, so it is unclear which one is meant. Write it once.",
    ),
    (
        "JSON transform error",
        '{record}: not a JSON object. Each record must be an object such as {{"user_id": "42"}}.',
    ),
    (
        "Out of Memory Error",
        "{file} can't be read within `memory_limit`: there was not enough memory. Set a larger `memory_limit` in "
        "config.yaml, or read fewer files in one entry.",
    ),
    (
        r"Could not convert Timestamp\(MS\)",
        "{file} has a time in milliseconds outside of the years that DuckDB can hold (290309 BC to 294247). "
        "Correct the time, or write the column in microseconds.",
    ),
    ("No magic bytes|too small to be a Parquet|decompression failure|TProtocolException|Failed to read file", _PARQUET),
    ("No files found|Cannot open file", _REMOVED),
)


class ScanErrors(Struct, frozen=True):
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
        for pattern, meaning in _MESSAGES:
            if re.search(pattern, message, re.DOTALL):
                return SourceError(f"{meaning.format(**_details(file, message))} {_NOTHING_USED}")
        if "Malformed JSON" in message:
            return self._malformed(file, path, message)
        verb = "run" if self.what else "read"
        reason = _CUSTOM_ERROR if self.raises else mask_values(first_line(message))
        return SourceError(f"{file} can't be {verb}: {reason}. {_NOTHING_USED}")

    def _malformed(self, file: str, path: str | None, message: str) -> SourceError:
        if self.what and not path:
            return SourceError(f"{_MIXED_TYPES.format(what=self.what)} {_NOTHING_USED}")
        # DuckDB counts lines from the position at which its thread began to read.
        line = self.bad_line(path) if path else None
        where = f"{file}, line {line}" if line else _details(file, message)["record"]
        what = message.split(": ", 2)[-1].split(".")[0].strip()
        return SourceError(
            f"{where}: this is not JSON ({what}). {_NOTHING_USED} "
            "Is the file still being written, or cut off? JSON lines have one whole object on each line."
        )


def _details(file: str, message: str) -> dict[str, str]:
    """The parts of DuckDB's message that messages for people repeat."""
    line = re.search(r"\bLine: (\d+)", message)
    record = re.search(r"in (?:line|record/value) (\d+)", message)
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    wanted_type = re.search(r"to '([A-Z ]+)'", message)
    return {
        "file": file,
        "at": f"{file}, line {line[1]}" if line else file,
        "record": f"{file}, record {record[1]}" if record else file,
        "expected": counts[1] if counts else "?",
        "values": pluralize(int(counts[2]), "value") if counts else "other values",
        "type": wanted_type[1] if wanted_type else "another type",
        "encoding_advice": encoding_advice("utf-8", file),
    }


def first_line(message: str) -> str:
    """The first line of an error, without quoted values, which may be personal data."""
    line = message.strip().splitlines()[0] if message.strip() else "unknown error"
    return _QUOTED_VALUE.sub("'...'", line).rstrip(". ")

"""Translate DuckDB's error of a query over files, with the position in the query and the remedy."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence

from audience_sync.errors import SourceError
from audience_sync.sources.rows.scan import did_you_mean, join_names
from audience_sync.sources.rows.scan_errors import first_line
from audience_sync.sources.storage.locate import FileLocation
from audience_sync.sources.storage.resolve_names import SUFFIXES
from audience_sync.text import display_path

#: Prefix that describes a query's columns, on its own line: columns in errors then count within the query.
DESCRIBE = "describe\n"

_KIND = re.compile(r"^(?:[A-Z]\w+ )+Error: ")
_ERROR_LINE = re.compile(r"LINE (\d+): (.*)\n( *)\^")
_CANDIDATES = re.compile(r"Candidate bindings: (.+)")
#: A file that DuckDB doesn't find, may not open, or treats as a table.
_NO_FILE = re.compile(
    r"No files found that match the pattern \"(?P<pattern>.+?)\"|Cannot access (?:file|directory) \"(?P<shut>.+?)\""
    r"|Table with name (?P<table>.+?) does not exist!",
    re.DOTALL,
)
_REMEDY = "Nothing was read. Correct the query in the config."


#: DuckDB's words for a file that it may not open.
_FORBIDDEN = "disabled by configuration"


def query_problem(error: Exception, folder: FileLocation, *, headless: bool, texts: Sequence[str] = ()) -> SourceError:
    """The SourceError for DuckDB's error of a query.

    ``headless``: a file has no header, so its columns are named by values of its first row, which no message shows.
    ``texts``: columns that are text because they become user ids.
    """
    message = str(error)
    if (missing := _NO_FILE.search(message)) and (problem := _missing_file_problem(missing, folder)):
        return problem
    return statement_problem(message, headless=headless, texts=texts)


def statement_problem(
    message: str, name: str = "the query", *, headless: bool = False, texts: Sequence[str] = ()
) -> SourceError:
    """The SourceError for DuckDB's message about a query, with the position. See ``query_problem``."""
    what = _KIND.sub("", first_line(message)).rstrip("!. ")
    if _FORBIDDEN in what:
        what = f"{what.partition(' - ')[0]}: a query may only read the files of its source"
    candidates = _CANDIDATES.search(message)
    hint = f" The columns are {candidates[1].strip()}." if candidates and not headless else ""
    if texts and not headless and "VARCHAR" in message:
        hint = (
            f" A column that becomes a user id is text, as written: {join_names(texts)}. To calculate with it or "
            f"compare it with numbers, cast it: cast({texts[0]} as bigint)."
        )
    return SourceError(f"{name}{_position(message)}: {what}.{hint} {_REMEDY}")


def _position(message: str) -> str:
    shown = _ERROR_LINE.search(message)
    if shown is None:
        return ""
    text = shown[2]
    column = len(shown[3]) - len(f"LINE {shown[1]}: ") + 1
    line = max(int(shown[1]) - DESCRIBE.count("\n"), 1)
    near = re.match(r"\S{1,40}", text[column - 1 :])
    # DuckDB shows a long line from its middle on, so its columns can't be counted.
    index = f", line {line}" if text.startswith("...") else f", line {line}, column {column}"
    return f"{index} near {near[0]!r}" if near else index


def _missing_file_problem(missing: re.Match[str], folder: FileLocation) -> SourceError | None:
    """The problem with a file that the query names; None if the name is not a file of the folder."""
    name = next(word for word in missing.groups() if word)
    if "://" in name or "://" in folder.root or not folder.holds(name):
        return None
    word = folder.relative(name)
    is_file = missing["table"] is None or word.lower().endswith((*SUFFIXES, "/"))
    if not is_file and not folder.has(word):
        return None
    return file_problem(word, folder)


def file_problem(word: str, folder: FileLocation) -> SourceError:
    """The error about a file, glob or folder that a query can't read."""
    return SourceError(f"the query reads {word!r}, {_file_reason(word, folder)} {_REMEDY}")


def _file_reason(word: str, folder: FileLocation) -> str:
    if folder.has(word) and not word.endswith("/"):
        if folder.paths(word) and word.lower().endswith(SUFFIXES):
            return f"a file's name that is not in quotes. Write '{word}'."
        if folder.is_folder(word):
            return f"which is a folder. Write '{word}/' for all its data files."
        return "which has none of the formats that are read: CSV, TSV, JSON lines, JSON, Parquet and Excel."
    neighbours = folder.neighbours(word)
    data = f"Data files there: {join_names([each for each in neighbours if not each.endswith('/')])}."
    if folder.is_folder(word):
        return f"a folder in {display_path(folder.root)} that has no data files."
    if glob.has_magic(word):
        return f"which matches no file in {display_path(folder.root)}. {data}"
    return f"which does not exist in {display_path(folder.root)}.{_did_you_mean(word, neighbours) or f' {data}'}"


def _did_you_mean(word: str, neighbours: Sequence[str]) -> str:
    """The nearest file; or the nearest folder, if the folder in the name does not exist."""
    if meant := did_you_mean(word, neighbours):
        return meant
    folders = [each for each in neighbours if each.endswith("/")]
    return did_you_mean(f"{word.rpartition('/')[0]}/", folders) if "/" in word else ""

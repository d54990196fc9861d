"""What is wrong with a query over files? DuckDB's finding, with its place in the query and the remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence

from audience_sync.errors import SourceError
from audience_sync.sources.lookup import Folder
from audience_sync.sources.problems import first_words
from audience_sync.sources.tables import did_you_mean, listed

#: Put before a query to learn its columns: a line of its own, so that the columns of errors are the query's.
DESCRIBE = "describe\n"

_KIND = re.compile(r"^(?:[A-Z]\w+ )+Error: ")
_SHOWN = re.compile(r"LINE (\d+): (.*)\n( *)\^")
_CANDIDATES = re.compile(r"Candidate bindings: (.+)")
_NO_FILE = re.compile(r"No files found that match the pattern \"(.+?)\"")
_REMEDY = "Nothing was read. Correct the query in the config."


#: What DuckDB says of a file that it may not open.
_SHUT = "disabled by configuration"


def query_problem(error: Exception, folder: Folder, *, headless: bool, texts: Sequence[str] = ()) -> SourceError:
    """``headless``: the columns are called as the values of a file's first row, which are shown nowhere. ``texts``:
    those that are text since they become user ids."""
    message = str(error)
    if missing := _NO_FILE.search(message):
        return _no_file(missing[1], folder)
    what = _KIND.sub("", first_words(message)).rstrip("!. ")
    if _SHUT in what:
        what = f"{what.partition(' - ')[0]}: it may read the files of its source's folder alone"
    candidates = _CANDIDATES.search(message)
    known = f" The columns are {candidates[1].strip()}." if candidates and not headless else ""
    if texts and not headless and "VARCHAR" in message:
        known = (
            f" A column that becomes a user id is text, as it is written: {listed(texts)}. To calculate with it or "
            f"compare it with numbers, say so: cast({texts[0]} as bigint)."
        )
    return SourceError(f"the query{_place(message)}: {what}.{known} {_REMEDY}")


def _place(message: str) -> str:
    shown = _SHOWN.search(message)
    if shown is None:
        return ""
    text = shown[2]
    column = len(shown[3]) - len(f"LINE {shown[1]}: ") + 1
    line = max(int(shown[1]) - DESCRIBE.count("\n"), 1)
    near = re.match(r"\S{1,40}", text[column - 1 :])
    # A long line is shown from its middle on: its columns can't be counted.
    place = f", line {line}" if text.startswith("...") else f", line {line}, column {column}"
    return f"{place} near {near[0]!r}" if near else place


def _no_file(name: str, folder: Folder) -> SourceError:
    word = name.rsplit("/", 1)[-1]
    there = folder.files()
    return SourceError(
        f"the query reads {word!r}, and there is no such file.{did_you_mean(word, there)} "
        f"Data files there: {listed(there)}. {_REMEDY}"
    )

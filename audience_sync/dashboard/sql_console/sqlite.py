"""Run a person's query on an SQLite store, in a process that can only read the views."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from audience_sync.dashboard.sql_console.masked_views import masked_prefix
from audience_sync.dashboard.sql_console.result import (
    AS_LONG_AS_ALLOWED,
    CHARACTERS,
    ROWS,
    SECONDS,
    QueryError,
    QueryResult,
    too_long,
)
from audience_sync.dashboard.sql_console.tokens import Token, TokenKind, defines_query, tokens
from audience_sync.text import nearest

CHILD = Path(__file__).with_name("sqlite_child.py")
#: Seconds that the process gets to start and to end, in addition to the query's.
SPARE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteViews:
    """The views of a store: their columns, and the names of the queries within them."""

    file: Path
    columns: Mapping[str, Sequence[str]]
    inner_names: frozenset[str]


def run_on_sqlite(
    views: SqliteViews, sql: str, *, mask_key: bytes | None = None, seconds: float = SECONDS, rows: int = ROWS
) -> QueryResult:
    """Run one statement. Raises QueryError."""
    found = tokens(sql, is_sqlite=True)
    _check(found, views, is_masked=mask_key is not None)
    prefix, suffix = "", ""
    if mask_key is not None:
        # Python's functions of the child make the masks; the person's query is inside of a query on masked views.
        masked = masked_prefix(views.columns, schema="main", mask_id="mask_id({})", mask_text="mask_text({})")
        prefix, suffix = f"{masked}select * from (\n", "\n)"
        sql = sql.rstrip().rstrip(";")
    request = {
        "uri": f"file:{quote(str(views.file.absolute()))}?mode=ro",
        "sql": sql,
        "prefix": prefix,
        "suffix": suffix,
        "starts": [each.start for each in found],
        "views": sorted(views.columns),
        "trusted": sorted(_trusted(views)),
        "own": [each.text.lower() for index, each in enumerate(found) if defines_query(found, index)],
        "key": mask_key.hex() if mask_key is not None else None,
        "seconds": seconds,
        "rows": rows,
        "characters": CHARACTERS,
    }
    lines = _run_child(request, seconds)
    if not lines or "error" in (end := lines[-1]) or "end" not in end:
        raise _error(lines[-1] if lines and isinstance(lines[-1], dict) else {}, found, views, seconds)
    cut = {
        "rows": f"Only the first {rows:,} rows are shown.",
        "characters": f"Only the first {len(lines) - 2:,} rows are shown: {AS_LONG_AS_ALLOWED}",
        "": "",
    }[end["end"]]
    return QueryResult(columns=lines[0]["columns"], rows=lines[1:-1], seconds=end["seconds"], cut=cut)


def _trusted(views: SqliteViews) -> set[str]:
    return {*views.columns, *views.inner_names}


def _run_child(request: Mapping[str, Any], seconds: float) -> list[Any]:
    """Run the child process. Returns its lines; those of a process that was ended may be incomplete."""
    command = [sys.executable, "-I", "-S", str(CHILD)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment(), cwd="/"
    ) as child:
        try:
            out, _ = child.communicate(json.dumps(request).encode(), timeout=seconds + SPARE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            raise too_long(seconds) from None
    return [json.loads(line) for line in out.splitlines() if line.endswith((b"}", b"]"))]


def _environment() -> dict[str, str]:
    """What Python and SQLite need to start and to write temporary files; no secret of this process."""
    return {
        name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PATH", "TMPDIR", "SQLITE_TMPDIR") if name in os.environ
    }


def _check(found: Sequence[Token], views: SqliteViews, *, is_masked: bool) -> None:
    """Refuse a query without a statement, and names that would pass for a view.

    SQLite names the reason of each access to a table by the view or the named query that contains it. So no named
    query of a person may be called like a view.
    """
    if all(each.text == ";" for each in found):
        raise QueryError("there is no query.", hint="Choose a question at the side, or write one.")
    trusted = _trusted(views)
    for index, each in enumerate(found):
        if each.text.lower() in trusted and defines_query(found, index):
            raise QueryError(f"`{each.text}` is a view: give your own query another name.", position=each.start)
        is_schema = each.kind is not TokenKind.SIGN and each.text.lower() in ("main", "temp")
        if is_masked and is_schema and _is_followed(found, index, "."):
            raise QueryError("ids are masked here: write a view's name alone.", position=each.start)


def _is_followed(found: Sequence[Token], index: int, sign: str) -> bool:
    return index + 1 < len(found) and found[index + 1].text == sign


def _error(line: Mapping[str, Any], found: Sequence[Token], views: SqliteViews, seconds: float) -> QueryError:
    """Explain the error of SQLite, or of a process that ended without an answer."""
    message = str(line.get("error", ""))
    if line.get("is_late") or message == "interrupted":
        return too_long(seconds)
    if not message or line.get("kind") == "MemoryError" or "out of memory" in message or "disk" in message:
        return QueryError("the query needs more memory than it may use.", hint="Ask for fewer rows or shorter values.")
    if "too big" in message:
        return QueryError("a value is longer than 10,000,000 bytes.", hint="Leave that column out.")
    if line.get("denied") and ("prohibited" in message or "not authorized" in message):
        return _refused(str(line["denied"]), found, views)
    if "one statement" in message:
        return QueryError("only one statement can be run.", hint="Remove what follows the first `;`.")
    name = message.rpartition(": ")[2] if message.startswith(("no such", "ambiguous")) else ""
    position = line.get("position")
    hint = ""
    if name:
        short = name.rpartition(".")[2]
        places = [each.start for each in found if each.text.lower() == short.lower()]
        position = places[0] if len(places) == 1 else None
        hint = _did_you_mean(short, views, is_table=message.startswith("no such table"))
    return QueryError(f"{message}.", position=position, hint=hint)


def _refused(what: str, found: Sequence[Token], views: SqliteViews) -> QueryError:
    places = [each.start for each in found if each.text.lower() == what.lower()]
    position = places[0] if places else (found[0].start if what == "-" else None)
    if what == "-":
        return QueryError("this statement does more than read the views, so it was not run.", position=position)
    hint = _did_you_mean(what, views, is_table=True) or "Only the views on this page can be read."
    return QueryError(f"`{what}` can’t be read or used here.", position=position, hint=hint)


def _did_you_mean(name: str, views: SqliteViews, *, is_table: bool) -> str:
    names = list(views.columns) if is_table else sorted({each for names in views.columns.values() for each in names})
    meant = nearest(name, names)
    if meant and meant != name:
        return f"Did you mean `{meant}`?"
    return "Only the views on this page can be read." if is_table else ""

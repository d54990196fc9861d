"""Run a person's query on an SQLite store, in a process that can only read the views."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from audience_sync.dashboard.masks import ID_COLUMNS, TEXT_COLUMNS
from audience_sync.dashboard.sql_console.result import (
    AS_LONG_AS_ALLOWED,
    CHARACTERS,
    ROWS,
    SECONDS,
    VALUE_CHARACTERS,
    QueryError,
    QueryResult,
    too_long,
)
from audience_sync.dashboard.sql_console.tokens import Token, defines_query, tokens
from audience_sync.text import nearest

CHILD = Path(__file__).with_name("sqlite_child.py")
#: Seconds that the process gets to start and to end, in addition to the query's.
SPARE_SECONDS = 2.0


def run_on_sqlite(
    file: Path,
    columns: Mapping[str, Sequence[str]],
    sql: str,
    *,
    mask_key: bytes | None = None,
    seconds: float = SECONDS,
    rows: int = ROWS,
) -> QueryResult:
    """Run one statement. ``columns``: of the views, by name. Raises QueryError."""
    found = tokens(sql, is_sqlite=True)
    if all(each.text == ";" for each in found):
        raise QueryError("there is no query.", hint="Choose a question at the side, or write one.")
    request = {
        "uri": f"file:{quote(str(file.absolute()))}?mode=ro",
        "sql": sql,
        "starts": [each.start for each in found],
        "views": {name: list(columns[name]) for name in sorted(columns)},
        "masks": {"key": mask_key and mask_key.hex(), "ids": sorted(ID_COLUMNS), "texts": sorted(TEXT_COLUMNS)},
        "own": [each.text.lower() for index, each in enumerate(found) if defines_query(found, index)],
        "seconds": seconds,
        "rows": rows,
        "characters": CHARACTERS,
        "value": VALUE_CHARACTERS,
    }
    lines = _run_child(request, seconds)
    if not lines or "error" in (end := lines[-1]) or "end" not in end:
        raise _error(lines[-1] if lines and isinstance(lines[-1], dict) else {}, found, columns, seconds)
    cut = {
        "rows": f"Only the first {rows:,} rows are shown.",
        "characters": f"Only the first {len(lines) - 2:,} rows are shown: {AS_LONG_AS_ALLOWED}",
        "": "",
    }[end["end"]]
    return QueryResult(columns=lines[0]["columns"], rows=lines[1:-1], seconds=end["seconds"], cut=cut)


def _run_child(request: Mapping[str, Any], seconds: float) -> list[Any]:
    """Run the child process. Returns its lines; those of a process that was ended may end early."""
    command = [sys.executable, "-I", "-S", str(CHILD)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment(), cwd="/"
    ) as child:
        try:
            out, _ = child.communicate(json.dumps(request).encode(), timeout=seconds + SPARE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            raise too_long(seconds) from None
    return [json.loads(line) for line in out.rpartition(b"\n")[0].splitlines()]


def _environment() -> dict[str, str]:
    """What Python and SQLite need to start and to write temporary files; no secret of this process."""
    return {
        name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PATH", "TMPDIR", "SQLITE_TMPDIR") if name in os.environ
    }


def _error(
    line: Mapping[str, Any], found: Sequence[Token], views: Mapping[str, Sequence[str]], seconds: float
) -> QueryError:
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


def _refused(what: str, found: Sequence[Token], views: Mapping[str, Sequence[str]]) -> QueryError:
    places = [each.start for each in found if each.text.lower() == what.lower()]
    if what == "-":
        position = found[0].start if found else None
        return QueryError("this statement does more than read the views, so it was not run.", position=position)
    if not places:  # a table that only a view of another schema names
        return QueryError("the query names a schema.", hint="Write a view’s name alone.")
    hint = _did_you_mean(what, views, is_table=True) or "Only the views on this page can be read."
    return QueryError(f"`{what}` can’t be read or used here.", position=places[0], hint=hint)


def _did_you_mean(name: str, views: Mapping[str, Sequence[str]], *, is_table: bool) -> str:
    names = list(views) if is_table else sorted({each for names in views.values() for each in names})
    meant = nearest(name, names)
    if meant and meant != name:
        return f"Did you mean `{meant}`?"
    return "Only the views on this page can be read." if is_table else ""

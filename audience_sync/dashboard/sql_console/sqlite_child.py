"""Run one query on an SQLite store in a process of its own, which can neither write nor read anything but the views.

The dashboard starts this file with a bare Python: it uses the standard library only. The request comes as JSON on
stdin; the columns, each row and the end are lines of JSON on stdout. The file is opened for reading, SQLite refuses to
write (`query_only`), and its authorizer allows to read the views and what they are made of, and nothing else. The
system limits the process's memory, time and files.

The authorizer learns which view or named query reads a table, and a person may give a query any name. So each view is
two temporary views: its body, under a random name that is new for every query, and one with the public name, which
reads the body. Tables can be read within bodies alone.
"""

import hashlib
import hmac
import json
import math
import os
import re
import resource
import sqlite3
import sys
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from typing import Any

#: Bytes of a value, of memory, and of a temporary file.
LONGEST_VALUE, MEMORY, TEMPORARY_FILE = 10_000_000, 700_000_000, 500_000_000
#: Instructions between two looks at the clock.
INSTRUCTIONS = 10_000
#: Functions that reach out of the query, should a build of SQLite have them.
FORBIDDEN_FUNCTIONS = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "sqlite_log"}
#: Functions that return rows, and read no table.
TABLE_FUNCTIONS = {"json_each", "json_tree"}
#: What a view's definition begins with.
_BODY = re.compile(r"\s*create\s+view\s+\S+\s+as\s", re.IGNORECASE)
_TEXTS = re.compile(r"""(['"`]).*\1|[^\s:=,;()<>]+@[^\s:=,;()<>]+|(?<!\w)\+?\d{6,}\b""")


class Rules:
    """What a query may do: read ``views``, and its ``own`` named queries.

    ``secret``: how the names of the views' bodies begin, which alone may read tables.
    """

    def __init__(self, views: Iterable[str], secret: str) -> None:
        self._readable, self._secret = {*views, *TABLE_FUNCTIONS}, secret
        self._behind_views: set[str] = set()
        self.own: set[str] = set()
        self.denied = ""

    def __call__(
        self, action: int, first: str | None, second: str | None, database: str | None, inside: str | None
    ) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in FORBIDDEN_FUNCTIONS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and self._may_read((first or "").lower(), second, inside or ""):
            return sqlite3.SQLITE_OK
        if not self.denied:
            what = {sqlite3.SQLITE_READ: first, sqlite3.SQLITE_FUNCTION: second}.get(action)
            self.denied = what or "-"
        return sqlite3.SQLITE_DENY

    def _may_read(self, table: str, column: str | None, inside: str) -> bool:
        """Whether a column may be read. A table of which no column is read has an empty one, and no view is named.

        So its name must have been read within a view before: then nothing but the number of its rows is seen.
        """
        if inside.startswith(self._secret):
            self._behind_views.add(table)
            return True
        if table in self._readable or table.startswith(self._secret):
            return True
        return not column and table in self._behind_views | self.own


def limit_process(seconds: float) -> None:
    """Limit memory, processor time and temporary files, and give way to runs."""
    limits = [
        (resource.RLIMIT_FSIZE, TEMPORARY_FILE),
        (resource.RLIMIT_CPU, math.ceil(seconds) + 2),
        (resource.RLIMIT_CORE, 0),
    ]
    if sys.platform == "linux":  # elsewhere more than the memory that is used counts
        limits.append((resource.RLIMIT_AS, MEMORY))
    for which, limit in limits:
        with suppress(ValueError, OSError):
            resource.setrlimit(which, (limit, limit))
    with suppress(OSError):
        os.nice(10)


def connect(uri: str) -> sqlite3.Connection:
    """Open the file for reading only."""
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    for name, value in (
        ("SQLITE_LIMIT_LENGTH", LONGEST_VALUE),
        ("SQLITE_LIMIT_SQL_LENGTH", 200_000),
        ("SQLITE_LIMIT_ATTACHED", 0),
        ("SQLITE_LIMIT_LIKE_PATTERN_LENGTH", 1_000),
        ("SQLITE_LIMIT_TRIGGER_DEPTH", 0),
        ("SQLITE_LIMIT_WORKER_THREADS", 0),
    ):
        connection.setlimit(getattr(sqlite3, name), value)
    for name in TABLE_FUNCTIONS:  # SQLite declares them at their first use, which the authorizer would refuse
        with suppress(sqlite3.Error):
            connection.execute(f"select 1 from {name}('[]')")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA busy_timeout = 2000")
    connection.execute("PRAGMA cache_size = -32000")
    return connection


def create_views(
    connection: sqlite3.Connection, views: dict[str, list[str]], masks: dict[str, Any], secret: str
) -> None:
    """Create the two temporary views of each view. ``views``: their columns. ``masks``: the key, and what it masks."""
    functions = {}
    if masks["key"] is not None:
        key = bytes.fromhex(masks["key"])
        connection.create_function(f"{secret}id", 1, lambda text: mask_id(key, text), deterministic=True)
        connection.create_function(f"{secret}text", 1, mask_text, deterministic=True)
        functions = {**dict.fromkeys(masks["texts"], f"{secret}text"), **dict.fromkeys(masks["ids"], f"{secret}id")}
    found = dict(connection.execute("select name, sql from sqlite_master where type = 'view'").fetchall())
    for name in views:
        connection.execute(f'create temp view "{secret}{name}" as {_BODY.sub("", found[name], count=1)}')
    for name, columns in views.items():
        quoted = [(each, '"' + each.replace('"', '""') + '"') for each in columns]
        shown = ", ".join(f"{functions.get(each, '')}({column}) as {column}" for each, column in quoted)
        connection.execute(f'create temp view "{name}" as select {shown} from "{secret}{name}"')
    connection.execute("PRAGMA query_only = ON")


def stored_names(connection: sqlite3.Connection) -> set[str]:
    """The names of all tables, so that no named query of a person passes for one."""
    return {str(name).lower() for (name,) in connection.execute("select name from sqlite_master")}


def mask_id(key: bytes, text: Any) -> str | None:
    """Make the pseudonym of an id, as the pages have it."""
    if text is None:
        return None
    digest = hmac.new(key, str(text).encode("utf-8", "surrogatepass"), hashlib.sha256)
    return f"user-{digest.hexdigest()[:8]}"


def mask_text(text: Any) -> str | None:
    return None if text is None else _TEXTS.sub("...", str(text))


def json_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def syntax_position(connection: sqlite3.Connection, sql: str, starts: list[int]) -> int | None:
    """Find the token at which the text stops being the beginning of a statement. ``starts``: of the tokens."""

    def is_wrong(count: int) -> bool:
        end = starts[count] if count < len(starts) else len(sql)
        try:
            connection.execute(f"explain {sql[:end]}")
        except sqlite3.Error as error:
            return "syntax error" in str(error) or "unrecognized token" in str(error)
        return False

    low, high = 0, len(starts)
    if not high or not is_wrong(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_wrong(middle) else (middle, high)
    return starts[high - 1]


def write(line: object) -> None:
    sys.stdout.write(json.dumps(line, ensure_ascii=True) + "\n")


def run(request: dict[str, Any]) -> None:
    """Run the query, and write the columns, the rows and the end."""
    started, seconds, secret = time.monotonic(), float(request["seconds"]), f"v{os.urandom(16).hex()}_"
    rules = Rules(request["views"], secret)
    with closing(connect(request["uri"])) as connection:
        cut, count, size = "", 0, 0
        try:
            create_views(connection, request["views"], request["masks"], secret)
            rules.own = {*request["own"]} - stored_names(connection)
            connection.set_authorizer(rules)
            connection.set_progress_handler(lambda: time.monotonic() - started > seconds, INSTRUCTIONS)
            cursor = connection.execute(request["sql"])
            write({"columns": [each[0] for each in cursor.description or ()]})
            for row in cursor:
                if count == request["rows"] or size > request["characters"]:
                    cut = "rows" if count == request["rows"] else "characters"
                    break
                values = [json_value(each) for each in row]
                count += 1
                size += sum(len(each) for each in values if isinstance(each, str)) + request["value"] * len(values)
                write(values)
            write({"end": cut, "seconds": time.monotonic() - started})
        except (sqlite3.Error, sqlite3.Warning, MemoryError, ValueError) as error:
            is_late = time.monotonic() - started > seconds
            position = None
            if "syntax error" in str(error) or "unrecognized token" in str(error):
                position = syntax_position(connection, request["sql"], request["starts"])
            write(
                {
                    "error": str(error) or type(error).__name__,
                    "kind": type(error).__name__,
                    "is_late": is_late,
                    "denied": rules.denied,
                    "position": position,
                }
            )


if __name__ == "__main__":
    wanted = json.loads(sys.stdin.buffer.read())
    limit_process(wanted["seconds"])
    run(wanted)

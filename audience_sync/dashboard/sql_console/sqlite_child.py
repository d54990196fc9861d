"""Run one query on an SQLite store in a process of its own, which can neither write nor read anything but the views.

The dashboard starts this file with a bare Python: it uses the standard library only. The request comes as JSON on
stdin; the columns, each row and the end are lines of JSON on stdout. The file is opened for reading, SQLite refuses to
write (`query_only`), and its authorizer allows to read the views and what they are made of, and nothing else. The
system limits the process's memory, time and files.
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
_TEXTS = re.compile(r"""(['"`]).*\1|[^\s:=,;()<>]+@[^\s:=,;()<>]+|(?<!\w)\+?\d{6,}\b""")


class Rules:
    """What a query may do: read ``views``, and its ``own`` named queries.

    ``trusted``: the names of the queries that may read tables: the views, and those within them.
    """

    def __init__(self, views: list[str], trusted: list[str], own: list[str]) -> None:
        self._readable, self._own, self._trusted = {*views, *TABLE_FUNCTIONS}, set(own), set(trusted)
        self._behind_views: set[str] = set()
        self.denied = ""

    def __call__(
        self, action: int, first: str | None, second: str | None, database: str | None, inside: str | None
    ) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in FORBIDDEN_FUNCTIONS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and self._may_read((first or "").lower(), second, (inside or "").lower()):
            return sqlite3.SQLITE_OK
        if not self.denied:
            what = {sqlite3.SQLITE_READ: first, sqlite3.SQLITE_FUNCTION: second}.get(action)
            self.denied = what or "-"
        return sqlite3.SQLITE_DENY

    def _may_read(self, table: str, column: str | None, inside: str) -> bool:
        """Whether a column may be read. A table of which no column is read has an empty one, and no view is named.

        So its name must have been read within a view before: then nothing but the number of its rows is seen.
        """
        if inside in self._trusted:
            self._behind_views.add(table)
            return True
        return table in self._readable or (not column and table in self._behind_views | self._own)


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


def connect(uri: str, key: str | None) -> sqlite3.Connection:
    """Open the file for reading only. ``key``: of the pseudonyms of user ids, if ids are masked."""
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
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA busy_timeout = 2000")
    connection.execute("PRAGMA cache_size = -32000")
    if key is not None:
        secret = bytes.fromhex(key)
        connection.create_function("mask_id", 1, lambda text: mask_id(secret, text), deterministic=True)
        connection.create_function("mask_text", 1, mask_text, deterministic=True)
    return connection


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


def syntax_position(connection: sqlite3.Connection, prefix: str, sql: str, starts: list[int]) -> int | None:
    """Find the token at which the text stops being the beginning of a statement. ``starts``: of the tokens."""

    def is_wrong(count: int) -> bool:
        end = starts[count] if count < len(starts) else len(sql)
        try:
            connection.execute(f"explain {prefix}{sql[:end]}")
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
    started, seconds = time.monotonic(), float(request["seconds"])
    with closing(connect(request["uri"], request["key"])) as connection:
        rules = Rules(request["views"], request["trusted"], sorted({*request["own"]} - stored_names(connection)))
        connection.set_authorizer(rules)
        connection.set_progress_handler(lambda: time.monotonic() - started > seconds, INSTRUCTIONS)
        cut, count, characters = "", 0, 0
        try:
            cursor = connection.execute(request["prefix"] + request["sql"] + request["suffix"])
            write({"columns": [each[0] for each in cursor.description or ()]})
            for row in cursor:
                if count == request["rows"] or characters > request["characters"]:
                    cut = "rows" if count == request["rows"] else "characters"
                    break
                values = [json_value(each) for each in row]
                count += 1
                characters += sum(len(each) for each in values if isinstance(each, str))
                write(values)
            write({"end": cut, "seconds": time.monotonic() - started})
        except (sqlite3.Error, sqlite3.Warning, MemoryError, ValueError) as error:
            is_late = time.monotonic() - started > seconds
            position = None
            if "syntax error" in str(error) or "unrecognized token" in str(error):
                position = syntax_position(connection, request["prefix"], request["sql"], request["starts"])
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

"""Run one command of ``audience-sync`` and write what it did, counted and not timed, to a JSON file.

    python -m counts.count_command COUNTS.json sync --json

On SQLite a statement counts once for each execution, so once for each row of an ``executemany``; on PostgreSQL once for
each call of the driver. Rows are those that DuckDB handed to Python.
"""

from __future__ import annotations

import builtins
import json
import math
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: Senders share a list of suppressed users for some time. Here they read it once, however slow the machine is.
SUPPRESSIONS = "audience_sync.delivery.send.withheld"
#: What happened, in the order in which it did: appending is atomic among threads, adding to a number is not.
events: list[tuple[str, int]] = []
_import, _connect = builtins.__import__, sqlite3.connect


def main() -> None:
    """Count from the first import of the program until it ends."""
    target, *arguments = sys.argv[1:]
    builtins.__import__ = import_and_count
    sqlite3.connect = sqlite3.dbapi2.connect = connect_and_count  # type: ignore[assignment]  # the same parameters
    from audience_sync.cli import main as run_command

    sys.argv = ["audience-sync", *arguments]
    try:
        run_command()
    finally:
        modules = sorted(imported_modules(sys.modules))
        events.append(("modules imported: our own", sum(is_our_own(name) for name in modules)))
        events.append(("packages imported: others'", len({name.partition(".")[0] for name in modules}) - 1))
        totals = Counter[str]()
        for name, count in events:
            totals[name] += count
        Path(target).write_text(json.dumps(totals))


def imported_modules(names: Any) -> Iterator[str]:
    """The modules that are neither Python's own nor private extensions, which depend on the system."""
    for name in names:
        package = name.partition(".")[0]
        if package not in sys.stdlib_module_names and not package.startswith("_") and package != "counts":
            yield name


def is_our_own(name: str) -> bool:
    return name.partition(".")[0] == "audience_sync"


def import_and_count(name: str, *arguments: Any, **options: Any) -> Any:
    """Import, and count what a package does from its import on: a command that does not need it must not load it."""
    module = _import(name, *arguments, **options)
    if hasattr(withheld := sys.modules.get(SUPPRESSIONS), "CACHE_SECONDS"):
        withheld.CACHE_SECONDS = math.inf  # type: ignore[union-attr]  # it has one
    if name == "duckdb" and hasattr(module.DuckDBPyConnection, "sql"):  # which its Python part adds last
        count_duckdb(module.DuckDBPyConnection)
    elif name == "psycopg" and hasattr(module, "Cursor"):
        count_psycopg(module)
    return module


def count_duckdb(connection: Any) -> None:
    for name in ("execute", "executemany", "sql", "query"):
        count_calls(connection, name, "statements: DuckDB")
    for name in ("fetchall", "fetchmany", "fetchone"):
        count_calls(connection, name, "rows made in Python", number_of_rows)


def count_psycopg(module: Any) -> None:
    for name in ("execute", "executemany", "copy"):
        count_calls(module.Cursor, name, "statements: store", one_unless_a_ping)
    count_calls(module.Connection, "commit", "commits")


def number_of_rows(answer: Any, *arguments: Any) -> int:
    return len(answer) if isinstance(answer, list) else int(answer is not None)


def one_unless_a_ping(answer: Any, cursor: Any, statement: Any, *arguments: Any) -> int:
    """A connection that is used again is tested first, as SQLAlchemy does with ";". How often depends on the time."""
    return int(statement != ";")


def count_calls(owner: Any, name: str, event: str, count: Callable[..., int] = lambda *arguments: 1) -> None:
    method = getattr(owner, name)
    if not hasattr(method, "is_counted"):
        setattr(owner, name, counted(method, event, count))


def counted(method: Callable[..., Any], name: str, count: Callable[..., int]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        answer = method(*arguments, **options)
        events.append((name, count(answer, *arguments)))
        return answer

    call.is_counted = True  # type: ignore[attr-defined]  # a function has any attribute
    return call


def connect_and_count(*arguments: Any, **options: Any) -> sqlite3.Connection:
    connection: sqlite3.Connection = _connect(*arguments, **options)
    connection.set_trace_callback(SqliteTrace())
    return connection


class SqliteTrace:
    """Counts the statements of one connection, and the commits of its transactions that write.

    Locks, settings and the start of a transaction are left out: two threads that meet wait for each other and repeat
    them.
    """

    def __init__(self) -> None:
        self._writes = False

    def __call__(self, statement: str) -> None:
        word = statement.split(maxsplit=1)[0].upper()
        if word == "BEGIN":
            self._writes = "IMMEDIATE" in statement
        elif word == "COMMIT":
            events.append(("commits", int(self._writes)))
        elif word not in ("PRAGMA", "ROLLBACK", "--"):  # -- is a statement of a trigger
            events.append(("statements: store", 1))


if __name__ == "__main__":
    main()

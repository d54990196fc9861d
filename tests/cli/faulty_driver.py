"""A database driver with a bug, for projects under test: SQLite's, which raises an error of any kind at any moment.

As ``sitecustomize.py`` of a project it makes ``faulty://MOMENT/ERROR`` an address that SQLAlchemy knows.
"""

import builtins
import os
import sqlite3
from types import SimpleNamespace
from typing import Any

from sqlalchemy import URL
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite


class DriverError(Exception):
    """A driver's own, which is no error of DB-API."""


def fail(name: str) -> None:
    match name:
        case "UnicodeDecodeError":
            raise UnicodeDecodeError("utf-8", b"ad\xe9", 2, 3, "invalid continuation byte")
        case "UnicodeEncodeError":
            raise UnicodeEncodeError("utf-8", "a\ud800", 1, 2, "surrogates not allowed")
        case "DriverError":
            raise DriverError("the driver gave up\0 on \ud800")
        case _:
            raise getattr(builtins, name)("a bug of the driver")


class Cursor:
    def __init__(self, cursor: sqlite3.Cursor, moment: str, error: str) -> None:
        self._cursor, self._moment, self._error, self._fetched = cursor, moment, error, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def fetchmany(self, size: int = 1) -> list[Any]:
        if self._moment == "first_row" or (self._moment == "middle" and self._fetched):
            fail(self._error)
        self._fetched += 1
        return self._cursor.fetchmany(size)


class Connection:
    def __init__(self, moment: str, error: str) -> None:
        self._connection, self._moment, self._error = sqlite3.connect(":memory:"), moment, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self, *arguments: Any) -> Cursor:
        return Cursor(self._connection.cursor(), self._moment, self._error)

    def rollback(self) -> None:
        self._connection.rollback()
        if self._moment == "end":
            fail(self._error)

    def close(self) -> None:
        self._connection.close()
        if self._moment == "close":
            fail(self._error)


class Faulty(SQLiteDialect_pysqlite):
    name, driver = "faulty", "faulty"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        return SimpleNamespace(**vars(sqlite3))

    def on_connect(self) -> Any:
        """Nothing is done after connecting."""

    def create_connect_args(self, url: URL) -> tuple[Any, dict[str, Any]]:
        return (url.host, url.database), {}

    def connect(self, moment: str, error: str) -> Any:
        if "HEALED" in os.environ:
            return Connection("", "")
        if moment == "open":
            fail(error)
        return Connection(moment, error)


registry.register("faulty", __name__, "Faulty")

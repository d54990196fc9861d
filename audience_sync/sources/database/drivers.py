"""Prepare connections for reading: read-only, stoppable, and tolerant of values that Python does not support."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine

from audience_sync.sources.base import Unsendable
from audience_sync.sources.values.json_sql import NOT_UTF_8

#: SQLAlchemy's names of MySQL and MariaDB, and of ClickHouse.
MYSQL = ("mysql", "mariadb")
CLICKHOUSE = "clickhousedb"
_READ_ONLY = {"sqlite": "PRAGMA query_only = ON", **dict.fromkeys(MYSQL, "SET SESSION TRANSACTION READ ONLY")}
#: A TIMESTAMP of MySQL comes in the zone of the session, without saying which.
_UTC = "SET time_zone = '+00:00'"
#: The type objects that a driver compares its codes of types with (PEP 249), and the types that they stand for.
_TYPE_OBJECTS = (
    *((name, "number") for name in ("NUMBER", "DECIMAL")),
    ("STRING", "text"),
    *((name, "timestamp") for name in ("DATETIME", "TIMESTAMP", "DATE")),
)
#: Actions that `query_only` of SQLite allows although they do more than read: other files (VACUUM INTO attaches
#: one), settings.
_FORBIDDEN_ACTIONS = {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA}
#: Pragmas that full-text tables use themselves, or that only describe the schema.
_ALLOWED_PRAGMAS = {
    "data_version",
    "page_size",
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "foreign_key_list",
}
#: Options of Snowflake's driver that name a file with a secret.
_SNOWFLAKE_FILES = ("private_key_file", "token_file_path")
#: SQLite's codes for a file that is damaged, or not a database.
_DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
#: Seconds that a server has to accept a request to cancel.
CANCEL_SECONDS = 2.0


def connect_arguments(url: URL) -> tuple[URL, dict[str, Any]]:
    """A URL and the arguments for connecting in addition to it.

    psycopg prepares no statements: a pooler may give each transaction another session, and a prepared statement
    belongs to one session. Snowflake's dialect refuses names of files in a URL, though our URLs are the operator's own.
    """
    if url.get_backend_name() == "snowflake":
        files = {name: url.query[name] for name in _SNOWFLAKE_FILES if name in url.query}
        return url.difference_update_query(files), dict(files)
    return url, {"prepare_threshold": None} if url.drivername == "postgresql+psycopg" else {}


def prepare(connection: Connection, *, read_only: bool = True) -> None:
    """Let a connection read values that Python does not support, and unless asked otherwise nothing but read."""
    driver: Any = connection.connection.driver_connection
    if read_only and connection.dialect.name == "postgresql":
        connection.execution_options(postgresql_readonly=True)
    elif read_only and (statement := _READ_ONLY.get(connection.dialect.name)):
        connection.exec_driver_sql(statement)
    if connection.dialect.name == "sqlite":
        driver.set_authorizer(_authorize)
    if connection.dialect.name in MYSQL:
        connection.exec_driver_sql(_UTC)
    match connection.dialect.driver:
        case "psycopg":
            from audience_sync.sources.database import postgresql

            postgresql.accept_unsupported_values(driver)
        case "pymysql":
            from audience_sync.sources.database import mysql

            mysql.accept_unsupported_values(driver)


def abandon(connection: Connection, driver: Any) -> None:
    """Leave an answer that was not fetched whole. MySQL's drivers would fetch the rest before anything else."""
    if connection.dialect.name not in MYSQL:
        return
    if connection.dialect.driver == "pymysql":
        from audience_sync.sources.database.mysql import abandon_answer

        abandon_answer(driver)
    connection.invalidate()


def accept_undecodable_texts(connection: Connection) -> None:
    """Read texts of SQLite that are not UTF-8 as ``Unsendable``, instead of failing the whole answer.

    This costs one call of a Python function per text.
    """
    driver: Any = connection.connection.driver_connection
    driver.text_factory = _decode_text


def _decode_text(data: bytes) -> str | Unsendable:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Unsendable(NOT_UTF_8)


def _authorize(action: int, name: str | None, *_: object) -> int:
    is_reading = action not in _FORBIDDEN_ACTIONS or (action == sqlite3.SQLITE_PRAGMA and name in _ALLOWED_PRAGMAS)
    return sqlite3.SQLITE_OK if is_reading else sqlite3.SQLITE_DENY


def type_name(dialect: Dialect, described: Sequence[Any]) -> str:
    """The type of an answer's column: the driver's name of it, or its generic type; empty if it reports none."""
    code = described[1]
    if shown := getattr(described, "type_display", None):
        return str(shown)
    if code is None or isinstance(code, str):
        return code or ""  # SQLite reports none
    if dialect.driver in _TYPE_NAMES and (name := _TYPE_NAMES[dialect.driver]().get(code)):
        return name
    objects = ((getattr(dialect.loaded_dbapi, name, None), word) for name, word in _TYPE_OBJECTS)
    return next((word for each, word in objects if each == code), str(code))


def _mysql_types() -> Mapping[int, str]:
    from audience_sync.sources.database.mysql import TYPE_NAMES

    return TYPE_NAMES


def _snowflake_types() -> Mapping[int, str]:
    from snowflake.connector.constants import FIELD_ID_TO_NAME

    return {**FIELD_ID_TO_NAME, 0: "number"}  # FIXED


#: Names of a driver's codes of types, which its type objects don't have, or not rightly; by SQLAlchemy's name of it.
_TYPE_NAMES: Mapping[str, Callable[[], Mapping[int, str]]] = {"pymysql": _mysql_types, "snowflake": _snowflake_types}


def is_damaged(error: BaseException) -> bool:
    """Whether an error of SQLite's driver means that the file is damaged."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _DAMAGE_CODES


class Stopper:
    """Interrupts a connection from another thread: first by the driver's own way, then by closing its socket."""

    def __init__(self) -> None:
        self._driver: Any = None
        self._engine: Engine | None = None
        self._was_asked = False

    def watch(self, connection: Connection) -> None:
        self._driver, self._was_asked = connection.connection.driver_connection, False
        self._engine = connection.engine

    def stop(self) -> None:
        driver, was_asked, self._was_asked = self._driver, self._was_asked, True
        if hasattr(driver, "cancel_safe"):
            if was_asked:
                _shut_down_socket(driver.pgconn.socket)
            else:
                driver.cancel_safe(timeout=CANCEL_SECONDS)
            return
        if self._engine is not None and self._engine.dialect.driver == "pymysql":
            if was_asked:
                _shut_down_socket(driver._sock.fileno())
            else:
                from audience_sync.sources.database.mysql import kill

                kill(self._engine, driver.thread_id(), CANCEL_SECONDS)
            return
        for name in ("interrupt", "cancel"):  # SQLite and DuckDB, Oracle and others
            if hasattr(driver, name):
                getattr(driver, name)()
                return


def _shut_down_socket(number: int) -> None:
    """Shut down the socket of a connection whose server may not answer; a waiting thread gets an error at once."""
    with socket.socket(fileno=os.dup(number)) as connection:
        connection.shutdown(socket.SHUT_RDWR)

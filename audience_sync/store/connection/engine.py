"""Open the store's database: one engine, and transactions for reading, writing and migrating."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from audience_sync.config.read.paths import SqliteUrl
from audience_sync.errors import ObjectMissingError, StoreUnavailableError
from audience_sync.store.connection import sqlite
from audience_sync.store.connection.errors import address_error, translated_errors
from audience_sync.store.tables.snapshots import BINARY

Result = TypeVar("Result")
#: Seconds to wait for another program's lock on an SQLite file. A warning is logged after about two.
BUSY_TIMEOUT = 600.0
#: Seconds to wait for a server that was connected before, and seconds between two attempts.
RECONNECT_SECONDS, RETRY_PAUSE = 90.0, 1.0
#: Seconds that a server has to accept a connection, unless the address sets `?connect_timeout=`.
CONNECT_TIMEOUT = 10
#: PostgreSQL estimates the views' queries at far more than they cost, and would compile them for longer than they run.
WITHOUT_JIT = "set local jit = off"
_WRITING, _IS_WAL = "audience_sync_writing", "audience_sync_wal"
#: The advisory lock of migrations in one PostgreSQL database: "audsync" in bytes.
_MIGRATION_LOCK = 0x61756473796E63


class Store:
    """A database and its kinds of transaction: reading, writing, and migrating."""

    def __init__(self, url: str, *, patience: float | None = None, reads_views: bool = False) -> None:
        """Connects to nothing yet. Raises StoreError for an address that can't be a store's.

        ``patience``: seconds to wait for another program's lock on an SQLite file, if not ``BUSY_TIMEOUT``.
        ``reads_views``: the views are read, more than the tables.
        """
        self.engine = _engine(url, patience)
        self.url = self.engine.url
        self._was_connected, self._reads_views = False, reads_views
        #: SQLite only: whether WAL was requested, and the sizes of the log at the last checkpoint and transaction.
        self._journal_is_settled, self._log_bytes, self._last_log_bytes = not self.is_sqlite, 0, 0
        weakref.finalize(self, self.engine.dispose)  # closing the last connection empties the log

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for PostgreSQL and in memory."""
        if not self.is_sqlite or self.url.database in (None, "", ":memory:"):
            return None
        return Path(str(self.url.database))

    @property
    def label(self) -> str:
        """The store's address for people, without a password."""
        return str(self.file) if self.file else display_url(self.url)

    @property
    def is_wal(self) -> bool:
        """Whether an SQLite store is in WAL mode, where readers and writers don't wait for each other."""
        with translated_errors(self), self.engine.connect() as connection:
            return bool(connection.info.get(_IS_WAL))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with translated_errors(self), self._connect_with_retry(self.engine) as connection, connection.begin():
            if self._reads_views and not self.is_sqlite:
                connection.exec_driver_sql(WITHOUT_JIT)
            yield connection

    def read_with_retry(self, read: Callable[[Connection], Result]) -> Result:
        """The result of a function that reads.

        It is called a second time if the connection breaks, or if a run has replaced an object in a bucket since the
        function has read its name.
        """
        try:
            with self.reading() as connection:
                return read(connection)
        except (StoreUnavailableError, ObjectMissingError):
            with self.reading() as connection:  # waits for the database
                return read(connection)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may write. On SQLite it has the write lock from its start."""
        engine = self.engine.execution_options(**{_WRITING: True})
        with translated_errors(self):
            self._settle_journal()
            with self._connect_with_retry(engine) as connection:
                with connection.begin():
                    yield connection
                self._clean_up_after(connection)

    def _settle_journal(self) -> None:
        """Switch SQLite to WAL. While another program reads the store that fails; a later process tries again."""
        if self._journal_is_settled:
            return
        self._journal_is_settled = True
        with self.engine.connect() as connection:
            is_wal = connection.info[_IS_WAL] or sqlite.switch_to_wal(connection.connection.driver_connection)
            is_new = is_wal and not connection.info[_IS_WAL]
        if is_new:
            self.engine.dispose()  # new connections then see the mode

    def _clean_up_after(self, connection: Connection) -> None:
        """Keep SQLite's log short, and give the memory of a large transaction back."""
        if self.file is None:
            return
        size = self._size_of_log()
        grown, written = size - self._log_bytes, size - self._last_log_bytes
        self._last_log_bytes = size
        if written > sqlite.LARGE_BYTES:
            sqlite.release_memory(connection.connection.driver_connection)
        if grown > sqlite.LOG_BYTES:
            self._checkpoint()
        if grown < 0 or grown > sqlite.LOG_BYTES:
            self._log_bytes = size

    def _size_of_log(self) -> int:
        try:
            return os.stat(f"{self.file}-wal").st_size
        except OSError:
            return 0

    def _checkpoint(self) -> None:
        with self.engine.connect() as locking, self.engine.connect() as copying:
            sqlite.checkpoint(locking.connection.driver_connection, copying.connection.driver_connection)

    def _connect_with_retry(self, engine: Engine) -> Connection:
        """A connection. If a server that was connected before is restarting, wait for it."""
        until = time.monotonic() + (RECONNECT_SECONDS if self._was_connected else 0)
        while True:
            try:
                connection = engine.connect()
            except OperationalError:
                if time.monotonic() >= until:
                    raise
                time.sleep(RETRY_PAUSE)
            else:
                self._was_connected = not self.is_sqlite
                return connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A writing transaction for migrations, one at a time; it may rebuild tables."""
        with translated_errors(self), self.engine.execution_options(**{_WRITING: True}).connect() as connection:
            try:
                self._enforce_foreign_keys(connection, "OFF")
                with connection.begin():
                    if not self.is_sqlite:
                        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                    yield connection
            finally:
                self._enforce_foreign_keys(connection, "ON")

    def _enforce_foreign_keys(self, connection: Connection, state: str) -> None:
        """Switch SQLite's foreign keys off or on: dropping a table that is rebuilt would delete its child rows.

        This uses the driver's connection. SQLAlchemy's would begin a transaction, where SQLite ignores the pragma.
        """
        driver: Any = connection.connection.driver_connection
        if self.is_sqlite and driver is not None:
            driver.execute(f"PRAGMA foreign_keys = {state}")

    def compact(self) -> None:
        """Remove deleted rows from the database's files, where they could still be read until now."""
        if self.is_sqlite:
            self.engine.dispose()  # VACUUM needs the only connection
            with translated_errors(self), self.engine.connect() as connection:
                sqlite.compact(connection.connection.driver_connection, BUSY_TIMEOUT)
            return
        with (
            translated_errors(self),
            self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            driver: Any = connection.connection.driver_connection
            driver.execute("VACUUM")

    def close(self) -> None:
        if self.file and self._journal_is_settled and self._size_of_log():
            with suppress(SQLAlchemyError, self.engine.dialect.loaded_dbapi.Error):  # the next process does it
                self._checkpoint()  # SQLite's own, on closing, locks readers out
        self.engine.dispose()


def _engine(url: str, patience: float | None = None) -> Engine:
    try:
        address = database_address(url)
        is_server = address.get_backend_name() != "sqlite"
        options: dict[str, Any] = {"connect_args": server_arguments(address)} if is_server else {}
        # After a restart of the server the pooled connections are dead: test them first.
        engine = create_engine(address, hide_parameters=True, pool_pre_ping=is_server, **options)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise address_error(error) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", partial(_prepare_sqlite, patience))
        event.listen(engine, "begin", partial(_begin_sqlite, patience))
        event.listen(engine, "commit", _commit_sqlite)
    else:
        event.listen(engine, "before_cursor_execute", _set_format)
    return engine


def server_arguments(address: URL) -> dict[str, Any]:
    """The driver's arguments for a PostgreSQL server.

    No prepared statements: they belong to one session, and a pooler may run each transaction in another one.
    """
    limits = {} if "connect_timeout" in address.query else {"connect_timeout": CONNECT_TIMEOUT}
    return {"prepare_threshold": None, **limits}


def database_address(url: str) -> URL:
    """SQLAlchemy's URL of an address, with a decoded path of an SQLite file: SQLAlchemy 2.0 and 2.1 differ in that."""
    address, sqlite = make_url(url), SqliteUrl.parse(url)
    return address.set(database=sqlite.path) if sqlite and sqlite.is_file else address


def display_url(url: URL) -> str:
    """A database's address for people: without driver, password and parameters, which may contain a password too."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string()


def _set_format(_connection: Connection, cursor: Any, *execution: Any) -> None:
    """Set the format of the answer; the fourth argument is the context of the execution, or None."""
    context = execution[2]
    if context is not None and context.execution_options.get(BINARY):
        from psycopg.pq import Format

        cursor.format = Format.BINARY


def _prepare_sqlite(patience: float | None, connection: Any, record: ConnectionPoolEntry) -> None:
    try:
        record.info[_IS_WAL] = sqlite.prepare(connection, BUSY_TIMEOUT if patience is None else patience)
    except BaseException:
        connection.close()  # the pool forgets it without closing it
        raise


def _begin_sqlite(patience: float | None, connection: Connection) -> None:
    writing = bool(connection.get_execution_options().get(_WRITING))
    driver = connection.connection.driver_connection
    seconds = BUSY_TIMEOUT if patience is None else patience
    sqlite.begin(driver, seconds, writing=writing, is_wal=connection.info[_IS_WAL])


def _commit_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITING) and not connection.info[_IS_WAL]:
        sqlite.commit(connection.connection.driver_connection, BUSY_TIMEOUT)

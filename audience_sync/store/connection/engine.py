"""Open the store's database: one engine, and transactions for reading, writing and migrating."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from audience_sync.config.read.paths import SqliteUrl
from audience_sync.errors import StoreDamagedError, StoreError, StoreUnavailableError
from audience_sync.poolers import pooler_refusal
from audience_sync.store.connection import sqlite

Result = TypeVar("Result")
#: Seconds to wait for another program's lock on an SQLite file. A warning is logged after about two.
BUSY_TIMEOUT = 600.0
#: Seconds to wait for a server that was connected before, and seconds between two attempts.
RECONNECT_SECONDS, RETRY_PAUSE = 90.0, 1.0
#: Seconds that a server has to accept a connection, unless the address sets `?connect_timeout=`.
CONNECT_TIMEOUT = 10
_WRITING, _IS_WAL = "audience_sync_writing", "audience_sync_wal"
#: SQLite's errors for a file that is damaged or is not a database.
_DAMAGE_ERRORS = ("malformed", "file is not a database", "unsupported file format")
#: The error of SQLite's driver for bytes that are not UTF-8.
_DECODE_ERROR = "Could not decode to UTF-8"
#: The advisory lock of migrations in one PostgreSQL database: "audsync" in bytes.
_MIGRATION_LOCK = 0x61756473796E63


class Store:
    """A database and its kinds of transaction: reading, writing, and migrating."""

    def __init__(self, url: str) -> None:
        """Connects to nothing yet. Raises StoreError for an address that can't be a store's."""
        self.engine = _engine(url)
        self.url = self.engine.url
        self._was_connected = False
        #: SQLite only: whether WAL was requested, and the size of the log at the last checkpoint.
        self._journal_is_settled, self._log_bytes = not self.is_sqlite, 0
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
        with self._translate_errors(), self.engine.connect() as connection:
            return bool(connection.info.get(_IS_WAL))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._translate_errors(), self._connect_with_retry(self.engine) as connection, connection.begin():
            yield connection

    def read_with_retry(self, read: Callable[[Connection], Result]) -> Result:
        """The result of a function that reads. It is called a second time if the connection breaks."""
        try:
            with self.reading() as connection:
                return read(connection)
        except StoreUnavailableError:
            with self.reading() as connection:  # waits for the database
                return read(connection)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may write. On SQLite it has the write lock from its start."""
        engine = self.engine.execution_options(**{_WRITING: True})
        with self._translate_errors():
            self._settle_journal()
            with self._connect_with_retry(engine) as connection, connection.begin():
                yield connection
            self._keep_log_short()

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

    def _keep_log_short(self) -> None:
        if self.file is None:
            return
        size = self._size_of_log()
        if size - self._log_bytes > sqlite.LOG_BYTES:
            self._checkpoint()
            self._log_bytes = size
        elif size < self._log_bytes:
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
        with self._translate_errors(), self.engine.execution_options(**{_WRITING: True}).connect() as connection:
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

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        driver = self.engine.dialect.loaded_dbapi
        try:
            yield
        except UnicodeDecodeError as error:
            if not _is_driver_error(error):
                raise
            raise self._damage_error("text in it is not UTF-8") from None
        except (SQLAlchemyError, driver.Error) as error:  # driver.Error: COPY does not pass through SQLAlchemy
            if _DECODE_ERROR in str(error):
                raise self._damage_error("text in it is not UTF-8") from None  # the driver's error quotes the bytes
            kind = StoreUnavailableError if _is_connection_lost(error) else StoreError
            failed = "can't be reached" if kind is StoreUnavailableError else "failed"
            words = f"The store {self.label} {failed}: {_reason(error)}. What was not committed was rolled back"
            remedy = "; see what is wrong with: audience-sync check"
            if self.is_sqlite and sqlite.is_busy(getattr(error, "orig", None) or error):
                words = f"The store {self.label} was locked by another program for too long (database is locked)"
                words += ". What was not committed was rolled back"
                remedy = (
                    f". Close programs that read it (`fuser -v {self.label}` names them), then: audience-sync check"
                )
            if refusal := pooler_refusal(_reason(error)):
                kind, (reason, advice) = StoreError, refusal
                words, remedy = f"The store {self.label} can't be used: {reason}. Nothing was done. ", advice
            if any(sign in str(error) for sign in _DAMAGE_ERRORS):
                kind, remedy = StoreDamagedError, ". The file is damaged: restore a backup of the store."
            raise kind(words + remedy) from None  # the cause would show rows, which are people's data

    def _damage_error(self, reason: str) -> StoreDamagedError:
        effect = "Nothing that was not yet committed is kept"
        remedy = "The file is damaged: restore a backup of the store."
        return StoreDamagedError(f"The store {self.label} failed: {reason}. {effect}. {remedy}")

    def compact(self) -> None:
        """Remove deleted rows from the database's files, where they could still be read until now."""
        if self.is_sqlite:
            self.engine.dispose()  # VACUUM needs the only connection
            with self._translate_errors(), self.engine.connect() as connection:
                sqlite.compact(connection.connection.driver_connection, BUSY_TIMEOUT)
            return
        with (
            self._translate_errors(),
            self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            driver: Any = connection.connection.driver_connection
            driver.execute("VACUUM")

    def close(self) -> None:
        if self.file and self._journal_is_settled and self._size_of_log():
            with suppress(SQLAlchemyError, self.engine.dialect.loaded_dbapi.Error):  # the next process does it
                self._checkpoint()  # SQLite's own, on closing, locks readers out
        self.engine.dispose()


def _engine(url: str) -> Engine:
    try:
        address = database_address(url)
        is_server = address.get_backend_name() != "sqlite"
        options: dict[str, Any] = {"connect_args": server_arguments(address)} if is_server else {}
        # After a restart of the server the pooled connections are dead: test them first.
        engine = create_engine(address, hide_parameters=True, pool_pre_ping=is_server, **options)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise StoreError(_address_error(error)) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "commit", _commit_sqlite)
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


def _is_driver_error(error: Exception) -> bool:
    """Whether an error comes from the driver, called by this package or SQLAlchemy, not from a connection's user."""
    file = Path(extract_tb(error.__traceback__)[-1].filename)
    return Path(__file__).parents[1] in file.parents or "sqlalchemy" in file.parts


def _is_connection_lost(error: Exception) -> bool:
    """Whether the server could not be reached, or closed the connection."""
    if getattr(error, "connection_invalidated", False):
        return True
    return isinstance(error, OperationalError) and error.statement is None


def _address_error(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "psycopg":
        return "The store is on PostgreSQL, but its driver is missing: pip install 'audience-sync[postgresql]'"
    if isinstance(error, ValueError):  # not quoted: the text in the port's position may be part of a password
        return (
            "The store's URL can't be used: its form is postgresql://user@host:5432/name, where the port is a number. "
            "Nothing was done. Correct `store:` in the config; in a password write `%40` for `@` and `%2F` for `/`."
        )
    return f"The store's address can't be used: {error}. See `store:` in the config."


def _reason(error: Exception) -> str:
    """The database's message without PostgreSQL's DETAIL and CONTEXT, which quote rows."""
    cause = getattr(error, "orig", None) or error
    diagnosis = getattr(cause, "diag", None)
    return str((diagnosis and diagnosis.message_primary) or cause).strip()


def display_url(url: URL) -> str:
    """A database's address for people: without driver, password and parameters, which may contain a password too."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string()


def _prepare_sqlite(connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_IS_WAL] = sqlite.prepare(connection, BUSY_TIMEOUT)


def _begin_sqlite(connection: Connection) -> None:
    writing = bool(connection.get_execution_options().get(_WRITING))
    driver = connection.connection.driver_connection
    sqlite.begin(driver, BUSY_TIMEOUT, writing=writing, is_wal=connection.info[_IS_WAL])


def _commit_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITING) and not connection.info[_IS_WAL]:
        sqlite.commit(connection.connection.driver_connection, BUSY_TIMEOUT)


def create_private_file(file: Path) -> None:
    """Create a file that only its owner can read, with its folders. Raises StoreError."""
    try:
        for folder in reversed(file.absolute().parents):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(
            f"{file} can't be created: {error.strerror}. Nothing was done. Let this user write to its "
            "folder, or name another file."
        ) from None

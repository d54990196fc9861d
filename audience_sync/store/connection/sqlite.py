"""Keep SQLite's readers and writers out of each other's way: write-ahead log, patient locks, safe checkpoints.

In WAL mode readers see the last commit, and writers never wait for readers. SQLite before 3.51.3 may damage a database
when one connection commits while another one makes a checkpoint. So checkpoints are made only under the write lock, or
by SQLite when the last connection closes and all others are locked out. Neither can coincide with a commit, so every
version of SQLite is safe. See docs/decisions, "A write-ahead log for every SQLite".
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

log = logging.getLogger("audience_sync.store")

#: Seconds that SQLite itself waits for a lock; then a warning names what the program waits for.
SILENT_SECONDS = 1.5
#: Seconds between two attempts where SQLite refuses at once.
RETRY_PAUSE = 0.05
#: SQLite's page cache. With the default of 2 MB a big transaction writes the same pages many times.
CACHE_KIB = 32_000
#: A checkpoint follows when the log has grown by so many bytes; the log is then cut to that size.
LOG_BYTES = 64_000_000
#: A transaction that has written more gives its memory back. Smaller ones keep their pages for the next (bytes).
LARGE_BYTES = 8_000_000
READER, WRITER = "another program is reading it", "another program is writing to it"


def prepare(connection: Any, patience: float) -> bool:
    """Set a new connection up. Returns whether the database is in WAL mode.

    Here and below, ``patience``: seconds to wait for a lock before sqlite3.OperationalError is raised.
    """
    # SQLAlchemy begins transactions itself: sqlite3's own would leave DDL outside of them.
    connection.isolation_level = None
    cursor = connection.cursor()
    set_busy_timeout(cursor)
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    cursor.execute("PRAGMA wal_autocheckpoint = 0")
    cursor.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    (mode,) = execute_when_unlocked(cursor, "PRAGMA journal_mode", WRITER, patience).fetchone()
    cursor.close()
    return bool(mode == "wal")


def release_memory(connection: Any) -> None:
    """Give the pages in SQLite's cache back to the system."""
    import ctypes

    connection.execute("PRAGMA shrink_memory")
    with suppress(AttributeError):  # only glibc keeps what is freed
        ctypes.CDLL(None).malloc_trim(0)


def set_busy_timeout(cursor: Any, seconds: float = SILENT_SECONDS) -> None:
    cursor.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


def execute_when_unlocked(
    driver: Any, statement: str, holder: str, patience: float, *, clock: Callable[[], float] = time.monotonic
) -> Any:
    """Execute a statement that needs a lock, and log a warning while it waits. ``holder``: who has the lock."""
    until = None if patience else 0.0
    while True:
        try:
            return driver.execute(statement)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or (until is not None and clock() >= until):
                raise
        if until is None:
            until = clock() + patience
            log.warning(
                "Waiting for the store: %s. Close that program, or let it end: this one continues then.", holder
            )
        time.sleep(RETRY_PAUSE)


def is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and (error.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_BUSY


def begin(driver: Any, patience: float, *, writing: bool, is_wal: bool) -> None:
    """Begin a transaction with the lock that it needs, so that no statement within it waits for one."""
    if not is_wal or not patience:
        set_busy_timeout(driver, min(SILENT_SECONDS, patience))
    if not writing:
        driver.execute("BEGIN")
        execute_when_unlocked(driver, "SELECT 1 FROM sqlite_master LIMIT 1", WRITER, patience).close()
        return
    execute_when_unlocked(driver, "BEGIN IMMEDIATE", WRITER, patience)
    if not is_wal:  # let a full cache grow: writing it out would wait for readers
        set_busy_timeout(driver, 0)


def commit(driver: Any, patience: float) -> None:
    """Commit in rollback journal mode, where a commit waits for readers."""
    set_busy_timeout(driver)
    execute_when_unlocked(driver, "COMMIT", READER, patience)


def switch_to_wal(driver: Any) -> bool:
    """Switch to WAL mode; returns whether that worked. It fails while another connection reads.

    File systems without shared memory don't support it.
    """
    set_busy_timeout(driver, 0)
    try:
        (mode,) = driver.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.OperationalError:
        return False
    finally:
        set_busy_timeout(driver)
    return bool(mode == "wal")


def checkpoint(locking: Any, copying: Any) -> None:
    """Copy the log into the database, as far as no reader needs it. ``locking`` keeps others from committing meanwhile.

    It waits neither for a writer nor for readers: the next checkpoint copies the rest.
    """
    set_busy_timeout(locking, 0)
    try:
        locking.execute("BEGIN IMMEDIATE")
        try:
            copying.execute("PRAGMA wal_checkpoint(PASSIVE)").close()
        finally:
            locking.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if not is_busy(error):
            raise
    finally:
        set_busy_timeout(locking)


def compact(driver: Any, patience: float) -> None:
    """Remove deleted rows from the database file and its log. Waits until no other connection uses the database."""
    execute_when_unlocked(driver, "VACUUM", WRITER, patience)
    (mode,) = driver.execute("PRAGMA journal_mode").fetchone()
    if mode == "wal":
        execute_when_unlocked(driver, "PRAGMA journal_mode = DELETE", READER, patience).close()
        with suppress(sqlite3.OperationalError):
            driver.execute("PRAGMA journal_mode = WAL").close()

"""Keep SQLite's readers and writers out of each other's way: write-ahead log, patient locks, safe checkpoints.

In the write-ahead log (WAL) readers see the last commit and writers go on, however long a reader reads. SQLite before
3.51.3 may damage a database when one connection commits while another one makes a checkpoint. So no connection here
makes one by itself: a checkpoint is made while the write lock is held, or by SQLite when the last connection closes,
with everybody else locked out. Neither can meet a commit, and so every version is safe: docs/decisions,
"A write-ahead log for every SQLite".
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

log = logging.getLogger("audience_sync.store")

#: Seconds that SQLite itself waits for a lock; then people are told what is waited for.
SILENT_SECONDS = 1.5
#: Between two tries, where SQLite refuses at once.
RETRY_PAUSE = 0.05
#: Pages that SQLite keeps: with its own 2 MB, a big transaction writes the same pages again and again.
CACHE_KIB = 32_000
#: The log is brought into the database when it is so much larger than after the last time, and is cut to that (bytes).
LOG_BYTES = 64_000_000
READER, WRITER = "another program is reading it", "another program is writing to it"


def prepare(connection: Any, patience: float) -> bool:
    """Set a new connection up. Returns whether the database is in WAL mode.

    Here and below, ``patience``: seconds after which a lock is waited for no longer; then sqlite3.OperationalError.
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


def set_busy_timeout(cursor: Any, seconds: float = SILENT_SECONDS) -> None:
    cursor.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


def execute_when_unlocked(
    driver: Any, statement: str, holder: str, patience: float, *, clock: Callable[[], float] = time.monotonic
) -> Any:
    """Execute a statement that needs a lock; says what it waits for. ``holder``: who has the lock."""
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
    """Begin a transaction, with the lock that it needs: no statement within it waits for one."""
    if not is_wal or not patience:
        set_busy_timeout(driver, min(SILENT_SECONDS, patience))
    if not writing:
        driver.execute("BEGIN")
        execute_when_unlocked(driver, "SELECT 1 FROM sqlite_master LIMIT 1", WRITER, patience).close()
        return
    execute_when_unlocked(driver, "BEGIN IMMEDIATE", WRITER, patience)
    if not is_wal:  # a full cache would wait for readers each time, in silence; it may as well grow
        set_busy_timeout(driver, 0)


def commit(driver: Any, patience: float) -> None:
    """Commit where readers are in the way: in the mode of the rollback journal."""
    set_busy_timeout(driver)
    execute_when_unlocked(driver, "COMMIT", READER, patience)


def switch_to_wal(driver: Any) -> bool:
    """Keep a write-ahead log from now on; returns whether there is one. There is none while somebody reads.

    File systems without shared memory can't have one.
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
    """Bring the log into the database, as far as no reader needs it. Two connections: one keeps others from committing.

    Waits neither for a writer nor for readers: what is left is brought over the next time.
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
    """Let go of what was deleted, in the database and in its log. Waits until nobody else has the database open."""
    execute_when_unlocked(driver, "VACUUM", WRITER, patience)
    (mode,) = driver.execute("PRAGMA journal_mode").fetchone()
    if mode == "wal":
        execute_when_unlocked(driver, "PRAGMA journal_mode = DELETE", READER, patience).close()
        with suppress(sqlite3.OperationalError):
            driver.execute("PRAGMA journal_mode = WAL").close()

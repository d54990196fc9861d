"""Stop a process at a named instant, by an answer that is held back or by a lock on the store."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from cli.conftest import ACCEPTED, Project
from destinations.receiver import Receiver, Reply
from sqlalchemy import inspect, make_url, select

from audience_sync.store.connection.engine import _MIGRATION_LOCK, Store
from audience_sync.store.tables import metadata

#: Seconds after which a test that waits has failed.
STUCK = 60
WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


class HoldingReceiver(Receiver):
    """Accepts every batch, but holds the answers to the first ``held`` requests until ``release`` is set."""

    def __init__(self, held: int = 1) -> None:
        super().__init__()
        self.held = held
        self.release = threading.Event()
        self._mutex = threading.Lock()

    def next_reply(self) -> Reply:
        with self._mutex:
            holds, self.held = self.held > 0, max(0, self.held - 1)
        if holds:
            self.release.wait(STUCK)
        return ACCEPTED


@contextmanager
def nothing_commits(url: str) -> Iterator[Callable[[], bool]]:
    """Make every writer of this store wait before its commit; yield a function that returns whether one waits.

    On SQLite a reader is in the way of a rollback journal, on PostgreSQL the row (before there is a schema, the lock)
    that every writer needs.
    """
    store = Store(url)
    if store.file:
        with closing(sqlite3.connect(store.file)) as connection:
            connection.execute("pragma journal_mode = delete")
    try:
        with store.reading() as connection:
            has_schema = inspect(connection).has_table("lease")
            if store.file:
                journal = Path(f"{store.file}-journal")
                connection.exec_driver_sql("select count(*) from sqlite_master").fetchall()
                yield journal.exists
            else:
                lock = (
                    "select * from lease for update"
                    if has_schema
                    else f"select pg_advisory_xact_lock({_MIGRATION_LOCK})"
                )
                connection.exec_driver_sql(lock)
                with closing(psycopg.connect(plain(url), autocommit=True)) as other:
                    yield lambda: _one(other) > 0
    finally:
        store.close()


@contextmanager
def nothing_is_written(url: str, stderr: Path) -> Iterator[Callable[[], bool]]:
    """Make every writer of this store wait before its transaction; yield a function that returns whether one waits.

    On SQLite that is read in ``stderr``, the file with the command's stderr.
    """
    file = Store(url).file
    if file is None:
        with nothing_commits(url) as someone_waits:
            yield someone_waits
        return
    with closing(sqlite3.connect(file, timeout=STUCK, isolation_level=None)) as connection:
        connection.execute("begin immediate")
        yield lambda: "Waiting for the store: another program is writing to it." in stderr.read_text("utf-8")
        connection.execute("rollback")


def _one(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute(WAITING).fetchone()
    return row[0] if row else 0


def plain(url: str) -> str:
    """The URL as libpq reads it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def can_write(url: str) -> bool:
    """Whether no writing transaction is open."""
    file = Store(url).file
    try:
        if file:
            with closing(sqlite3.connect(file, timeout=0)) as connection:
                connection.execute("begin immediate")
        else:
            with closing(psycopg.connect(plain(url))) as other:
                other.execute("select * from lease for update nowait")
    except (sqlite3.OperationalError, psycopg.errors.LockNotAvailable):
        return False
    return True


def contents(url: str) -> dict[str, list[str]]:
    """Every row of every table."""
    store = Store(url)
    try:
        with store.reading() as connection:
            return {
                table.name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
                for table in metadata.sorted_tables
            }
    finally:
        store.close()


def count_rows(url: str, table: str) -> int:
    store = Store(url)
    try:
        with store.reading() as connection:
            if not inspect(connection).has_table(table):
                return 0
            return int(connection.exec_driver_sql(f"select count(*) from {table}").scalar_one())
    finally:
        store.close()


def a_project(folder: Path, url: str) -> Project:
    """A project whose store is at this URL, with the audience `vip` of ada, bob and cyd."""
    project = Project(folder)
    project.environment["STORE"] = url
    project.write_members("vip.csv", "ada", "bob", "cyd")
    return project


def configure(project: Project, address: str, *, initial: str = "all") -> None:
    """One call a request, one request at a time."""
    sent = {"type": "segment", "write_key": "a-write-key", "url": address, "batch_size": 1, "concurrency": 1}
    audience = {"name": "VIP", "source": "shop", "file": "vip.csv", "initial": initial}
    project.configure(store="${STORE}", audiences=[audience], destinations={"segment": sent})

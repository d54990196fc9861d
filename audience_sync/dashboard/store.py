"""Open the store for one page: read-only, at one moment, with a time limit for each statement.

A page never stops or slows a run. On SQLite the file is opened for the page and closed after it, so that a command
which needs the file alone (`erase`, a restored backup) never waits. On PostgreSQL the connections are kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from audience_sync.errors import AudienceSyncError
from audience_sync.store.connection.engine import WITHOUT_JIT, Store
from audience_sync.store.connection.errors import translated_errors
from audience_sync.store.maintenance.migrate import HEAD, is_new, refuse_newer
from audience_sync.web.errors import TookTooLongError, UnavailableError

#: Seconds that one statement may take: on SQLite of the processor, as the process gives way to others, and at most so
#: many times as long in all.
STATEMENT_SECONDS, WAITS = 5.0, 5
#: Seconds to wait for a lock of an SQLite file, which readers meet only in rare moments.
PATIENCE = 2.0
#: Instructions of SQLite between two looks at the clock: about a millisecond.
_INSTRUCTIONS = 20_000
#: PostgreSQL's codes for a cancelled statement, and for a view or a column that does not exist.
_CANCELLED, _MISSING = "57014", frozenset({"42P01", "42703", "3F000"})


class EmptyStoreError(AudienceSyncError):
    """There is no store yet, or it has no schema yet."""


class PageStore:
    """A store that pages read, one transaction a page, from several threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._server: Store | None = None
        self._busy: set[Any] = set()
        #: For a store without a WAL, where overlapping pages would keep a run from its commit.
        self._one_at_a_time = threading.Lock()

    @contextmanager
    def reading(self, *, seconds: float = STATEMENT_SECONDS) -> Iterator[Connection]:
        """A transaction that sees one moment and can change nothing. ``seconds``: that one statement may take.

        Raises EmptyStoreError, TookTooLongError, UnavailableError for another schema, and StoreError.
        """
        store = self._opened()
        try:
            if is_new(store):
                raise EmptyStoreError("there is no store yet")
            opened = self._sqlite if store.is_sqlite else self._postgresql
            with translated_errors(store), _explained_errors(store, seconds), opened(store, seconds) as connection:
                _require_schema(store, connection)
                yield connection
        finally:
            if store is not self._server:
                store.close()

    def stop(self) -> None:
        """End the statements that are running, and close the connections."""
        self._stopped.set()
        with self._lock:
            for driver in self._busy:
                driver.cancel()
            if self._server is not None:
                self._server.close()

    def _opened(self) -> Store:
        with self._lock:
            if self._server is not None:
                return self._server
            store = Store(self._url, patience=PATIENCE)
            if not store.is_sqlite:
                self._server = store
            return store

    @contextmanager
    def _sqlite(self, store: Store, seconds: float) -> Iterator[Connection]:
        busy_until, until = 0.0, 0.0

        def start(*_: object) -> None:
            nonlocal busy_until, until
            busy_until, until = time.thread_time() + seconds, time.monotonic() + seconds * WAITS

        def is_over() -> bool:
            return self._stopped.is_set() or time.thread_time() > busy_until or time.monotonic() > until

        alone = nullcontext() if store.is_wal else self._one_at_a_time
        with alone, store.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA query_only = ON").close()
            event.listen(connection, "before_cursor_execute", start)
            start()
            driver.set_progress_handler(is_over, _INSTRUCTIONS)
            try:
                with connection.begin():
                    yield connection
            finally:
                driver.set_progress_handler(None, 0)

    @contextmanager
    def _postgresql(self, store: Store, seconds: float) -> Iterator[Connection]:
        with store.engine.connect() as connection, connection.begin():
            driver: Any = connection.connection.driver_connection
            with self._lock:
                self._busy.add(driver)
            try:
                connection.exec_driver_sql(
                    "set transaction isolation level repeatable read, read only; set local time zone 'UTC'; "
                    f"set local statement_timeout = {round(seconds * 1000)}; {WITHOUT_JIT}; "
                    "set local max_parallel_workers_per_gather = 0"  # the other processors are for runs
                )
                yield connection
            finally:
                with self._lock:
                    self._busy.discard(driver)


@contextmanager
def _explained_errors(store: Store, seconds: float) -> Iterator[None]:
    """Raise errors of a page for a statement that was ended, and for a view that is missing."""
    try:
        yield
    except DBAPIError as error:
        cause: Any = error.orig
        code = getattr(cause, "sqlstate", None)
        if code == _CANCELLED or (store.is_sqlite and "interrupted" in str(cause)):
            raise TookTooLongError(
                f"A query took longer than {seconds:g} s and was ended. Runs are not affected.",
                remedy="Ask for less: a shorter time, one audience, or one run.",
            ) from None
        if code in _MISSING or (store.is_sqlite and str(cause).startswith(("no such table", "no such column"))):
            raise _schema_error(store, "lacks views of this version") from None
        raise


def _require_schema(store: Store, connection: Connection) -> None:
    revision = _revision(store, connection)
    refuse_newer(store, revision or None)
    if revision == "":
        raise EmptyStoreError("the store has no schema yet")
    if revision is not None and revision != HEAD:
        raise _schema_error(store, f"has the schema of an older version ({revision})")


def _revision(store: Store, connection: Connection) -> str | None:
    """The store's revision; empty without a schema; None for a role that may read the views alone."""
    if store.is_sqlite:
        exists = connection.execute(text("select 1 from sqlite_master where name = 'alembic_version'")).scalar()
        may_read = bool(exists)
    else:
        row = connection.execute(
            text(
                "select to_regclass('alembic_version') is not null, "
                "to_regclass('audience_sync.sync_runs') is not null, "
                "coalesce(has_table_privilege(to_regclass('alembic_version')::oid, 'select'), false)"
            )
        ).one()
        exists, may_read = row[0] or row[1], row[2]
    if not exists:
        return ""
    return connection.execute(text("select version_num from alembic_version")).scalar() if may_read else None


def _schema_error(store: Store, state: str) -> UnavailableError:
    return UnavailableError(
        f"The store {store.label} {state}. These pages read the views of this version, so they show nothing.",
        remedy="If it is being upgraded now, wait: this page then shows it. Otherwise upgrade it. A SQLite store is "
        "backed up first, and the next run upgrades it as well:",
        commands=["audience-sync db upgrade"],
        title="The store has another schema",
    )

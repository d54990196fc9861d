"""Each part of the store in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, select

from audience_sync.errors import StoreError
from audience_sync.store.audiences.properties import read_chains, read_properties
from audience_sync.store.connection.engine import Store
from audience_sync.store.integrity.cursors import positions
from audience_sync.store.integrity.result import RESTORE, Examined, said
from audience_sync.store.integrity.rows import rows
from audience_sync.store.integrity.schema import schema
from audience_sync.store.integrity.snapshots import absent, fetched, members, snapshots
from audience_sync.store.maintenance import migrate
from audience_sync.store.tables import installation
from audience_sync.workspace import Workspace

Part = Callable[[Connection], Examined]


def examine(store: Store, *, memory_limit: int) -> Iterator[Examined]:
    """Raises StoreError, StoreOutdatedError or StoreNewerError where there is no store that could be looked at."""
    database = _database(store)
    if not database.good:  # what else it says would be by chance
        yield database
        return
    migrate.require_current_schema(store)
    yield database
    yield _tried(store, "schema", schema)
    with Workspace(memory_limit) as workspace:
        yield from _contents(store, workspace)
    yield _tried(store, "rows", rows)
    yield _tried(store, "positions", positions)


def _database(store: Store) -> Examined:
    """SQLite's own checks; PostgreSQL makes its own as it goes."""
    if not store.is_sqlite or migrate.is_new(store):
        return Examined("database", True, "PostgreSQL" if not store.is_sqlite else "there is no store yet")
    try:
        with store.reading() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            problems = [str(text) for text in found if text != "ok"]
            orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    except StoreError as error:
        return Examined("database", False, str(error))
    problems += [f"a row of {table} refers to a row of {other} that is not there" for table, _, other, _ in orphans]
    return said("database", problems, "SQLite's integrity check passed", RESTORE)


def _contents(store: Store, workspace: Workspace) -> Iterator[Examined]:
    try:
        with store.reading() as connection:
            known = read_properties(connection)
            chains, damaged = fetched(connection, workspace, read_chains(connection, known.values()))
            yield snapshots(connection, workspace, chains, damaged)
            has_members = connection.execute(select(installation.c.members_table)).scalar()
            yield members(connection, workspace, known, chains, absent(connection, workspace), kept=bool(has_members))
    except StoreError as error:
        yield Examined("snapshots", False, str(error))


def _tried(store: Store, part: str, look: Part) -> Examined:
    try:
        with store.reading() as connection:
            return look(connection)
    except StoreError as error:
        return Examined(part, False, str(error))

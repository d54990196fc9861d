"""Check each part of the store for damage: database, schema, snapshots, members, trait values, rows, positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, select

from audience_sync.errors import ObjectMissingError, StoreError
from audience_sync.store.audiences.properties import read_chains, read_properties
from audience_sync.store.connection.engine import Store
from audience_sync.store.integrity.result import RESTORE, CheckResult, check_result
from audience_sync.store.integrity.rows import check_positions, check_rows
from audience_sync.store.integrity.schema import check_schema
from audience_sync.store.integrity.snapshots import check_members, check_snapshots, download_chains, load_non_members
from audience_sync.store.integrity.trait_values import check_trait_values
from audience_sync.store.maintenance import migrate
from audience_sync.store.tables import installation
from audience_sync.workspace import Workspace

Check = Callable[[Connection], CheckResult]


def check_store(store: Store, *, memory_limit: int) -> Iterator[CheckResult]:
    """Yield a result for each part. Raises StoreError, also as StoreOutdatedError or StoreNewerError."""
    database = _check_database(store)
    if not database.good:  # in a damaged file other checks have random results
        yield database
        return
    migrate.require_current_schema(store)
    yield database
    yield _run_check(store, "schema", check_schema)
    with Workspace(memory_limit) as workspace:
        yield from _check_contents(store, workspace)
    yield _run_check(store, "rows", check_rows)
    yield _run_check(store, "positions", check_positions)


def _check_database(store: Store) -> CheckResult:
    """SQLite's own checks. PostgreSQL checks its files itself."""
    if not store.is_sqlite or migrate.is_new(store):
        return CheckResult("database", True, "PostgreSQL" if not store.is_sqlite else "there is no store yet")
    try:
        with store.reading() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            problems = [str(text) for text in found if text != "ok"]
            orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    except StoreError as error:
        return CheckResult("database", False, str(error))
    problems += [f"a row of {table} refers to a row of {other} that does not exist" for table, _, other, _ in orphans]
    return check_result("database", problems, "SQLite's integrity check passed", RESTORE)


def _check_contents(store: Store, workspace: Workspace) -> Iterator[CheckResult]:
    try:
        with suppress(ObjectMissingError), store.reading() as connection:
            yield from _results(connection, workspace, raises_missing=True)
            return
        with store.reading() as connection:  # a run may have replaced the object since its name was read
            yield from _results(connection, workspace)
    except StoreError as error:
        yield CheckResult("snapshots", False, str(error))


def _results(connection: Connection, workspace: Workspace, *, raises_missing: bool = False) -> Iterator[CheckResult]:
    """Check snapshots, members and trait values.

    ``raises_missing``: raise ObjectMissingError for an object that is missing, before the first result.
    """
    known = read_properties(connection)
    stored = read_chains(connection, known.values())
    chains, damaged = download_chains(connection, workspace, stored, raises_missing=raises_missing)
    yield check_snapshots(connection, workspace, chains, damaged)
    kept: Mapping[Any, Any] = connection.execute(select(installation)).mappings().first() or {}
    others = load_non_members(connection, workspace)
    yield check_members(connection, workspace, known, chains, others, kept=bool(kept.get("members_table")))
    yield check_trait_values(connection, workspace, chains, kept=bool(kept.get("trait_values_table")))


def _run_check(store: Store, area: str, check: Check) -> CheckResult:
    try:
        with store.reading() as connection:
            return check(connection)
    except StoreError as error:
        return CheckResult(area, False, str(error))

"""An older store is upgraded with every row, or stays unchanged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import insert, inspect, text, update

from audience_sync.errors import LeaseLostError, RunInProgressError, StoreError
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import acquire
from audience_sync.store.maintenance import migrate
from audience_sync.store.tables import lease, snapshot_file_chunks, snapshot_files
from audience_sync.workspace import Workspace

from .examples import a_store_with, base, members, save, table_and_view_names, the_audience

MakeNext = Callable[[str], None]

REBUILD_A_PARENT = """
    with op.batch_alter_table("snapshot_files") as batch:
        batch.alter_column("row_count", type_=sa.BigInteger())
"""
FAIL_HALFWAY = """
    op.create_table("half", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("insert into snapshot_chains (kind, user_count) values ('audience', 1)")
    op.execute(f"drop view {views}sync_runs")
    op.execute("insert into nowhere values (1)")
"""
LEAVE_ORPHANS = """
    op.execute("delete from snapshot_chains")
"""


class TestAnOlderStore:
    def test_keeps_its_rows(self, store: Store, workspace: Workspace, next_version: MakeNext) -> None:
        """Hazard 1: rebuilding a parent table must not take its children along (ON DELETE CASCADE)."""
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann", "ben"])))
        next_version(REBUILD_A_PARENT)
        migrate.upgrade(store)
        assert members(store, workspace, chain) == [("ann", 1), ("ben", 1)]
        assert migrate.current(store) == migrate.HEAD

    def test_refuses_orphans_afterwards(self, store: Store, workspace: Workspace, next_version: MakeNext) -> None:
        next_version(REBUILD_A_PARENT)
        migrate.upgrade(store)
        with pytest.raises(StoreError), store.writing() as connection:
            connection.execute(insert(snapshot_file_chunks).values(file_id=99, number=0, content=b""))

    def test_stays_as_it_was_when_the_migration_fails(self, store: Store, next_version: MakeNext) -> None:
        """Hazard 3: on SQLite too, tables and views come and go with the transaction."""
        before, revision = table_and_view_names(store), migrate.HEAD
        next_version(FAIL_HALFWAY)
        with pytest.raises(StoreError, match="nowhere"):
            migrate.upgrade(store)
        assert table_and_view_names(store) == before
        assert migrate.current(store) == revision
        with store.reading() as connection:
            assert connection.execute(text("select count(*) from snapshot_chains")).scalar_one() == 0

    def test_stays_as_it_was_when_the_migration_would_leave_orphans(
        self, store: Store, workspace: Workspace, next_version: MakeNext
    ) -> None:
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann"])))
        next_version(LEAVE_ORPHANS)
        with pytest.raises(StoreError):
            migrate.upgrade(store)
        assert members(store, workspace, chain) == [("ann", 1)]

    def test_on_sqlite_is_backed_up_first(
        self, new_store: Callable[..., Store], workspace: Workspace, next_version: MakeNext
    ) -> None:
        """Only there: a PostgreSQL server has its own backups."""
        store, before = new_store("sqlite", with_schema=True), migrate.HEAD
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann"])))
        next_version(REBUILD_A_PARENT)
        backup = migrate.upgrade(store)
        assert backup is not None
        assert backup.name == f"store_1.db.before-{migrate.HEAD}-from-{before}"
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600
        copy = new_store("sqlite")
        shutil.copy(backup, str(copy.file))
        assert migrate.current(copy) == before
        assert members(copy, workspace, chain) == [("ann", 1)]

    def test_on_sqlite_is_backed_up_as_it_is_even_while_it_is_read(
        self, new_store: Callable[..., Store], next_version: MakeNext
    ) -> None:
        store = new_store("sqlite", with_schema=True)
        a_store_with(store, runs_so_far=3)
        next_version("\n    pass")
        with sqlite3.connect(str(store.file)) as reader:
            assert reader.execute("select count(*) from runs").fetchone() == (3,)
            backup = migrate.upgrade(store)
        reader.close()
        assert backup is not None

    def test_stays_as_it_is_while_a_run_is_at_work(
        self, store: Store, other_process: Store, next_version: MakeNext
    ) -> None:
        before = migrate.HEAD
        next_version(REBUILD_A_PARENT)
        with acquire(other_process), pytest.raises(RunInProgressError, match=f"process {os.getpid()} on "):
            migrate.upgrade(store)
        assert migrate.current(store) == before
        assert not store.file or not list(store.file.parent.glob("*.before-*"))

    def test_that_a_run_had_died_at_is_upgraded_and_free_for_the_next_run(
        self, store: Store, other_process: Store, next_version: MakeNext
    ) -> None:
        held = acquire(other_process)
        with store.writing() as connection:
            connection.execute(update(lease).values(expires_at=1.0))
        next_version(REBUILD_A_PARENT)
        migrate.upgrade(store)
        with pytest.raises(LeaseLostError), held.transaction():
            pass
        acquire(store).release()
        held.release()

    def test_is_upgraded_once_by_two_processes_at_once_and_the_backup_is_of_the_older_schema(
        self, store: Store, other_process: Store, next_version: MakeNext, new_store: Callable[..., Store]
    ) -> None:
        before = migrate.HEAD
        next_version(REBUILD_A_PARENT)
        together = threading.Barrier(2)

        def upgrade(mine: Store) -> Path | None:
            together.wait(10)
            return migrate.upgrade(mine)

        with ThreadPoolExecutor(2) as pool:
            backups = [each for each in pool.map(upgrade, [store, other_process]) if each]
        assert migrate.current(store) == migrate.HEAD
        assert len(backups) == store.is_sqlite
        for backup in backups:
            copy = new_store("sqlite")
            shutil.copy(backup, str(copy.file))
            assert migrate.current(copy) == before

    def test_that_is_up_to_date_is_not_backed_up(self, store: Store) -> None:
        assert migrate.upgrade(store) is None


def test_a_parent_table_is_rebuilt_by_the_migration_of_these_tests(
    new_store: Callable[..., Store], next_version: MakeNext
) -> None:
    """Otherwise the tests above would prove nothing."""
    assert [key.ondelete for key in snapshot_file_chunks.foreign_keys] == ["CASCADE"]
    store = new_store("sqlite", with_schema=True)
    next_version(REBUILD_A_PARENT)
    migrate.upgrade(store)
    with store.reading() as connection:
        columns = {
            column["name"]: str(column["type"]) for column in inspect(connection).get_columns(snapshot_files.name)
        }
    assert columns["row_count"] == "BIGINT"

"""The store's database is opened as promised: atomic, in UTC, private, and without people in its errors."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlalchemy import Executable, insert, inspect, select, update

from audience_sync.errors import StoreError
from audience_sync.store.connection import engine, sqlite
from audience_sync.store.connection.bulk import insert_rows
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate
from audience_sync.store.maintenance.new_file import create_database
from audience_sync.store.tables import absences, delivery_destinations, installation, members, runs, snapshot_chains
from audience_sync.store.tables.views import VIEW_SCHEMA, view_prefix

#: A person, who may be in no message; apart from the lines that a traceback would quote.
ANN = "ann@example.com"
MARCH = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


def a_run(**values: object) -> dict[str, object]:
    return {"command": "sync", "status": "succeeded", "started_at": MARCH, "holder": "", "version": "1", **values}


def everything(store: Store) -> tuple[object, ...]:
    """The tables, the views, a table's columns and rows."""
    with store.reading() as connection:
        inspector = inspect(connection)
        columns = [column["name"] for column in inspector.get_columns("snapshot_chains")]
        rows = connection.execute(select(snapshot_chains)).all()
        views = inspector.get_view_names(None if store.is_sqlite else VIEW_SCHEMA)
        return inspector.get_table_names(), views, columns, rows


def fail_after(store: Store, statement: str) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql(statement.format(views=view_prefix(connection)))
        raise ZeroDivisionError


def insert_twice(store: Store, statement: Executable) -> None:
    with store.writing() as connection:
        connection.execute(statement)
        connection.execute(statement)


class TestATransaction:
    @pytest.mark.parametrize(
        "statement",
        [
            "insert into snapshot_chains (kind, user_count) values ('audience', 5)",
            "create table half (id integer)",
            "alter table snapshot_chains add column half integer",
            "drop view {views}sync_runs",
        ],
        ids=["a row", "a table", "a column", "a view"],
    )
    def test_that_fails_changes_nothing(self, store: Store, statement: str) -> None:
        before = everything(store)
        with pytest.raises(ZeroDivisionError):
            fail_after(store, statement)
        assert everything(store) == before

    def test_that_succeeds_is_seen_by_another_process(self, store: Store, other_process: Store) -> None:
        with store.writing() as connection:
            connection.execute(insert(runs).values(a_run(id=7)))
        with other_process.reading() as connection:
            assert connection.execute(select(runs.c.id)).all() == [(7,)]

    def test_refuses_a_row_without_the_row_it_refers_to(self, store: Store) -> None:
        with pytest.raises(StoreError), store.writing() as connection:
            connection.execute(insert(absences).values(property_id=99, user_id="ann", run_id=1))


class TestATime:
    def test_comes_back_in_utc_and_aware(self, store: Store) -> None:
        berlin = timezone(timedelta(hours=1))
        with store.writing() as connection:
            connection.execute(insert(runs).values(a_run(started_at=datetime(2026, 3, 1, 7, 0, 0, 5, berlin))))
        with store.reading() as connection:
            started = connection.execute(select(runs.c.started_at)).scalar_one()
        assert started.isoformat() == "2026-03-01T06:00:00.000005+00:00"

    def test_that_is_missing_stays_missing(self, store: Store) -> None:
        with store.writing() as connection:
            connection.execute(insert(runs).values(a_run()))
        with store.reading() as connection:
            assert connection.execute(select(runs.c.finished_at)).scalar_one() is None

    def test_without_a_zone_is_refused(self, store: Store) -> None:
        naive = MARCH.replace(tzinfo=None)
        with pytest.raises(StoreError, match="without a zone"), store.writing() as connection:
            connection.execute(insert(runs).values(a_run(started_at=naive)))


class TestAnError:
    """Hazard 7: SQLAlchemy and PostgreSQL would print the row, which is a person."""

    def test_of_a_statement_shows_no_row(self, store: Store) -> None:
        with pytest.raises(StoreError) as caught:
            insert_twice(store, insert(runs).values(a_run(id=1, error=ANN)))
        assert ANN not in everything_said(caught.value)

    def test_of_a_value_that_is_there_already_does_not_show_it(self, store: Store) -> None:
        with pytest.raises(StoreError) as caught:
            insert_twice(store, insert(delivery_destinations).values(name=ANN, type="file", created_at=MARCH))
        assert ANN not in everything_said(caught.value)

    def test_while_many_rows_go_in_shows_none_of_them(self, store: Store) -> None:
        rows = [(99, ANN, 1), (99, ANN, 1)]
        with pytest.raises(StoreError) as caught, store.writing() as connection:
            insert_rows(connection, members, ("property_id", "user_id", "run_id"), [rows])
        assert ANN not in everything_said(caught.value)

    def test_names_the_store_and_what_to_do(self, store: Store) -> None:
        with pytest.raises(StoreError) as caught, store.reading() as connection:
            connection.exec_driver_sql("select 1 from nowhere")
        message = str(caught.value)
        assert message.startswith(f"The store {store.label} failed: ")
        assert "What was not committed was rolled back" in message
        assert message.endswith("see what is wrong with: audience-sync check")

    def test_of_a_server_that_is_not_there_keeps_the_password(self) -> None:
        url = "postgresql+psycopg://app:hunter2@127.0.0.1:9/audiences?password=hunter3"
        with pytest.raises(StoreError) as caught, Store(url).reading():
            pass
        message = str(caught.value)
        assert "postgresql://app:***@127.0.0.1:9/audiences" in message
        assert "hunter" not in message

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql//app:hunter2@host/audiences",
            "postgresql://app:hunter2@host:port/audiences",
            "unheard-of://app:hunter2@host/audiences",
        ],
        ids=["no URL", "no port", "no database we know"],
    )
    def test_of_a_url_that_is_none_of_ours_keeps_the_password(self, url: str) -> None:
        with pytest.raises(StoreError) as caught:
            Store(url)
        assert "hunter2" not in everything_said(caught.value)


def everything_said(error: BaseException) -> str:
    """What a traceback would print."""
    import traceback

    return "".join(traceback.format_exception(error))


class TestAnSqliteStore:
    """Files, permissions and locks are SQLite's own: PostgreSQL has a server for them."""

    def test_is_readable_by_its_owner_only(self, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/new/store.db")
        migrate.upgrade(store)
        store.close()
        assert stat.S_IMODE((tmp_path / "new" / "store.db").stat().st_mode) == 0o600

    def test_is_not_created_by_looking(self, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/store.db")
        assert migrate.current(store) is None
        assert not (tmp_path / "store.db").exists()

    def test_that_is_locked_is_waited_for(self, new_store: Callable[..., Store]) -> None:
        store = new_store("sqlite", with_schema=True)
        locked, unlock = threading.Event(), threading.Event()

        def hold() -> None:
            with store.writing():
                locked.set()
                unlock.wait(10)

        holder = threading.Thread(target=hold)
        holder.start()
        locked.wait(10)
        threading.Timer(0.2, unlock.set).start()
        with store.writing() as connection:
            assert unlock.is_set()
            connection.execute(update(installation).values(members_table=False))
        holder.join()

    def test_that_stays_locked_is_an_error_with_a_remedy(
        self, new_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "BUSY_TIMEOUT", 0)
        store = new_store("sqlite", with_schema=True)
        with (
            store.writing(),
            pytest.raises(StoreError, match=r"was locked by another program .*rolled back.*audience-sync check"),
            store.writing(),
        ):
            pass

    def test_has_a_write_ahead_log_from_its_first_byte(self, tmp_path: Path) -> None:
        create_database(tmp_path / "store.db")
        with closing(Store(f"sqlite:///{tmp_path / 'store.db'}")) as store:
            assert store.is_wal
        assert [each.name for each in tmp_path.iterdir()] == ["store.db"]
        assert (tmp_path / "store.db").stat().st_mode & 0o777 == 0o600

    def test_gets_a_write_ahead_log_when_it_is_written_into(self, new_store: Callable[..., Store]) -> None:
        store = new_store("sqlite", with_schema=True)
        with closing(sqlite3.connect(store.url.database or "")) as connection:
            store.close()
            connection.execute("pragma journal_mode = delete")
        assert not store.is_wal
        with store.writing():
            pass
        assert store.is_wal

    @pytest.mark.parametrize("reason", ["no hard links", "no folder to write into"])
    def test_that_cannot_be_made_under_another_name_is_made_in_its_place(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
    ) -> None:
        file = tmp_path / "store.db"
        if reason == "no hard links":
            monkeypatch.setattr(os, "link", Mock(side_effect=OSError(errno.EPERM, "not permitted")))
            create_database(file)
            assert [each.name for each in tmp_path.iterdir()] == ["store.db"]
        else:
            monkeypatch.setattr(os, "open", Mock(side_effect=PermissionError(errno.EACCES, "Permission denied")))
            with pytest.raises(StoreError, match=r"/store\.db can't be created: Permission denied"):
                create_database(file)

    def test_that_is_there_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "store.db").write_bytes(b"something")
        create_database(tmp_path / "store.db")
        assert (tmp_path / "store.db").read_bytes() == b"something"

    def test_makes_no_checkpoint_by_itself(self, new_store: Callable[..., Store]) -> None:
        """SQLite before 3.51.3 may damage a database by a checkpoint during a commit."""
        store = new_store("sqlite", with_schema=True)
        with store.writing() as connection:
            assert connection.exec_driver_sql("pragma wal_autocheckpoint").scalar() == 0
            assert connection.exec_driver_sql("pragma synchronous").scalar() == 2

    def test_is_not_checkpointed_while_another_has_the_write_lock(self, new_store: Callable[..., Store]) -> None:
        store = new_store("sqlite", with_schema=True)
        with store.writing() as connection:
            connection.execute(update(installation).values(members_table=False))
        before = store.file.read_bytes() if store.file else b""
        other = Store(f"sqlite:///{store.file}")
        with other.writing(), store.engine.connect() as one, store.engine.connect() as two:
            sqlite.checkpoint(one.connection.driver_connection, two.connection.driver_connection)
        assert store.file
        assert store.file.read_bytes() == before
        with store.engine.connect() as one, store.engine.connect() as two:
            sqlite.checkpoint(one.connection.driver_connection, two.connection.driver_connection)
        assert store.file.read_bytes() != before
        other.close()

    def test_keeps_its_log_short_during_many_transactions(
        self, new_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite, "LOG_BYTES", 100_000)
        store = new_store("sqlite", with_schema=True)
        with store.writing() as connection:
            connection.exec_driver_sql("create table filled (value blob)")
        for _ in range(100):
            with store.writing() as connection:
                connection.exec_driver_sql("insert into filled values (randomblob(20000))")
        assert Path(f"{store.file}-wal").stat().st_size < 500_000

    def test_gives_the_memory_of_a_large_transaction_back_and_keeps_that_of_small_ones(
        self, new_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        released = Mock(wraps=sqlite.release_memory)
        monkeypatch.setattr(sqlite, "release_memory", released)
        store = new_store("sqlite", with_schema=True)
        with store.writing() as connection:
            connection.exec_driver_sql("create table filled (value blob)")

        calls = []
        for size in (20_000, 9_000_000, 20_000, 9_000_000):
            with store.writing() as connection:
                connection.exec_driver_sql("insert into filled values (randomblob(?))", (size,))
            calls.append(released.call_count)

        assert calls == [0, 1, 1, 2]

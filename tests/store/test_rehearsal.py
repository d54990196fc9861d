"""A rehearsed upgrade changes a copy alone, and finds what the upgrade would lose or change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PostgreSQL
from old_stores import load_schema_0022
from sqlalchemy import create_engine, inspect, make_url, text, update
from sqlalchemy.pool import NullPool

from audience_sync.errors import RunInProgressError, StoreError, StoreNewerError
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import acquire
from audience_sync.store.maintenance import migrate
from audience_sync.store.rehearsal.rehearse import Rehearsal, rehearsed
from audience_sync.store.tables import VIEWS, lease
from audience_sync.workspace import Workspace

from .example_week import fill
from .examples import a_store_with, base, save, the_audience

MEMORY = 768_000_000
MakeNext = Callable[[str], None]
HARMLESS = """
    with op.batch_alter_table("snapshot_files") as batch:
        batch.alter_column("row_count", type_=sa.BigInteger())
"""


def rehearse(store: Store) -> Rehearsal:
    with rehearsed(store, memory_limit=MEMORY) as (found, _):
        return found


def differences(found: Rehearsal) -> set[str]:
    """What differs. The example week has members without snapshots, which `db check` finds."""
    assert found.error is None, found.error
    return {each for each in found.differences if not each.startswith("db check")}


def databases_and_folders(store: Store) -> object:
    """What a rehearsal might leave behind: files next to the store, or databases."""
    if store.file:
        return sorted(each.name for each in store.file.parent.iterdir() if each.name.startswith(store.file.name))
    with store.reading() as connection:
        return connection.execute(text("select datname from pg_database order by 1")).scalars().all()


def test_a_good_upgrade_is_good_and_the_store_stays_as_it_is(store: Store, next_version: MakeNext) -> None:
    fill(store)
    before, beside = migrate.current(store), databases_and_folders(store)
    next_version(HARMLESS)
    found = rehearse(store)
    assert differences(found) == set()
    assert (found.before, found.after) == (before, migrate.HEAD)
    assert {each.name: each.before.rows for each in found.tables if each.before}["runs"] == 5
    assert len(found.views) == len(VIEWS)
    assert found.space.needed > 0
    assert migrate.current(store) == before
    assert databases_and_folders(store) == beside
    with store.reading() as connection:
        columns = {each["name"]: str(each["type"]) for each in inspect(connection).get_columns("snapshot_files")}
    assert columns["row_count"] == "INTEGER"


def test_a_store_that_is_up_to_date_is_compared_all_the_same(week: Store) -> None:
    found = rehearse(week)
    assert (found.before, found.after, differences(found)) == (migrate.HEAD, migrate.HEAD, set())
    assert found.space.needed == 0


@pytest.mark.parametrize(
    ("migration", "expected"),
    [
        pytest.param(
            '\n    op.execute("delete from changes where run_id = 40 and user_id = (select min(user_id) from changes '
            'where run_id = 40)")',
            {"pending calls", "changes", "membership_changes"},
            id="a change is lost",
        ),
        pytest.param(
            '\n    op.execute("update delivery_cursors set position = position - 1 where id = 1")',
            {"pending calls", "delivery_cursors", "destinations"},
            id="a position moves",
        ),
        pytest.param(
            '\n    op.execute("update runs set seconds = 2.4 where id = 39")',
            {"runs", "sync_runs"},
            id="a value changes",
        ),
        pytest.param(
            '\n    op.execute("delete from request_attempts where id = 1")',
            {"request_attempts", "requests"},
            id="an attempt is lost",
        ),
        pytest.param('\n    op.execute("drop view {0}freezes".format(views))', {"freezes"}, id="a view is dropped"),
    ],
)
def test_what_an_upgrade_would_lose_or_change_is_named(
    new_store: Callable[..., Store], next_version: MakeNext, migration: str, expected: set[str]
) -> None:
    store = new_store("sqlite", with_schema=True)
    fill(store)
    next_version(migration)
    found = rehearse(store)
    assert differences(found) == expected
    assert not found.is_good
    with store.reading() as connection:
        assert connection.execute(text("select count(*) from request_attempts, changes")).scalar_one() > 0


@pytest.mark.parametrize(
    "replace",
    [
        pytest.param("x'00'", id="the bytes of a snapshot are damaged"),
        pytest.param("(select content from snapshot_file_chunks where file_id = 2)", id="it has other members"),
    ],
)
def test_other_members_are_found_in_the_snapshots(
    new_store: Callable[..., Store], workspace: Workspace, next_version: MakeNext, replace: str
) -> None:
    store = new_store("sqlite", with_schema=True)
    a_store_with(store, audiences=["vip", "churn"])
    save(store, the_audience(), base(workspace, 1, ["ann", "ben"]))
    save(store, the_audience("churn"), base(workspace, 1, ["ann", "cyd"]))
    next_version(f'\n    op.execute("update snapshot_file_chunks set content = {replace} where file_id = 1")')
    found = rehearse(store)
    assert not found.is_good
    assert found.error is not None or "snapshot_file_chunks" in found.differences


def test_members_are_compared_whatever_files_they_are_in(
    new_store: Callable[..., Store], workspace: Workspace, next_version: MakeNext
) -> None:
    """The bytes of the files may change; then the table of the bytes differs, and the members don't."""
    store = new_store("sqlite", with_schema=True)
    a_store_with(store, audiences=["vip"])
    save(store, the_audience(), base(workspace, 1, ["ann", "ben"]))
    half = (  # of its bytes
        "insert into snapshot_file_chunks (file_id, number, content) select file_id, 1, substr(content, 101) from "
        "snapshot_file_chunks"
    )
    rest = "update snapshot_file_chunks set content = substr(content, 1, 100) where number = 0"
    next_version(f'\n    op.execute("{half}")\n    op.execute("{rest}")')
    found = rehearse(store)
    assert found.members is not None
    assert found.members.is_same
    assert differences(found) == {"snapshot_file_chunks"}


def test_a_migration_that_fails_is_an_answer(store: Store, next_version: MakeNext) -> None:
    fill(store)
    next_version('\n    op.execute("insert into nowhere values (1)")')
    found = rehearse(store)
    assert not found.is_good
    assert found.error is not None
    assert "nowhere" in found.error
    assert store.label in found.error


def test_a_run_in_progress_is_named_as_by_the_upgrade(
    store: Store, other_process: Store, next_version: MakeNext
) -> None:
    next_version(HARMLESS)
    with acquire(other_process), pytest.raises(RunInProgressError, match=f"process {os.getpid()} on "):
        rehearse(store)
    with store.writing() as connection:
        connection.execute(update(lease).values(expires_at=1.0))
    assert differences(rehearse(store)) == set()


def test_a_store_of_another_age_is_refused(store: Store, empty_store: Store) -> None:
    with pytest.raises(StoreError, match="has no schema yet, so there is nothing to rehearse"):
        rehearse(empty_store)
    for revision, error in (("9999", StoreNewerError), ("0021", StoreError)):
        with store.writing() as connection:
            connection.execute(text(f"update alembic_version set version_num = '{revision}'"))
        with pytest.raises(error, match="Nothing was done"):
            rehearse(store)


class TestOnPostgresql:
    @pytest.fixture
    def old(self, new_url: Callable[..., str]) -> str:
        url = new_url("postgresql")
        load_schema_0022(url)
        return url

    def execute(self, url: str, *statements: str) -> None:
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def test_a_lost_row_is_found(self, new_store: Callable[..., Store], next_version: MakeNext) -> None:
        store = new_store("postgresql", with_schema=True)
        fill(store)
        next_version('\n    op.execute("delete from delivery_requests where id = 1")')
        assert differences(rehearse(store)) == {"delivery_requests", "requests"}

    def test_a_view_of_others_that_stops_the_upgrade_is_named(self, old: str) -> None:
        self.execute(
            old,
            "create schema bi",
            "create table bi.prices (run integer)",
            "create view bi.costs as select * from sync_runs join bi.prices using (run)",
        )
        found = rehearse(Store(old))
        assert found.error is not None
        assert "sync_runs" in found.error

    def test_a_role_that_may_not_create_a_database_gets_the_statement_to_run(self, old: str) -> None:
        self.execute(
            old,
            "drop role if exists rehearser",
            "create role rehearser login",
            "grant all on schema public to rehearser",
        )
        tables = "select quote_ident(tablename) from pg_tables where schemaname = 'public'"
        with create_engine(old, poolclass=NullPool).connect() as connection:
            names = connection.exec_driver_sql(tables).scalars().all()
        mine = make_url(old).set(username="rehearser").render_as_string(hide_password=False)
        try:
            self.execute(old, "grant select on all tables in schema public to rehearser")
            with pytest.raises(StoreError, match="does not own the tables"):
                rehearse(Store(mine))
            self.execute(old, *(f"alter table {name} owner to rehearser" for name in names))
            with pytest.raises(StoreError, match="alter role rehearser createdb"):
                rehearse(Store(mine))
            self.execute(old, "alter role rehearser createdb")
            assert rehearse(Store(mine)).is_good
        finally:
            self.execute(
                old, "reassign owned by rehearser to current_user", "drop owned by rehearser", "drop role rehearser"
            )

    def test_a_database_that_is_left_is_named(self, old: str) -> None:
        left = f"{make_url(old).database}_rehearsal"
        self.execute(old, f"create database {left}")
        try:
            with pytest.raises(StoreError, match=f'drop database "{left}"'):
                rehearse(Store(old))
        finally:
            self.execute(old, f"drop database {left}")

    def test_tables_in_another_schema_and_rights_of_other_roles_are_copied(self, postgresql: PostgreSQL) -> None:
        url = postgresql.create()
        self.execute(url, "create schema crm", "create role moved_to")
        crm = make_url(url).update_query_dict({"options": "-csearch_path=crm"}).render_as_string(hide_password=False)
        try:
            load_schema_0022_into(crm)
            self.execute(
                crm, "grant select on sync_runs to moved_to", "grant usage on sequence feeds_id_seq to moved_to"
            )
            with rehearsed(Store(crm), memory_limit=MEMORY) as (found, copy):
                assert found.is_good, (found.error, found.differences)
                with copy.store.reading() as connection:
                    query = (
                        "select has_table_privilege('moved_to', 'audience_sync.sync_runs', 'select'), "
                        "has_sequence_privilege('moved_to', 'delivery_cursors_id_seq', 'usage'), "
                        "to_regclass('crm.delivery_cursors') is not null"
                    )
                    assert connection.execute(text(query)).one() == (True, True, True)
        finally:
            self.execute(url, "drop owned by moved_to", "drop role moved_to")
            postgresql.drop(url)


def load_schema_0022_into(url: str) -> None:
    """Fill the schema ``crm``."""
    dump = (Path(__file__).parent / "schema_0022" / "postgresql.sql").read_text("utf-8")
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql(dump.replace("public.", "crm."))

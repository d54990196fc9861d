"""The roles of docs/operations/roles.sql have the rights that they need, and no others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from conftest import PostgreSQL
from sqlalchemy import create_engine, inspect, make_url
from sqlalchemy.exc import ProgrammingError

from audience_sync.errors import StoreError
from audience_sync.store.connection.engine import Store
from audience_sync.store.integrity.schema import check_schema
from audience_sync.store.maintenance import migrate

ROOT = Path(__file__).parents[2]
ROLES = ("audience_sync_runner", "audience_sync_reader")


@pytest.fixture
def store(postgresql: PostgreSQL) -> Iterator[str]:
    """A store whose owner has made the roles."""
    url = postgresql.create(with_schema=True)
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql((ROOT / "docs" / "operations" / "roles.sql").read_text("utf-8"))
        yield url
        for role in ROLES:
            connection.exec_driver_sql(f"drop owned by {role}")
            connection.exec_driver_sql(f"drop role {role}")
    engine.dispose()


def of(url: str, role: str) -> str:
    return make_url(url).set(username=role).render_as_string(hide_password=False)


def sync(folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    config = {
        "store": url,
        "sources": {"shop": {"files": "."}},
        "audiences": [{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        "destinations": {"log": {"type": "file", "path": "calls.jsonl"}},
        "retention": "1h",
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    command = [sys.executable, "-m", "audience_sync", "sync", "--json"]
    return subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True)


def test_one_runs_and_changes_no_table(store: str, tmp_path: Path) -> None:
    (tmp_path / "vip.csv").write_text("user_id\nada\nbob\n", "utf-8")
    assert json.loads(sync(tmp_path, of(store, "audience_sync_runner")).stdout)["status"] == "succeeded"
    (tmp_path / "vip.csv").write_text("user_id\nada\ncyd\n", "utf-8")
    ended = sync(tmp_path, of(store, "audience_sync_runner"))
    assert json.loads(ended.stdout)["audiences"][0]["entered"] == 1
    engine = create_engine(of(store, "audience_sync_runner"))
    for statement in ("drop table runs", "alter table runs add column x int", "create table x (y int)"):
        with engine.connect() as connection, pytest.raises(ProgrammingError):
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_one_reads_the_views_alone(store: str, tmp_path: Path) -> None:
    (tmp_path / "vip.csv").write_text("user_id\nada\n", "utf-8")
    assert sync(tmp_path, store).returncode == 0
    engine = create_engine(of(store, "audience_sync_reader"))
    owner = create_engine(store)
    with owner.connect() as connection:
        found = (
            connection.exec_driver_sql("select viewname from pg_views where schemaname = 'audience_sync'")
            .scalars()
            .all()
        )
        tables = (
            connection.exec_driver_sql("select tablename from pg_tables where schemaname = 'public'").scalars().all()
        )
    for view in found:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"select * from {view}").all()
    for table in set(tables) - {"pruned_history"}:
        with engine.connect() as connection, pytest.raises(ProgrammingError):
            connection.exec_driver_sql(f"select * from {table}")
    with engine.connect() as connection, pytest.raises(ProgrammingError):
        connection.exec_driver_sql("delete from sync_runs")
    engine.dispose()
    owner.dispose()


def test_the_views_stay_readable_when_the_schema_changes(store: str, next_version: Callable[[str], None]) -> None:
    next_version("""
    definition = op.get_bind().exec_driver_sql("select pg_get_viewdef('audience_sync.sync_runs'::regclass)").scalar()
    op.execute("drop view audience_sync.sync_runs")
    op.execute(f"create view audience_sync.sync_runs as {definition}")
""")
    made = Store(store)
    migrate.upgrade(made)
    assert all(_may_read(store, view) for view in ("sync_runs", "audience_syncs"))
    made.close()


def _may_read(store: str, view: str) -> bool:
    engine = create_engine(store)
    with engine.connect() as connection:
        asked = f"select has_table_privilege('audience_sync_reader', 'audience_sync.{view}', 'select')"
        found = connection.exec_driver_sql(asked).scalar()
    engine.dispose()
    return bool(found)


def test_only_the_owner_erases(store: str, tmp_path: Path) -> None:
    (tmp_path / "vip.csv").write_text("user_id\nada\n", "utf-8")
    assert sync(tmp_path, of(store, "audience_sync_runner")).returncode == 0
    command = [sys.executable, "-m", "audience_sync", "erase", "ada"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 3
    assert "Only the owner of the store" in ended.stderr
    engine = create_engine(store)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from audience_sync.audience_members").scalar() == 1
    engine.dispose()


def _owner(postgresql: PostgreSQL, role: str, *statements: str) -> Iterator[str]:
    """The URL of an empty database, as a role that owns nothing; ``statements`` give it rights."""
    url = postgresql.create()
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in (f"create role {role} login", *statements):
            connection.exec_driver_sql(statement.format(role=role, database=connection.engine.url.database))
        yield of(url, role)
        connection.exec_driver_sql(f"drop owned by {role} cascade")
        connection.exec_driver_sql(f"drop role {role}")
    engine.dispose()


@pytest.fixture
def named_as_the_schema(postgresql: PostgreSQL) -> Iterator[str]:
    yield from _owner(
        postgresql,
        "audience_sync",
        "grant create on database {database} to {role}",
        "grant all on schema public to {role}",
    )


def test_a_role_with_the_name_of_the_schema_of_views_finds_its_tables(
    named_as_the_schema: str, next_version: Callable[[str], None], tmp_path: Path
) -> None:
    """PostgreSQL looks into a schema with the role's name first."""
    store = Store(named_as_the_schema)
    migrate.upgrade(store)
    assert migrate.current(store) == migrate.HEAD
    (tmp_path / "vip.csv").write_text("user_id\nada\n", "utf-8")
    assert json.loads(sync(tmp_path, named_as_the_schema).stdout)["status"] == "succeeded"
    with store.reading() as connection:
        assert check_schema(connection).good
    next_version("""
    op.create_table("more", sa.Column("id", sa.Integer(), primary_key=True))
""")
    migrate.upgrade(store)
    with store.reading() as connection:
        assert "more" in inspect(connection).get_table_names("public")
    store.close()


@pytest.fixture
def without_rights(postgresql: PostgreSQL) -> Iterator[str]:
    yield from _owner(postgresql, "modest", "grant all on schema public to {role}")


def test_a_role_that_may_not_create_the_schema_of_views_is_given_the_statement(without_rights: str) -> None:
    store = Store(without_rights)
    with pytest.raises(StoreError) as caught:
        migrate.upgrade(store)
    database = store.url.database
    assert str(caught.value) == (
        f"The role modest may not create the schema audience_sync in database {database}. Nothing was done. As the "
        f"owner of the database: psql {database} -c 'create schema audience_sync authorization modest'. Then: "
        "audience-sync db upgrade"
    )
    assert migrate.current(store) is None
    store.close()


def test_two_stores_in_one_database_are_refused(postgresql: PostgreSQL) -> None:
    url = postgresql.create(with_schema=True)
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("create schema other")
    engine.dispose()
    store = Store(make_url(url).update_query_dict({"options": "-csearch_path=other"}).render_as_string(False))
    with pytest.raises(StoreError, match="has the views of another store in schema audience_sync"):
        migrate.upgrade(store)
    store.close()

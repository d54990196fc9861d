"""Do the roles of docs/operations/roles.sql suffice, and no more?"""

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
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import ProgrammingError

from audience_sync.store.connection.engine import Store
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

"""A damaged index of a small table is found at the start of a run, and nothing is sent."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from .conftest import Project


def empty_index(project: Project, index: str) -> None:
    """The index's page is that of an index without rows, as a page of an earlier time is."""
    with closing(sqlite3.connect(project.store)) as connection:
        (page,) = connection.execute("select rootpage from sqlite_master where name = ?", [index]).fetchone()
        (size,) = connection.execute("pragma page_size").fetchone()
    with project.store.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes([10, 0, 0, 0, 0]) + size.to_bytes(2, "big") + bytes(size - 7))


@pytest.mark.parametrize(
    "index", ["ix_delivery_cursors_destination_id", "ix_snapshot_files_chain_id", "sqlite_autoindex_properties_1"]
)
def test_a_damaged_index_of_a_small_table_stops_the_run(vip: Project, index: str) -> None:
    vip.sync()
    vip.sent()
    empty_index(vip, index)
    vip.write_members("vip.csv", "ada")
    damaged = vip.run("sync")
    assert (damaged.code, vip.sent()) == (3, [])
    assert "is damaged" in damaged.stderr
    assert "audience-sync resync" in damaged.stderr


def swap(project: Project, one: str, other: str) -> None:
    """The first pages of two tables or indexes stand in each other's place."""
    query = "select rootpage from sqlite_master where name = ?"
    with closing(sqlite3.connect(project.store)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        (size,) = connection.execute("pragma page_size").fetchone()
        places = [(connection.execute(query, [name]).fetchone()[0] - 1) * size for name in (one, other)]
    with project.store.open("r+b") as file:
        pages = []
        for place in places:
            file.seek(place)
            pages.append(file.read(size))
        for place, page in zip(places, reversed(pages), strict=True):
            file.seek(place)
            file.write(page)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("runs", "delivery_requests", id="two tables of history"),
        pytest.param("ix_delivery_cursors_destination_id", "ix_snapshot_files_chain_id", id="two indexes"),
        pytest.param("properties", "sqlite_autoindex_properties_1", id="a table and its index"),
        pytest.param("delivery_destinations", "snapshot_chains", id="two tables that others refer to"),
        pytest.param("snapshot_chains", "installation", id="two tables with one row each"),
        pytest.param("changes", "members", id="changes and members, few enough"),
        pytest.param("run_audiences", "run_destinations", id="two tables of a run"),
        pytest.param("ix_delivery_requests_run_id", "sqlite_autoindex_subscriptions_1", id="indexes of two tables"),
    ],
)
def test_swapped_pages_stop_the_run(vip: Project, one: str, other: str) -> None:
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.sent()
    swap(vip, one, other)
    vip.write_members("vip.csv", "ada")
    damaged = vip.run("sync")
    assert (damaged.code, vip.sent()) == (3, [])
    assert "damaged" in damaged.stderr
    assert "Restore a backup" in damaged.stderr or "restore a backup" in damaged.stderr


@pytest.fixture(scope="module")
def large(shared_vip: Project) -> Project:
    """A store with more changes and requests than are compared whole."""
    vip = shared_vip
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    numbers = "with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 20000)"
    with closing(sqlite3.connect(vip.store)) as connection, connection:
        (columns,) = connection.execute(
            "select group_concat(name) from pragma_table_info('delivery_requests')"
        ).fetchone()
        others = columns.removeprefix("id,")
        for statement in (
            f"insert into delivery_requests ({columns}) {numbers} select 100 + n, {others} "
            "from delivery_requests, numbers where id = 1",
            f"insert into changes {numbers} select 2, printf('user-%05d', n), 1, 'true', 'null' from numbers",
        ):
            connection.execute(statement)
    assert vip.sync().code == 0
    return vip


@pytest.fixture
def grown(large: Project, tmp_path: Path) -> Project:
    return large.copy_to(tmp_path)


LARGE = ["ix_changes_user_id", "ix_delivery_requests_run_id", "changes", "delivery_requests"]


@pytest.mark.parametrize("index", LARGE)
def test_a_large_table_or_index_that_lost_its_first_page_stops_the_run(grown: Project, index: str) -> None:
    empty_index(grown, index)
    grown.write_members("vip.csv", "ada")
    damaged = grown.run("sync")
    assert (damaged.code, grown.sent()) == (3, [])
    assert "damaged" in damaged.stderr


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("changes", "delivery_requests"),
        ("ix_changes_user_id", "ix_delivery_requests_run_id"),
        ("changes", "ix_changes_user_id"),
        ("changes", "members"),
        ("delivery_requests", "delivery_cursors"),
        ("ix_delivery_requests_run_id", "properties"),
    ],
)
def test_swapped_pages_of_large_tables_stop_the_run(grown: Project, one: str, other: str) -> None:
    swap(grown, one, other)
    grown.write_members("vip.csv", "ada")
    damaged = grown.run("sync")
    assert (damaged.code, grown.sent()) == (3, [])
    assert "damaged" in damaged.stderr


def test_rows_that_a_large_index_lacks_at_its_end_stop_the_run(grown: Project) -> None:
    name = "ix_changes_user_id"
    with closing(sqlite3.connect(grown.store)) as connection, connection:
        row = connection.execute("select * from sqlite_schema where name = ?", [name]).fetchone()
        connection.execute("pragma writable_schema = on")
        connection.execute("delete from sqlite_schema where name = ?", [name])
    with closing(sqlite3.connect(grown.store)) as connection, connection:
        connection.execute("delete from changes where user_id >= 'user-19990'")
        connection.execute("pragma writable_schema = on")
        connection.execute("insert into sqlite_schema values (?, ?, ?, ?, ?)", row)
    grown.write_members("vip.csv", "ada")
    damaged = grown.run("sync")
    assert (damaged.code, grown.sent()) == (3, [])
    assert "table changes: index ix_changes_user_id has rows that the table lacks" in damaged.stderr


def test_a_page_of_an_earlier_time_stops_the_run(vip: Project) -> None:
    """The runs of two days are gone, and no index misses them: what refers to them does."""
    vip.sync()
    with closing(sqlite3.connect(vip.store)) as connection, connection:
        connection.execute("pragma foreign_keys = off")
        connection.execute("delete from runs")
    vip.sent()
    damaged = vip.run("sync")
    assert (damaged.code, vip.sent()) == (3, [])
    assert "refers to a row of runs that does not exist" in damaged.stderr


def test_a_run_after_the_clock_was_set_back_starts_later_than_the_last(vip: Project) -> None:
    vip.sync()
    vip.query("update runs set started_at = '2099-01-01 00:00:00.000000'")
    vip.write_members("vip.csv", "ada")
    vip.sync()
    assert vip.query("select started_at from sync_runs where run = 2") == [("2099-01-01 00:00:00.001000",)]
    assert vip.messages()[-1]["timestamp"] == "2099-01-01T00:00:00.001Z"

"""A damaged index of a small table is found at the start of a run, and nothing is sent."""

from __future__ import annotations

import sqlite3
from contextlib import closing

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


@pytest.mark.parametrize("index", ["ix_feeds_destination_id", "ix_segments_chain_id", "sqlite_autoindex_properties_1"])
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
        pytest.param("runs", "requests", id="two tables of history"),
        pytest.param("ix_feeds_destination_id", "ix_segments_chain_id", id="two indexes"),
        pytest.param("properties", "sqlite_autoindex_properties_1", id="a table and its index"),
        pytest.param("destinations", "chains", id="two tables that others refer to"),
        pytest.param("chains", "installation", id="two tables with one row each"),
        pytest.param("changes", "members", id="changes and members, few enough"),
        pytest.param("run_audiences", "run_destinations", id="two tables of a run"),
        pytest.param("ix_requests_run_id", "sqlite_autoindex_subscriptions_1", id="indexes of different tables"),
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

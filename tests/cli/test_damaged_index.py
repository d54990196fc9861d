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


def test_a_run_after_the_clock_was_set_back_starts_later_than_the_last(vip: Project) -> None:
    vip.sync()
    vip.query("update runs set started_at = '2099-01-01 00:00:00.000000'")
    vip.write_members("vip.csv", "ada")
    vip.sync()
    assert vip.query("select started_at from sync_runs where run = 2") == [("2099-01-01 00:00:00.001000",)]
    assert vip.messages()[-1]["timestamp"] == "2099-01-01T00:00:00.001Z"

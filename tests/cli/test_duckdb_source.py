"""A DuckDB file is a source like any other: checked, read by a run, free afterwards, and written over by nothing."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from .conftest import Project


def configure(shop: Project, source: dict[str, str], **more: Any) -> None:
    big = {"name": "Big", "source": "lake", "query": "select customer as user_id from orders where total > 500"}
    totals = {"source": "lake", "query": "select customer as user_id, total from orders", "traits": ["total"]}
    shop.configure(sources={"lake": source}, audiences=[big], computed_traits=[totals], **more)


@pytest.fixture
def shop(vip: Project) -> Project:
    (vip.folder / "data").mkdir()
    with duckdb.connect(str(vip.folder / "data" / "shop.duckdb")) as connection:
        connection.execute("create table orders as select 'ada' as customer, 600 as total")
    configure(vip, {"database": "duckdb:///data/shop.duckdb"})
    return vip


def test_a_duckdb_file_is_checked_and_synced(shop: Project) -> None:
    check = shop.run("check")
    assert check.code == 0
    assert "DuckDB database data/shop.duckdb, 1 table" in " ".join(check.stdout.split())
    assert shop.sync().code == 0
    assert shop.sent() == [("ada", {"big": True, "total": 600})]
    with duckdb.connect(str(shop.folder / "data" / "shop.duckdb")) as connection:
        connection.execute("insert into orders values ('bob', 700)")
    second = shop.sync()
    assert second.code == 0
    assert shop.sent() == [("bob", {"big": True, "total": 700})]


def test_a_file_that_appears_after_the_config_was_read_is_a_failure_of_its_entries_alone(shop: Project) -> None:
    (shop.folder / "data" / "shop.duckdb").unlink()
    result = shop.sync()
    assert result.code == 3
    assert "the DuckDB database data/shop.duckdb does not exist" in result.audience("big")["error"]


def test_a_destination_does_not_write_over_it(shop: Project) -> None:
    log = {"type": "file", "path": "data/shop.duckdb"}
    configure(shop, {"database": "duckdb:///data/shop.duckdb"}, destinations={"log": log})
    result = shop.sync()
    assert result.code == 2
    assert "`data/shop.duckdb` is also the file of `sources.lake.database`" in result.stderr


def test_it_does_not_compare_itself(shop: Project) -> None:
    configure(shop, {"database": "duckdb:///data/shop.duckdb", "compare": "in_warehouse"})
    check = shop.run("check")
    assert check.code == 3
    assert "`compare: in_warehouse` is not possible in duckdb: only in" in " ".join(check.stdout.split())

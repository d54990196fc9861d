"""Two runs may be at work at once, and a warehouse may go on with what a dead one has asked for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cli.conftest import until
from sqlalchemy import NullPool, create_engine

from .conftest import Twins, Warehouse

VIP = {"name": "VIP", "source": "warehouse", "query": "select user_id from vip"}
SLOW = {**VIP, "query": "select user_id from vip cross join pg_sleep(2)"}


@pytest.fixture
def shop(twins: Twins) -> Twins:
    """Twins with the members ada, bob and cyd, after their first run; then dan has entered."""
    twins.warehouse.execute("create table vip (user_id text)", "insert into vip values ('ada'), ('bob'), ('cyd')")
    twins.configure(audiences=[VIP])
    twins.run("sync")
    twins.warehouse.execute("insert into vip values ('dan')")
    return twins


def kill_a_slow_run(shop: Twins) -> None:
    """A run that is killed while the warehouse still compares for it."""
    shop.configure(audiences=[SLOW])
    process = shop.there.start("sync")
    until(lambda: shop.warehouse.is_running("create table"))
    process.kill()
    process.wait()
    shop.configure(audiences=[VIP])


@contextmanager
def reading(warehouse: Warehouse, table: str) -> Iterator[None]:
    """Another program reads a table, in a transaction that doesn't end."""
    with create_engine(warehouse.url, poolclass=NullPool).connect() as connection:
        connection.exec_driver_sql(f"select * from audience_sync.{table}")
        yield


def plant(shop: Twins, run: int) -> str:
    """A table that a statement of this run has created, of which nobody knows any more."""
    [name] = [each for each in shop.warehouse.tables() if "_base_" in each]
    late = name.replace("_1_base_", f"_{run}_delta_")
    shop.warehouse.execute(f"create table audience_sync.{late} as select 'eve' as user_id, 'entered' as change")
    return late


def test_a_statement_that_goes_on_after_its_client_died_leaves_no_table(shop: Twins) -> None:
    kill_a_slow_run(shop)

    assert shop.warehouse.is_running("create table")
    assert shop.there.run("sync", "--json").audience("vip")["entered"] == 1
    until(lambda: not shop.warehouse.is_running("create table"))
    shop.there.run("sync")

    assert shop.warehouse.tables() == shop.named_tables()


def test_a_table_that_appears_after_the_next_run_has_swept_is_dropped_by_the_one_after_it(shop: Twins) -> None:
    kill_a_slow_run(shop)
    shop.there.run("sync")
    late = plant(shop, run=2)

    assert shop.there.run("sync", "--json").audience("vip")["status"] == "unchanged"

    assert late not in shop.warehouse.tables()
    assert shop.warehouse.tables() == shop.named_tables()


def test_a_run_that_was_replaced_creates_a_table_and_the_next_run_drops_it(shop: Twins) -> None:
    shop.there.environment["AUDIENCE_SYNC_LEASE_SECONDS"] = "2"
    shop.configure(audiences=[SLOW])
    stale = shop.there.start("sync")
    until(lambda: shop.warehouse.is_running("create table"))
    stale.send_signal(signal.SIGSTOP)
    shop.configure(audiences=[VIP])
    until(lambda: shop.there.run("sync").code == 0)  # 5 until the lease has expired
    before = shop.named_tables()

    stale.send_signal(signal.SIGCONT)
    assert stale.wait() == 3

    assert set(shop.warehouse.tables()) > set(before)
    assert shop.named_tables() == before
    assert shop.there.run("sync", "--json").audience("vip")["status"] == "unchanged"
    assert shop.warehouse.tables() == before


def test_a_run_does_not_wait_for_those_who_read_what_it_wants_to_drop(shop: Twins) -> None:
    """A backup, or a run on a machine that was put to sleep, may read for hours."""
    late = plant(shop, run=1)
    with reading(shop.warehouse, late):
        assert shop.there.run("sync", "--json").audience("vip")["entered"] == 1
        assert late in shop.warehouse.tables()

    shop.there.run("sync")
    assert shop.warehouse.tables() == shop.named_tables()

"""The tables of last snapshots: kills leave none, damage is found, and a source moves over and back."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from cli.conftest import Project, until

from .conftest import Twins, Warehouse, calls

VIP = {"name": "VIP", "source": "warehouse", "query": "select user_id from vip"}
LISTS = {"names_from": "audience", "source": "warehouse", "query": "select user_id, audience from lists"}


@pytest.fixture
def shop(twins: Twins) -> Twins:
    """Twins with the members ada, bob and cyd, before their first run."""
    twins.warehouse.execute("create table vip (user_id text)", "insert into vip values ('ada'), ('bob'), ('cyd')")
    twins.configure(audiences=[VIP])
    return twins


def kinds(warehouse: Warehouse) -> list[str]:
    """The kinds of the tables of last snapshots, in order of their names."""
    return [name.split("_")[3] for name in warehouse.tables()]


def stored_tables(project: Project) -> list[str]:
    return sorted(name for (name,) in project.query("select table_name from source_states"))


def test_each_run_with_changes_adds_a_table_and_the_store_names_it(shop: Twins) -> None:
    shop.run("sync")
    shop.warehouse.execute("delete from vip where user_id = 'bob'")
    shop.run("sync")
    shop.run("sync")  # nothing has changed
    shop.run("sync")

    assert kinds(shop.warehouse) == ["base", "delta"]
    assert [name.split("_")[2] for name in stored_tables(shop.there)] == ["1", "2"]


def test_many_tables_are_folded_into_a_new_base(shop: Twins) -> None:
    shop.run("sync")
    for number in range(14):
        shop.warehouse.execute(f"insert into vip values ('user {number}')")
        shop.run("sync")
    shop.warehouse.execute("delete from vip where user_id in ('ada', 'user 0', 'user 13')")

    assert shop.run("sync", "--json").audience("vip")["left"] == 3
    assert len(shop.warehouse.tables()) < 14


def test_a_run_that_only_looks_creates_no_table(shop: Twins) -> None:
    shop.run("plan", "--json")
    assert shop.warehouse.tables() == []

    shop.run("sync")
    shop.warehouse.execute("insert into vip values ('dan')")
    assert shop.run("plan", "--json").json["audiences"][0]["entered"] == 1
    assert kinds(shop.warehouse) == ["base"]


def test_a_run_killed_while_the_warehouse_compares_leaves_nothing(shop: Twins) -> None:
    shop.run("sync")
    shop.warehouse.execute("insert into vip values ('dan')")
    slow = {**VIP, "query": "select user_id from vip cross join pg_sleep(2)"}
    shop.configure(audiences=[slow])
    process = shop.there.start("sync")
    until(lambda: shop.warehouse.is_running("create table"))

    process.kill()
    process.wait()
    until(lambda: not shop.warehouse.is_running("create table"))

    shop.configure(audiences=[VIP])
    shop.there.run("sync")  # the lease of the killed run is taken over
    shop.here.run("sync")
    assert calls(shop.there) == calls(shop.here)
    shop.there.run("sync")
    assert set(stored_tables(shop.there)) <= set(shop.warehouse.tables())


def test_a_run_killed_before_its_commit_leaves_a_table_that_the_next_one_drops(shop: Twins) -> None:
    shop.run("sync")
    shop.warehouse.execute("insert into vip values ('dan')")
    with closing(sqlite3.connect(shop.there.store, isolation_level=None)) as other:
        process = shop.there.start("sync")
        until(lambda: "delta" in kinds(shop.warehouse) or process.poll() is not None)
        process.kill()
        process.wait()
        other.execute("select 1")
    left_over = set(shop.warehouse.tables()) - set(stored_tables(shop.there))

    shop.there.run("sync")
    shop.here.run("sync")
    shop.there.run("sync")

    assert calls(shop.there) == calls(shop.here)
    assert left_over.isdisjoint(shop.warehouse.tables())


def test_a_run_that_lost_its_lease_while_the_warehouse_compared_changes_nothing(shop: Twins) -> None:
    shop.there.environment["AUDIENCE_SYNC_LEASE_SECONDS"] = "2"
    shop.run("sync")
    shop.warehouse.execute("insert into vip values ('dan')")
    shop.configure(audiences=[{**VIP, "query": "select user_id from vip cross join pg_sleep(2)"}])
    process = shop.there.start("sync")
    until(lambda: shop.warehouse.is_running("create table"))
    process.send_signal(signal.SIGSTOP)

    shop.configure(audiences=[VIP])
    until(lambda: shop.there.run("sync").code == 0)  # 5 until the lease has expired
    process.send_signal(signal.SIGCONT)

    assert process.wait() != 0
    shop.there.run("sync")
    shop.here.run("sync")
    assert calls(shop.there) == calls(shop.here)
    assert set(stored_tables(shop.there)) <= set(shop.warehouse.tables())


def test_a_connection_that_breaks_off_fails_the_audience_alone(shop: Twins) -> None:
    shop.run("sync")
    shop.warehouse.execute("insert into vip values ('dan')")
    shop.configure(audiences=[{**VIP, "query": "select user_id from vip cross join pg_sleep(5)"}])
    process = shop.there.start("sync")
    until(lambda: shop.warehouse.is_running("create table"))
    shop.warehouse.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'create table%' and state = 'active'"
    )
    assert process.wait() == 3

    shop.configure(audiences=[VIP])
    assert shop.there.run("sync", "--json").audience("vip")["entered"] == 1


@pytest.mark.parametrize(
    "damage", ["drop table {table}", "truncate {table}", "delete from {table} where user_id = 'ada'"]
)
def test_a_damaged_table_is_found_before_anything_is_sent(damage: str, shop: Twins) -> None:
    shop.run("sync")
    [table] = shop.warehouse.tables()
    shop.warehouse.execute(damage.format(table=f"audience_sync.{table}"), "insert into vip values ('dan')")

    for command in ("plan", "sync"):
        done = shop.there.run(command, "--json")

        assert done.code == 3
        assert "is damaged" in done.audience("vip")["error"]
        assert "audience-sync resync vip" in done.audience("vip")["error"]
    assert len(calls(shop.there)) == 3

    assert shop.there.run("resync", "vip").code == 0
    assert shop.there.run("sync", "--json").audience("vip")["members"] == 4


def test_a_source_moves_over_and_back_without_a_call(shop: Twins) -> None:
    for compare in ("here", "in_warehouse", "here", "in_warehouse"):
        source = {"database": shop.warehouse.url, "compare": compare}
        shop.there.configure(sources={"warehouse": source}, audiences=[VIP])
        assert shop.there.run("sync").code == 0
        assert bool(stored_tables(shop.there)) == (compare == "in_warehouse")
    assert len(calls(shop.there)) == 3


def test_changes_while_a_source_was_compared_here_are_not_missed(shop: Twins) -> None:
    shop.run("sync")
    source = {"database": shop.warehouse.url, "compare": "here"}
    shop.there.configure(sources={"warehouse": source}, audiences=[VIP])
    shop.warehouse.execute("delete from vip where user_id = 'bob'")
    shop.run("sync")
    shop.configure(audiences=[VIP])
    shop.warehouse.execute("insert into vip values ('bob')")

    assert shop.run("sync", "--json").audience("vip")["entered"] == 1


def test_a_held_audience_of_several_is_left_out_of_the_table(twins: Twins) -> None:
    users = [f"user {number}" for number in range(10)]
    twins.warehouse.execute("create table lists (user_id text, audience text)")
    twins.warehouse.insert("lists", [(user, name) for user in users for name in ("A", "B")])
    twins.configure(audiences=[LISTS], guard={"at_least": 2})
    twins.run("sync")
    twins.warehouse.execute("delete from lists where audience = 'A'", "insert into lists values ('new', 'B')")

    twins.run("sync", code=4)
    twins.run("sync", code=4)
    assert twins.there.query("select left_out from source_states where left_out is not null") == [('["A"]',)]

    twins.warehouse.insert("lists", [(user, "A") for user in users[1:]])
    done = twins.run("sync", "--json")
    assert (done.audience("a")["left"], done.audience("b")["entered"]) == (1, 0)


def test_a_base_waits_for_every_audience_of_its_entry(twins: Twins) -> None:
    users = [f"user {number}" for number in range(10)]
    twins.warehouse.execute("create table lists (user_id text, audience text)")
    twins.warehouse.insert("lists", [(user, name) for user in users for name in ("A", "B")])
    twins.configure(audiences=[LISTS], guard={"at_least": 2})
    twins.run("sync")
    twins.run("undo", "1", "--yes")
    twins.run("freeze", "a")
    twins.run("sync", code=None)
    assert stored_tables(twins.there) == []

    twins.run("unfreeze", "a")
    twins.run("sync", code=None)
    twins.run("approve", "5", code=None)


def test_check_names_the_grant_that_is_missing(shop: Twins) -> None:
    shop.warehouse.execute("drop schema audience_sync cascade")

    done = shop.there.run("check", "--json")

    assert done.code == 3
    [message] = [each["message"] for each in json.loads(done.stdout)["checks"] if not each["good"]][:1]
    assert 'create schema if not exists "audience_sync"; grant usage, create on schema "audience_sync" to' in message


def test_check_leaves_no_table(shop: Twins) -> None:
    shop.warehouse.execute("create table audience_sync.sync_check_0 (nothing int)")  # of a check that was killed

    assert shop.there.run("check").code == 0
    assert shop.warehouse.tables() == []


REFUSED: dict[str, dict[str, Any]] = {
    "ids": {"audiences": [{**VIP, "ids": ["user_id", "email"]}]},
    "computed_traits[0].ids": {
        "computed_traits": [
            {"source": "warehouse", "query": "select 1", "traits": ["plan"], "ids": ["user_id", "email"]}
        ]
    },
    "aliases": {"audiences": [VIP], "aliases": [{"source": "warehouse", "query": "select 1"}]},
}


@pytest.mark.parametrize("option", REFUSED)
def test_what_a_warehouse_can_not_do_is_refused_by_name(option: str, shop: Twins) -> None:
    source = {"database": shop.warehouse.url, "compare": "in_warehouse"}
    shop.there.configure(sources={"warehouse": source}, **REFUSED[option])

    done = shop.there.run("check")

    assert done.code == 2
    assert option in done.stdout
    assert "in_warehouse" in done.stdout


def test_a_warehouse_of_files_or_of_another_database_is_refused(shop: Twins) -> None:
    shop.there.configure(sources={"warehouse": {"files": ".", "compare": "in_warehouse"}}, audiences=[VIP])
    assert "is for `database` sources" in shop.there.run("check").stdout

    shop.there.write("other.db", "")
    source = {"database": "sqlite:///other.db", "compare": "in_warehouse"}
    shop.there.configure(sources={"warehouse": source}, audiences=[VIP])
    refusal = " ".join(shop.there.run("check").stdout.split())
    assert (
        "is not possible in sqlite: only in bigquery, clickhousedb, databricks, postgresql, snowflake and trino"
        in refusal
    )


def test_a_warehouse_in_which_two_users_could_become_one_is_refused(shop: Twins) -> None:
    source = {"database": "redshift+psycopg2://user@host/shop", "compare": "in_warehouse"}
    shop.there.configure(sources={"warehouse": source}, audiences=[VIP])

    assert "is not possible in redshift: there, texts that differ only in spaces at the end are equal" in " ".join(
        shop.there.run("check").stdout.split()
    )


def test_check_finds_a_column_that_the_warehouse_can_not_compare(shop: Twins) -> None:
    shop.there.run("sync")
    source = {"database": shop.warehouse.url, "compare": "in_warehouse"}
    query = "select '[\"ada\"]'::jsonb -> 0 as user_id"
    shop.there.configure(sources={"warehouse": source}, audiences=[{**VIP, "query": query}])

    done = shop.there.run("check")

    assert done.code == 3
    assert "column 'user_id' has the type jsonb, which can't hold user ids" in " ".join(done.stdout.split())


def test_erase_names_the_warehouses_that_may_have_the_users(shop: Twins) -> None:
    shop.run("sync")
    assert shop.here.run("erase", "ada", "--json").json["warehouses"] == []
    assert shop.there.run("erase", "ada", "--json").json["warehouses"] == ["warehouse"]

    shop.run("sync")
    again = " ".join(shop.there.run("erase", "bob").stdout.split())
    assert "The last snapshots in warehouse may have them. The next run drops those tables" in again

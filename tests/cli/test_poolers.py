"""PostgreSQL behind PgBouncer: every command works in transaction mode, and statement mode is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import PostgreSQL
from sqlalchemy import NullPool, create_engine

from .conftest import Project

Pooled = Callable[..., str]
AUDIENCE = {"name": "VIP", "source": "shop", "file": "vip.csv"}


@pytest.fixture
def behind(new_vip: Project, postgresql: PostgreSQL, pooled: Pooled) -> Project:
    """The project with three members, and a store behind a pooler that gives every transaction another session."""
    new_vip.configure(store=pooled(postgresql.create()), audiences=[AUDIENCE], guard={"max_removed": "100%"})
    assert new_vip.run("db", "upgrade").code == 0
    return new_vip


def test_run_after_run_sends_the_changes_through_a_transaction_pooler(behind: Project) -> None:
    counts = []
    for members in (
        ["ada", "bob", "cyd"],
        ["ada", "bob"],
        ["ada", "bob", "dan"],
        ["ada", "bob", "dan", "eve"],
        ["ada"],
    ):
        behind.write_members("vip.csv", *members)
        counts.append(behind.sync().audience("vip")["members"])

    assert counts == [3, 2, 3, 4, 1]
    assert behind.sent() == [
        ("ada", {"vip": True}),
        ("bob", {"vip": True}),
        ("bob", {"vip": False}),
        ("cyd", {"vip": True}),
        ("cyd", {"vip": False}),
        ("dan", {"vip": True}),
        ("dan", {"vip": False}),
        ("eve", {"vip": True}),
        ("eve", {"vip": False}),
    ]


@pytest.mark.parametrize("size", [1, 2])
def test_a_small_pool_is_enough(new_vip: Project, postgresql: PostgreSQL, pooled: Pooled, size: int) -> None:
    new_vip.configure(store=pooled(postgresql.create(), size=size), audiences=[AUDIENCE])

    assert [new_vip.run("db", "upgrade").code, new_vip.sync().code, new_vip.sync().code] == [0, 0, 0]


def test_every_command_works_through_a_transaction_pooler(behind: Project) -> None:
    commands = (
        ("check",),
        ("plan",),
        ("sync",),
        ("show", "1"),
        ("history",),
        ("members", "vip"),
        ("explain", "ada"),
        ("undo", "1", "--yes"),
        ("freeze", "vip"),
        ("unfreeze", "vip"),
        ("reject", "2", "vip"),
        ("seed", "vip"),
        ("resync",),
        ("retry",),
        ("suppress", "bob"),
        ("unsuppress", "bob"),
        ("erase", "cyd"),
        ("db", "upgrade"),
        ("db", "current"),
        ("db", "check"),
        ("retire", "vip", "--yes"),
    )
    ended = {" ".join(command): behind.run(*command) for command in commands}

    assert {name: result.stderr for name, result in ended.items() if "failed" in result.stderr} == {}
    assert {name: result.code for name, result in ended.items() if result.code in (1, 3)} == {}


def test_a_store_is_copied_through_a_pooler(behind: Project, postgresql: PostgreSQL, pooled: Pooled) -> None:
    behind.sync()

    copied = behind.run("db", "copy", pooled(postgresql.create()))

    assert (copied.code, copied.stderr) == (0, "")


def test_a_source_is_read_through_a_transaction_pooler(vip: Project, postgresql: PostgreSQL, pooled: Pooled) -> None:
    url = postgresql.create()
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql("create table people as select n as id from generate_series(1, 20000) n")
    audiences = [
        {"name": f"First {most}", "source": "shop", "query": f"select id as user_id from people where id <= {most}"}
        for most in (1, 2, 3, 4, 5, 6, 12_000)
    ]
    vip.configure(sources={"shop": {"database": pooled(url, size=1)}}, audiences=audiences)

    assert [vip.sync().code, vip.sync().code] == [0, 0]
    assert vip.query("select members_after from audience_syncs where run = 1 order by members_after") == [
        (1,),
        (2,),
        (3,),
        (4,),
        (5,),
        (6,),
        (12_000,),
    ]


def test_a_store_behind_a_statement_pooler_is_refused(new_vip: Project, postgresql: PostgreSQL, pooled: Pooled) -> None:
    new_vip.configure(store=pooled(postgresql.create(), "statement"), audiences=[AUDIENCE])

    refused = new_vip.run("sync")

    assert refused.code == 3
    assert " ".join(refused.stderr.split()).endswith(
        "can't be used: the pooler before it is in statement mode, which refuses transactions. Nothing was done. Write "
        "`pool_mode = transaction` (or `session`) for this database in pgbouncer.ini, or give the address of "
        "PostgreSQL itself."
    )


def test_a_parameter_that_the_pooler_refuses_is_named(new_vip: Project, postgresql: PostgreSQL, pooled: Pooled) -> None:
    address = f"{pooled(postgresql.create())}?options=-csearch_path%3Dpublic"
    new_vip.configure(store=address, audiences=[AUDIENCE])

    refused = new_vip.run("sync")

    assert refused.code == 3
    assert "the pooler before it refuses the parameter `options` of the address. Nothing was done." in refused.stderr


def test_a_source_behind_a_statement_pooler_fails_alone(vip: Project, postgresql: PostgreSQL, pooled: Pooled) -> None:
    sources = {"shop": {"files": "."}, "crm": {"database": pooled(postgresql.create(), "statement")}}
    query = {"name": "Crm", "source": "crm", "query": "select 'ada' as user_id"}
    vip.configure(sources=sources, audiences=[AUDIENCE, query])

    run = vip.sync()

    assert [(each["key"], each["status"]) for each in run.json["audiences"]] == [("vip", "created"), ("crm", "failed")]
    assert "the pooler before it is in statement mode, which refuses transactions. Write" in run.stdout

"""A run that is killed at any point of the protocol leaves no table, and the next one sends what a twin sends."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from cli.conftest import Project
from conftest import PostgreSQL

from .conftest import Twins, Warehouse
from .kills import MOST_DELTAS, POINTS, was_killed

#: `Gold` comes first, and claims a member of the other.
AUDIENCES = [
    {"name": name, "source": "warehouse", "query": f"select user_id from {name.lower()}"} for name in ("Gold", "VIP")
]
CLAIM = "insert into gold select user_id from vip order by user_id desc limit 1 offset 1"
DAYS = count(1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, sqlite_schema: Path, postgresql: PostgreSQL) -> Iterator[Twins]:
    """Twins with twenty members in a priority group, after their first run. All tests of a worker go on with them."""
    url = postgresql.create()
    projects = [Project(tmp_path_factory.mktemp(name)) for name in ("here", "there")]
    for project in projects:
        shutil.copy(sqlite_schema, project.store)
    twins = Twins(projects[0], projects[1], Warehouse(url))
    twins.warehouse.execute("create table vip (user_id text)", "create table gold (user_id text)", CLAIM)
    twins.warehouse.insert("vip", [(f"user {number}",) for number in range(20)])
    twins.configure(audiences=AUDIENCES, priority_groups={"campaign": ["Gold", "VIP"]})
    twins.run("sync")
    yield twins
    postgresql.drop(url)


def change(warehouse: Warehouse) -> None:
    """Let two users leave, three others enter, and the earlier audience claim another one than before."""
    leave = "delete from vip where user_id in (select min(user_id) from vip union select max(user_id) from vip)"
    warehouse.execute(leave)
    warehouse.insert("vip", [(f"guest {next(DAYS):04}",) for _ in range(3)])
    warehouse.execute("delete from gold", CLAIM)


def kill_both(twins: Twins, point: str) -> None:
    """Kill a run of each. The one that fetches everything is killed when it has committed as much as the other."""
    assert was_killed(point, "sync", folder=twins.there.folder, environment=twins.there.environment), point
    alike = point if point == "after transaction" else "before lease"
    assert was_killed(alike, "sync", folder=twins.here.folder, environment=twins.here.environment)


def require_no_other_tables(twins: Twins) -> None:
    """The schema has the tables that the store names, and no other one: a run drops what those before it left."""
    named = twins.named_tables()
    twins.run("sync")
    if twins.named_tables() != named:  # that run has replaced some by a base
        twins.run("sync")
    assert twins.warehouse.tables() == twins.named_tables()
    gold = twins.here.query("select user_id from audience_members where audience_key = 'gold'")
    assert twins.there.query("select user_id from claimed_users") == gold


@pytest.mark.parametrize("point", POINTS)
def test_the_run_after_a_kill_sends_what_is_left_to_send(point: str, shop: Twins) -> None:
    if "fold" in point:
        for _ in range(MOST_DELTAS):
            change(shop.warehouse)
            shop.run("sync")
    if "sweep" in point:
        kill_both(shop, "kept create")
    change(shop.warehouse)

    kill_both(shop, point)
    shop.run("sync")

    require_no_other_tables(shop)


def test_two_kills_one_after_another_are_no_worse_than_one(shop: Twins) -> None:
    for point in ("kept create", "within stream", "after commit"):
        change(shop.warehouse)
        kill_both(shop, point)
    shop.run("sync")

    require_no_other_tables(shop)

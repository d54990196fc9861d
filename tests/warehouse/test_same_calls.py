"""A snapshot that the warehouse compares changes and sends exactly what one that is fetched does."""

from __future__ import annotations

import random
from typing import Any

import pytest

from .conftest import Twins

VIP = {"name": "VIP", "source": "warehouse", "query": "select user_id from vip", "guard": {"at_least": 5}}
LISTS = {"names_from": "audience", "source": "warehouse", "query": "select user_id, audience from lists"}


def test_first_run_sends_everyone_and_the_next_ones_only_changes(twins: Twins) -> None:
    twins.warehouse.execute("create table vip (user_id text)", "insert into vip values ('ada'), ('bob'), ('cyd')")
    twins.configure(audiences=[VIP])
    assert twins.run("sync", "--json").audience("vip")["entered"] == 3

    twins.warehouse.execute("delete from vip where user_id = 'bob'", "insert into vip values ('dan')")
    done = twins.run("sync", "--json").audience("vip")

    assert (done["entered"], done["left"], done["members"]) == (1, 1, 3)
    assert twins.run("sync", "--json").audience("vip")["status"] == "unchanged"


def test_a_held_snapshot_is_compared_with_the_one_before_it(twins: Twins) -> None:
    users = ", ".join(f"('user {number}')" for number in range(20))
    twins.warehouse.execute("create table vip (user_id text)", f"insert into vip values {users}")
    twins.configure(audiences=[VIP])
    twins.run("sync")
    twins.warehouse.execute("delete from vip where user_id like 'user 1%'")

    twins.run("sync", code=4)
    twins.run("sync", code=4)
    twins.run("approve", "2")

    assert twins.there.query("select count(*) from audience_members") == [(9,)]


def test_many_changes_that_are_held_are_decided_as_if_they_were_fetched(twins: Twins) -> None:
    """A warehouse reports how many they are, and a sample, until a person approves them."""
    users = "select 'user ' || i, '{}' from generate_series({}, {}) i"
    twins.warehouse.execute("create table lists (user_id text, audience text)")
    twins.warehouse.execute(*(f"insert into lists {users.format(name, 1, 16_000)}" for name in "AB"))
    twins.configure(audiences=[{**LISTS, "initial": "none"}])
    twins.run("sync")
    twins.warehouse.execute("delete from lists where audience = 'A' and right(user_id, 1) < '7'")
    twins.warehouse.execute("delete from lists where audience = 'B' and right(user_id, 3) = '007'")

    assert twins.run("sync", "--json", code=4).audience("b")["left"] == 15
    twins.warehouse.execute("insert into lists values ('new', 'A'), ('new', 'B')")
    assert twins.run("sync", "--json", code=4).audience("b")["entered"] == 1  # a is held as by the run before
    twins.run("reject", "2")
    twins.run("sync", code=4)
    assert twins.run("approve", "4", "--json").audience("a")["left"] == 11_200
    assert twins.run("sync", "--json").audience("a")["status"] == "unchanged"
    twins.warehouse.execute("delete from lists where audience = 'A'")
    twins.run("sync", code=4)
    twins.warehouse.execute(f"insert into lists {users.format('A', 1, 8_000)}")
    twins.run("sync", code=None)
    twins.run("sync", "--accept", "a")

    assert twins.run("sync", "--json").audience("a")["members"] == 8_000


def test_after_an_undo_everything_is_compared_again(twins: Twins) -> None:
    twins.warehouse.execute("create table vip (user_id text)", "insert into vip values ('ada'), ('bob'), ('cyd')")
    twins.configure(audiences=[VIP])
    twins.run("sync")
    twins.warehouse.execute("insert into vip values ('dan')")
    twins.run("sync")

    twins.run("undo", "2", "--yes")
    twins.run("sync", code=4)  # dan is still in the source
    done = twins.run("approve", "4", "--json").audience("vip")

    assert (done["entered"], done["members"]) == (1, 4)


def test_rows_without_a_valid_id_are_counted_in_every_run(twins: Twins) -> None:
    twins.warehouse.execute("create table vip (user_id text)")
    twins.warehouse.insert("vip", [("ada",), (None,), (None,), ("",), (" \u3000",), ("x" * 2_501,), ("é" * 1_250,)])
    twins.configure(audiences=[VIP])

    assert twins.run("sync", "--json").audience("vip")["invalid"] == 5
    assert twins.run("sync", "--json").audience("vip")["invalid"] == 5
    reasons = "select reason, count(*) from invalid_rows where run = 2 group by 1 order by 1"
    assert twins.there.query(reasons) == twins.here.query(reasons)


@pytest.mark.parametrize("entry", [VIP, {**LISTS, "query": "select user_id, 'VIP' as audience from vip"}])
def test_a_snapshot_with_too_few_rows_is_not_used(entry: dict[str, Any], twins: Twins) -> None:
    traits = {"source": "warehouse", "query": "select user_id, 1 as score from vip", "traits": ["score"]}
    twins.warehouse.execute(
        "create table vip (user_id text)", "insert into vip values ('ada'), ('ada'), ('bob'), (null)"
    )
    few = {"expect": {"rows": 5}}
    twins.configure(audiences=[{**entry, **few}], computed_traits=[{**traits, **few}])
    done = twins.run("sync", code=3)
    assert done.stdout.count("the snapshot has 4 rows, and `expect.rows` requires at least 5") == 2

    twins.warehouse.execute("insert into vip values ('ada')")
    twins.run("sync")
    twins.run("plan", "--json")
    twins.warehouse.execute("delete from vip where user_id = 'bob'")
    twins.run("plan", "--json", code=None)
    twins.run("sync", code=3)
    twins.warehouse.execute("insert into vip values (null)")
    assert twins.run("sync", "--json").audience("vip")["left"] == 1


def _change(twins: Twins, chance: random.Random) -> str:
    """A random change of the source's rows, or a command between two runs."""
    user, name = f"user {chance.randrange(30)}", chance.choice(["A", "B", "C c"])
    some = f"user_id like 'user {chance.randrange(3)}%'"
    statement = chance.choice(
        [
            f"insert into vip values ('{user}')",
            f"insert into lists values ('{user}', '{name}')",
            f"insert into lists values ('{user}', '{name}')",
            f"delete from vip where user_id = '{user}'",
            f"delete from lists where user_id = '{user}'",
            f"delete from lists where audience = '{name}' and {some}",
            f"delete from vip where {some}",
            "insert into vip values (null), ('')",
            f"insert into lists values ('{user}', null), (null, '{name}')",
            "delete from vip where coalesce(user_id, '') = ''",
            f"delete from lists where audience = '{name}'",
            "delete from vip",
        ]
    )
    twins.warehouse.execute(statement)
    return statement


COMMANDS: list[list[str]] = [
    ["sync", "vip"],
    ["sync", "a"],
    ["undo", "{run}", "--yes"],
    ["undo", "{before}", "--yes"],
    ["approve", "{run}"],
    ["reject", "{run}"],
    ["resync"],
    ["resync", "vip"],
    ["erase", "user 3"],
    ["unsuppress", "user 3"],
    ["suppress", "user 4"],
    ["unsuppress", "user 4"],
    ["freeze", "vip"],
    ["unfreeze", "vip"],
    ["freeze", "b"],
    ["unfreeze", "b"],
    ["plan", "--json"],
    ["seed", "vip", "--yes"],
]


def _options(chance: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if chance.random() < 0.3:
        found["holdout"] = chance.choice(["10%", "50%"])
    if chance.random() < 0.3:
        found["min_stay"] = chance.choice(["2 runs", "3 runs"])
    return found


@pytest.mark.parametrize("seed", range(1))
def test_random_days_are_those_of_a_source_that_is_fetched(seed: int, twins: Twins) -> None:
    chance = random.Random(seed)
    twins.warehouse.execute("create table vip (user_id text)", "create table lists (user_id text, audience text)")
    users = [f"user {number}" for number in range(30)]
    twins.warehouse.insert("vip", [(user,) for user in users[:20]])
    twins.warehouse.insert("lists", [(user, chance.choice(["A", "B"])) for user in users])
    guard = {"max_removed": "30%", "at_least": 5}
    options: dict[str, Any] = {}
    twins.configure(audiences=[VIP, LISTS], guard=guard)
    log = []
    for day in range(1, 21):
        if chance.random() < 0.2:
            options = _options(chance)
            twins.configure(audiences=[{**VIP, **options}, {**LISTS, **options}], guard=guard)
            log.append(f"configure {options}")
        log += [_change(twins, chance) for _ in range(chance.randrange(3))]
        arguments = ["sync"] if chance.random() < 0.6 else chance.choice(COMMANDS)
        last = twins.here.query("select coalesce(max(run), 0) from sync_runs")[0][0] if day > 1 else 0
        log.append(" ".join(arguments))
        try:
            done = twins.run(*(each.format(run=last, before=max(last - 1, 1)) for each in arguments), code=None)
            assert "Help:" not in done.stderr, done.stderr
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *log])) from None


def test_an_erased_user_who_is_let_in_again_enters(twins: Twins) -> None:
    twins.warehouse.execute("create table vip (user_id text)", "insert into vip values ('ada'), ('bob'), ('cyd')")
    twins.configure(audiences=[VIP])
    twins.run("sync")
    twins.run("erase", "bob")
    twins.run("sync")
    twins.run("unsuppress", "bob")

    assert twins.run("sync", "--json").audience("vip")["entered"] == 1

"""A priority group sends the same calls whether the source of an audience is compared in a warehouse or here."""

from __future__ import annotations

import random
from typing import Any

import pytest

from .conftest import Twins

#: `seen` is fetched by both twins.
SOURCES = {"gold": "warehouse", "seen": "fetched", "silver": "warehouse", "rest": "warehouse"}
GUARD = {"at_least": 100_000}
CLAIMED = "select key, user_id from claimed_users join properties on id = property_id order by 1, 2"


def configure(twins: Twins, *group: str, guard: Any = None, **own: dict[str, Any]) -> None:
    """Audiences in a group of this order. ``own``: what some have beside that."""
    twins.configure(
        audiences=[
            {"name": name, "source": source, "query": f"select user_id from {name}", **own.get(name, {})}
            for name, source in SOURCES.items()
        ],
        priority_groups={"campaign": list(group)} if group else {},
        guard=guard or GUARD,
    )


def write(twins: Twins, **audiences: str) -> None:
    """Replace the users of these audiences, which are separated by spaces. None is empty: each has itself as a user."""
    for name, users in audiences.items():
        twins.warehouse.execute(f"delete from {name}")
        twins.warehouse.insert(name, [(user,) for user in [name, *users.split()]])


def members(twins: Twins) -> dict[str, str]:
    """By audience, the users other than itself."""
    rows = twins.there.query(
        "select audience_key, user_id from audience_members where user_id <> audience_key order by 1, 2"
    )
    return {key: " ".join(user for of, user in rows if of == key) for key in dict.fromkeys(of for of, _ in rows)}


@pytest.fixture
def group(twins: Twins) -> Twins:
    """`gold` before `seen` before `silver` before `rest`, after their first run."""
    twins.warehouse.execute(*(f"create table {name} (user_id text)" for name in SOURCES))
    write(twins, gold="ada bob", seen="bob cyd", silver="cyd dan", rest="ada bob cyd dan eve")
    configure(twins, *SOURCES)
    twins.run("sync", "--json")
    return twins


def test_who_leaves_an_audience_enters_a_later_one_whose_rows_have_not_changed(group: Twins) -> None:
    assert members(group) == {"gold": "ada bob", "seen": "cyd", "silver": "dan", "rest": "eve"}
    write(group, gold="ada", seen="")

    done = group.run("sync", "--json")

    assert members(group) == {"gold": "ada", "silver": "cyd dan", "rest": "bob eve"}
    assert (done.audience("rest")["entered"], done.audience("silver")["entered"]) == (1, 1)
    assert group.there.query(CLAIMED) == [("rest", "ada"), ("rest", "cyd"), ("rest", "dan")]


def test_who_enters_an_audience_leaves_later_ones_and_is_back_afterwards_if_the_source_has_them(group: Twins) -> None:
    write(group, gold="ada bob dan eve fay", rest="ada bob cyd dan fay")  # eve leaves one and enters the other
    group.run("sync", "--json")
    assert members(group) == {"gold": "ada bob dan eve fay", "seen": "cyd"}

    write(group, gold="", rest="bob cyd dan fay")  # without ada
    group.run("sync", "--json")
    assert members(group) == {"seen": "bob cyd", "silver": "dan", "rest": "fay"}
    write(group, gold="bob")
    group.run("sync", "--json")
    assert members(group) == {"gold": "bob", "seen": "cyd", "silver": "dan", "rest": "fay"}


def test_who_is_missing_or_held_out_and_claimed_is_afterwards_what_the_source_says(group: Twins) -> None:
    configure(group, *SOURCES, rest={"min_stay": "9 runs", "holdout": "50%"})
    write(group, rest="eve fay gus hal ian jay")
    group.run("sync")
    write(group, rest="hal ian jay")
    group.run("sync")
    both = "select user_id from audience_members where audience_key = 'rest' union select user_id from held_out_members"
    assert len(group.there.query(both)) > 4  # of the three who are missing, those stay who are not held out
    for gold in ("eve fay gus hal ian jay", ""):
        write(group, gold=gold)
        group.run("sync")
    assert group.there.query(f"{both} order by 1") == [("hal",), ("ian",), ("jay",), ("rest",)]


def test_what_a_guard_holds_stays_with_its_audience(group: Twins) -> None:
    configure(group, *SOURCES, guard={"max_removed": "40%", "at_least": 1})
    write(group, gold="ada bob eve")
    group.run("sync", "--json", code=4)
    assert members(group) == {"gold": "ada bob eve", "seen": "cyd", "silver": "dan", "rest": "eve"}
    claimed = group.there.query(CLAIMED)
    write(group, rest="ada bob dan", silver="eve cyd dan")

    group.run("sync", "--json", code=4)
    assert group.there.query(CLAIMED) == [*claimed, ("silver", "eve")]
    group.run("approve", "3")
    assert members(group) == {"gold": "ada bob eve", "seen": "cyd", "silver": "dan"}


def test_many_changes_of_a_later_audience_are_guarded_without_those_who_are_claimed(group: Twins) -> None:
    """The warehouse can't decide on counts: whom an earlier audience claims is neither new nor gone."""
    users = "select 'user ' || i from generate_series(1, 12000) i"
    configure(group, *SOURCES, guard={"max_added": 1000, "at_least": 1})
    group.warehouse.execute(f"insert into gold {users}")
    group.run("sync", "--accept", "gold")
    group.warehouse.execute(f"insert into rest {users}")

    done = group.run("sync", "--json").audience("rest")
    assert (done["status"], done["entered"], len(group.there.query(CLAIMED))) == ("unchanged", 0, 12_005)


def test_a_resync_forgets_whom_earlier_audiences_no_longer_claim(group: Twins) -> None:
    write(group, gold="ada bob", seen="", rest="bob cyd dan eve")
    group.run("resync")
    assert group.there.query(CLAIMED) == [("rest", "bob"), ("rest", "cyd"), ("rest", "dan")]
    write(group, gold="", silver="")
    group.run("sync", "--json")
    assert members(group) == {"rest": "bob cyd dan eve"}


def test_a_source_moves_over_and_back_within_a_group(group: Twins) -> None:
    for compare in ("here", "in_warehouse"):
        group.configure_there(compare)
        write(group, gold="ada bob eve" if compare == "here" else "ada")
        group.run("sync", "--json")
        assert bool(group.there.query(CLAIMED)) == (compare == "in_warehouse")
    assert members(group) == {"gold": "ada", "seen": "bob cyd", "silver": "dan", "rest": "eve"}


def test_the_store_is_whole_and_a_retired_audience_claims_nobody(group: Twins) -> None:
    assert group.there.run("db", "check").code == 0
    group.run("retire", "gold", "--yes")
    group.run("sync", "--json")
    assert members(group) == {"rest": "ada eve", "seen": "bob cyd", "silver": "dan"}
    assert group.there.run("db", "check").code == 0
    group.run("retire", "rest", "--yes")
    assert "rest" not in {key for key, _ in group.there.query(CLAIMED)}


COMMANDS: list[list[str]] = [
    *(["sync", name] for name in SOURCES),
    *(["freeze", name] for name in SOURCES),
    *(["unfreeze", name] for name in SOURCES),
    *(["resync", name] for name in SOURCES),
    ["resync"],
    ["undo", "{run}", "--yes"],
    ["undo", "{before}", "--yes"],
    ["approve", "{run}"],
    ["approve", "{run}"],
    ["reject", "{run}"],
    ["erase", "user 3"],
    ["unsuppress", "user 3"],
    ["suppress", "user 4"],
    ["unsuppress", "user 4"],
    ["plan", "--json"],
    ["seed", "silver", "--yes"],
    ["retire", "seen", "--yes"],
]
OPTIONS: list[dict[str, Any]] = [{"holdout": "40%"}, {"min_stay": "2 runs"}, {"min_stay": "3 runs", "holdout": "10%"}]


def _change(twins: Twins, chance: random.Random) -> str:
    """A random change of the source's rows."""
    name, user, some = chance.choice([*SOURCES]), f"user {chance.randrange(25)}", chance.randrange(3)
    statement = chance.choice(
        [
            f"insert into {name} values ('{user}')",
            f"insert into {name} values ('{user}'), ('user {chance.randrange(25)}')",
            f"delete from {name} where user_id = '{user}'",
            f"delete from {name} where user_id like 'user {some}%'",
            f"insert into {name} values (null)",
            f"insert into {name} select 'user ' || i from generate_series(0, {chance.randrange(25)}) i",
        ]
    )
    twins.warehouse.execute(statement)
    return statement


@pytest.mark.parametrize("seed", range(1))
def test_random_days_of_a_group_are_those_of_sources_that_are_fetched(seed: int, twins: Twins) -> None:
    chance = random.Random(seed)
    twins.warehouse.execute(*(f"create table {name} (user_id text)" for name in SOURCES))
    for name in SOURCES:
        twins.warehouse.insert(name, [(f"user {number}",) for number in range(25) if chance.random() < 0.6])
    guard = {"max_removed": "60%", "at_least": 3}
    own: dict[str, Any] = {"silver": {"initial": "manual"}}
    configure(twins, *SOURCES, guard=guard, **own)
    log = []
    for day in range(1, 10):
        if chance.random() < 0.3:
            order = chance.sample([*SOURCES], chance.choice([0, 2, 4, 4]))
            own = {**own, chance.choice([*SOURCES]): chance.choice([*OPTIONS, {}])}
            configure(twins, *order, guard=guard, **own)
            log.append(f"configure {order} {own}")
        if chance.random() < 0.1:
            compare = chance.choice(["here", "in_warehouse"])
            twins.configure_there(compare)
            log.append(compare)
        log += [_change(twins, chance) for _ in range(chance.randrange(4))]
        arguments = ["sync"] if chance.random() < 0.6 else chance.choice(COMMANDS)
        last = twins.here.query("select coalesce(max(run), 0) from sync_runs")[0][0] if day > 1 else 0
        log.append(" ".join(arguments))
        try:
            done = twins.run(*(each.format(run=last, before=max(last - 1, 1)) for each in arguments), code=None)
            assert "Help:" not in done.stderr, done.stderr
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *log])) from None
    assert twins.there.run("db", "check").code == 0


def test_a_moved_key_keeps_its_place_in_the_group(group: Twins) -> None:
    audiences = [
        {"name": name, "source": source, "query": f"select user_id from {name}"} for name, source in SOURCES.items()
    ]
    audiences[-1]["key"] = "all"
    group.configure(audiences=audiences, priority_groups={"campaign": [*SOURCES]}, guard=GUARD)
    group.run("sync", "--move-key", "rest=all")
    assert {key for key, _ in group.there.query(CLAIMED)} == {"silver", "all"}
    write(group, gold="ada", seen="")
    group.run("sync", "--json")
    assert members(group)["all"] == "bob eve rest"
    group.there.run("db", "copy", "sqlite:///copy.db")
    assert group.there.run("db", "check").code == 0

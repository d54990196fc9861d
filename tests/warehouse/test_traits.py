"""Computed traits that the warehouse compares are sent exactly as those of a source that is fetched."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from .conftest import Twins, calls

PEOPLE = {
    "source": "warehouse",
    "query": "select * from people",
    "traits": ["plan", "revenue"],
    "guard": {"max_removed": "50%", "at_least": 5},
}
#: By type, values in SQL. Several are the same value of a trait, have none, or are invalid.
VALUES = {
    "text": ["'pro'", "'Pro'", "''", "'é'", "E'a\\nb\"c'", "'null'", "'5'", "' x '"],
    "varchar(9)": ["'pro'", "'5'", "''"],
    "char(5)": ["'pro'", "'adam5'", "''"],
    "name": ["'pro'", "'x'"],
    '"char"': ["'p'", "'q'"],
    "color": ["'red'", "'blue'"],
    "label": ["'one'", "'two'"],
    "uuid": ["'7E1D2C3B-0000-4000-8000-00000000000a'", "'7e1d2c3b-0000-4000-8000-00000000000b'"],
    "boolean": ["true", "false"],
    "smallint": ["1", "-7"],
    "bigint": ["9223372036854775807", "0"],
    "numeric": ["1.5", "1.50", "0.1", "'NaN'", "'Infinity'", "1e40", "1e1200", "-0"],
    "numeric(10, 2)": ["1.5", "2", "0.10"],
    "double precision": ["1.5", "0.1", "1e300", "'NaN'", "'-Infinity'", "-0.0", "0", "1e15"],
    "real": ["1.5", "0.1", "16777217", "'NaN'"],
    "date": ["'2026-05-01'", "'infinity'", "'10000-01-01'", "'0044-03-15 BC'", "'0001-01-01'"],
    "timestamp": ["'2026-05-01 10:00'", "'2026-05-01 10:00:00.0004'", "'-infinity'", "'12000-01-01 00:00'"],
    "timestamptz": ["'2026-05-01 10:00+02'", "'2026-05-01 08:00+00'", "'2026-05-01 08:00:00.001+00'", "'infinity'"],
    "timestamptz(3)": ["'2026-05-01 10:00+02'", "'0001-01-01 00:00+14'"],
    "time": ["'10:00'", "'24:00:00'"],
    "timetz": ["'10:00+02'", "'10:00+01'"],
    "interval": ["'1 month 2 days'", "'32 days'"],
    "json": [
        """'{"a": 1}'""",
        """'{"a":1}'""",
        """'{"a": 1.0}'""",
        """'"\\ud800"'""",
        "'null'",
        "'[1, [2]]'",
        "'1e999'",
    ],
    "jsonb": ["""'{"b": [1, null]}'""", """'{"b":[1,null] }'""", "'true'", "'{}'"],
    "integer[]": ["'{1, 2}'", "'{2, 1}'", "'{}'", "'{null, 1}'"],
    "text[]": ["""'{a, "b,c"}'""", """'{a, b, c}'""", "'{NULL}'"],
    "timestamptz[]": ["'{2026-05-01 10:00+02}'", "'{2026-05-01 08:00+00}'"],
    "numeric(10, 2)[]": ["'{1.5}'", "'{1.50, 2}'"],
    "int4range": ["'[1,5)'", "'[1,4]'", "'empty'"],
    "inet": ["'10.0.0.1'", "'10.0.0.1/24'"],
    "money": ["1.5", "2"],
    "point_xy": ["'(1,a)'", "'(1,)'"],
    "tsvector": ["'a b'", "'b:1'"],
}
TYPES = [
    "create type color as enum ('red', 'blue')",
    "create domain label as text",
    "create type point_xy as (x integer, y text)",
]


@pytest.fixture
def people(twins: Twins) -> Twins:
    """Twins with the values of ada, bob and cyd, before their first run."""
    twins.warehouse.execute(
        "create table people (user_id text, plan text, revenue numeric)",
        "insert into people values ('ada', 'pro', 7), ('bob', 'free', null), ('cyd', null, 1.50)",
    )
    twins.configure(computed_traits=[PEOPLE])
    return twins


def states(twins: Twins) -> list[tuple[str, str | None, str | None]]:
    """The kinds of the tables that the store names, with what they leave out and reread."""
    return twins.there.query("select kind, left_out, reread from source_states order by id")


def traits(twins: Twins, *arguments: str, code: int | None = 0) -> dict[str, Any]:
    """The traits in the answer of `sync`."""
    found: dict[str, Any] = twins.run("sync", "--json", *arguments, code=code).json["traits"]
    return found


def test_first_run_sends_everyone_and_the_next_ones_only_changes(people: Twins) -> None:
    assert traits(people)["changed"] == 3
    people.warehouse.execute(
        "update people set revenue = 8 where user_id = 'ada'",
        "delete from people where user_id = 'bob'",
        "insert into people values ('dan', 'pro', 3)",
    )

    assert traits(people)["changed"] == 3
    assert traits(people)["changed"] == 0
    assert states(people) == [("base", None, None), ("delta", None, None)]


def test_values_of_any_type_are_those_of_a_source_that_is_fetched(twins: Twins) -> None:
    columns, keys = ", ".join(f"c{n} {kind}" for n, kind in enumerate(VALUES)), [f"c{n}" for n in range(len(VALUES))]
    twins.warehouse.execute(*TYPES, f"create table people (user_id text, {columns})")
    twins.configure(computed_traits=[{**PEOPLE, "traits": keys}], guard={"max_removed": "100%"})
    for day in range(4):  # each user gets the values of the next one
        values = [[*each, "null"] for each in VALUES.values()]
        rows = [", ".join(each[(day + user) % len(each)] for each in values) for user in range(9)]
        twins.warehouse.execute(
            "delete from people",
            *(f"insert into people values ('user {user}', {row})" for user, row in enumerate(rows)),
            f"insert into people values ('user 0', {rows[day]})",
        )
        assert traits(twins)["errors"] == []
        assert traits(twins)["changed"] == 0


def test_rows_of_a_user_that_differ_are_counted_in_every_run(people: Twins) -> None:
    people.warehouse.execute("insert into people values ('ada', 'pro', 7), ('bob', 'max', 1), ('bob', 'max', 1)")

    for _ in range(2):
        done = people.run("sync")
        assert "1 user has rows with different values" in done.stdout
        assert "1 user has rows with different values" in people.run("plan").stdout
    people.warehouse.execute("delete from people where plan = 'max'")
    people.run("sync")

    assert states(people)[-1] == ("delta", None, None)
    assert people.there.query("select value from trait_values where user_id = 'bob'") == [('"free"',)]


def test_invalid_values_and_rows_are_counted_in_every_run(people: Twins) -> None:
    people.warehouse.execute(
        "alter table people add since date",
        "update people set since = '10000-01-01' where user_id = 'bob'",
        "insert into people values (null, 'pro', 1, null), ('', 'pro', 1, null), (null, 'pro', 2, '10000-01-01')",
    )
    people.configure(computed_traits=[{**PEOPLE, "traits": ["plan", "since"]}])

    assert [traits(people)["invalid"] for _ in range(3)] == [4, 4, 4]
    assert states(people)[-1][2] == '["bob"]'


def test_with_many_users_to_read_again_everything_is_fetched(people: Twins) -> None:
    people.warehouse.execute(
        "insert into people select 'user ' || i / 2, 'plan ' || i, 1 from generate_series(2, 2201) i"
    )

    assert "1,000 users have invalid values, or several rows that differ" in people.run("sync").stdout
    assert states(people) == []
    people.warehouse.execute("delete from people where user_id = 'bob'")
    assert traits(people)["changed"] == 1


def test_a_held_trait_is_compared_with_the_values_before_it(people: Twins) -> None:
    people.warehouse.execute("insert into people select 'user ' || i, 'pro', i from generate_series(1, 20) i")
    people.run("sync")
    people.warehouse.execute("update people set plan = null, revenue = 5 where user_id like 'user 1%'")
    people.warehouse.execute("update people set plan = null where user_id like 'user %'")

    people.run("sync", code=4)
    assert states(people) == [("base", None, None), ("delta", '["plan"]', None)]
    people.warehouse.execute("update people set revenue = 15 where user_id = 'user 15'")  # as before the held run
    assert traits(people, code=4)["changed"] == 1
    people.warehouse.execute("update people set plan = 'pro' where user_id = 'user 3'")
    people.run("sync", code=4)
    people.run("approve", "4")
    people.run("sync")

    assert {left_out for _, left_out, _ in states(people)} == {None}
    assert people.there.query("select count(*) from trait_values where trait_key = 'plan'") == [(3,)]


def test_an_empty_snapshot_is_held(people: Twins) -> None:
    people.warehouse.execute("insert into people values ('eve', null, null)")
    people.run("sync")
    people.warehouse.execute("delete from people where user_id <> 'eve'")
    people.run("sync")
    people.warehouse.execute("delete from people", "insert into people values ('ada', 'pro', 1)")
    people.run("sync")
    people.warehouse.execute("delete from people")

    done = people.run("sync", code=4)

    assert "the new snapshot is empty" in done.stdout


@pytest.mark.parametrize(
    "change",
    [
        {"traits": ["plan"]},
        {"traits": ["plan", "revenue", {"column": "revenue", "name": "Again"}]},
        {"traits": ["plan", {"column": "revenue", "type": "text"}]},
        {"traits": [{"column": "revenue", "key": "plan"}, {"column": "plan", "key": "revenue"}]},
        {"query": "select user_id, plan, cast(revenue as text) as revenue from people"},
        {"query": "select * from people where user_id <> 'ada'"},
        {"query": "select user_id, 'pro' as plan, revenue from people"},
        {"query": "select plan as user_id, user_id as plan, revenue from people"},
    ],
)
def test_a_changed_entry_is_compared_anew(change: dict[str, Any], people: Twins) -> None:
    people.run("sync")
    people.configure(computed_traits=[{**PEOPLE, **change}])

    people.run("sync", code=None)
    people.run("sync", code=None)

    assert traits(people, code=None)["changed"] == 0


def test_a_trait_approved_alone_does_not_hide_changes_of_the_others(people: Twins) -> None:
    people.warehouse.execute("insert into people select 'user ' || i, 'pro', i from generate_series(1, 20) i")
    people.run("sync")
    people.warehouse.execute("update people set plan = null, revenue = null")
    people.run("sync", code=4)
    people.run("approve", "2", "plan", code=None)
    people.warehouse.execute("update people set plan = 'pro', revenue = 30 where user_id like 'user %'")

    assert traits(people)["changed"] == 22
    assert {left_out for _, left_out, _ in states(people)} == {None}


def test_users_who_left_stay_held_for_the_other_traits_after_one_was_approved(people: Twins) -> None:
    people.warehouse.execute("insert into people select 'user ' || i, 'pro', i from generate_series(1, 20) i")
    people.run("sync")
    people.warehouse.execute("delete from people")
    people.run("sync", code=4)
    people.run("approve", "2", "plan", code=None)

    people.run("sync", code=4)
    people.run("approve", "4")

    assert people.there.query("select * from trait_values") == []
    assert traits(people)["changed"] == 0


def _change(twins: Twins, chance: random.Random, columns: list[str]) -> str:
    """A random change of the source's rows."""
    user, number = f"user {chance.randrange(20)}", chance.randrange(len(columns))
    value = chance.choice([*VALUES[columns[number]], "null"])
    some = f"user_id like 'user {chance.randrange(3)}%'"
    statement = chance.choice(
        [
            f"insert into people (user_id, c{number}) values ('{user}', {value})",
            f"update people set c{number} = {value} where user_id = '{user}'",
            f"update people set c{number} = {value} where {some}",
            f"insert into people select * from people where user_id = '{user}'",
            f"delete from people where user_id = '{user}'",
            f"delete from people where {some}",
            f"delete from people where user_id = '{user}' and c{number} is not null",
            f"insert into people (user_id, c{number}) values (null, {value}), ('', {value})",
            "delete from people where coalesce(user_id, '') = ''",
            f"update people set user_id = 'user {chance.randrange(20)}' where user_id = '{user}'",
            "delete from people",
        ]
    )
    twins.warehouse.execute(statement)
    return statement


COMMANDS: list[list[str]] = [
    ["approve", "{run}", "c0"],
    ["undo", "{run}", "--yes"],
    ["undo", "{before}", "--yes"],
    ["approve", "{run}"],
    ["reject", "{run}"],
    ["resync"],
    ["erase", "user 3"],
    ["unsuppress", "user 3"],
    ["suppress", "user 4"],
    ["unsuppress", "user 4"],
    ["plan", "--json"],
]


@pytest.mark.parametrize("seed", range(1))
def test_random_days_are_those_of_a_source_that_is_fetched(seed: int, twins: Twins) -> None:
    chance = random.Random(seed)
    columns = chance.sample(list(VALUES), 4)
    defined = ", ".join(f"c{number} {kind}" for number, kind in enumerate(columns))
    twins.warehouse.execute(*TYPES, f"create table people (user_id text, {defined})")
    twins.warehouse.execute("insert into people select 'user ' || i from generate_series(0, 15) i")
    entry: dict[str, Any] = {"source": "warehouse", "query": "select * from people", "traits": ["c0", "c1"]}
    guard = {"max_removed": "40%", "at_least": 3}
    twins.configure(computed_traits=[entry], guard=guard)
    log = [defined]
    for day in range(1, 19):
        if chance.random() < 0.1:
            entry = {**entry, "traits": sorted(chance.sample(["c0", "c1", "c2", "c3"], chance.randint(2, 4)))}
            twins.configure(computed_traits=[entry], guard=guard)
            log.append(f"configure {entry['traits']}")
        log += [_change(twins, chance, columns) for _ in range(chance.randrange(4))]
        arguments = ["sync", "--json"] if chance.random() < 0.65 or day == 1 else chance.choice(COMMANDS)
        last = twins.here.query("select coalesce(max(run), 0) from sync_runs")[0][0] if day > 1 else 0
        log.append(" ".join(arguments))
        try:
            done = twins.run(*(each.format(run=last, before=max(last - 1, 1)) for each in arguments), code=None)
            assert "Help:" not in done.stderr, done.stderr
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *log])) from None


def test_a_damaged_table_is_found_before_anything_is_sent(people: Twins) -> None:
    people.run("sync")
    [table] = people.warehouse.tables()
    people.warehouse.execute(f"delete from audience_sync.{table} where user_id = 'ada'", "delete from people")

    for command in ("plan", "sync"):
        done = people.there.run(command, "--json")

        assert done.code == 3
        assert "is damaged" in done.json["traits"]["errors"][0]
    assert len(calls(people.there)) == 3
    people.warehouse.execute("insert into people values ('ada', 'pro', 8)")
    assert people.there.run("resync").code == 0
    assert people.there.run("sync", "--json").json["traits"]["users"] == 1


def test_check_names_a_type_that_no_table_can_have(people: Twins) -> None:
    people.configure(computed_traits=[{**PEOPLE, "query": "select user_id, row(1, plan) as plan, revenue from people"}])

    said = " ".join(people.there.run("check").stdout.split())

    assert re.search("the column 'plan', of type .*, can't be compared: .* has pseudo-type record", said)
    assert "Remove its trait, or cast it to text in the query." in said
    people.configure(computed_traits=[PEOPLE])
    assert people.there.run("check").code == 0
    assert people.warehouse.tables() == []

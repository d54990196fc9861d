"""The view `trait_values` after the commands that change, copy or remove values, and what `check` says of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from conftest import PostgreSQL
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from .conftest import Project

TRAITS = {"source": "shop", "file": "traits.csv", "traits": ["plan", "score"]}
FIRST = "user_id,plan,score\nada,gold,1.5\nbob,free,\ncyd,gold,3\n"
VALUES = "select trait_key, user_id, value from trait_values order by trait_key, user_id"
GUARD = {"at_least": 1000}


@pytest.fixture
def shop(vip: Project) -> Project:
    """Three users with a plan, two of them with a score, after one run."""
    vip.configure(computed_traits=[TRAITS], guard=GUARD)
    vip.write("traits.csv", FIRST)
    assert vip.sync().code == 0
    return vip


def values(project: Project) -> dict[tuple[str, str], str]:
    return {(trait, user): value for trait, user, value in project.query(VALUES)}


def is_whole(project: Project) -> bool:
    return project.run("db", "check").code == 0


BEFORE = {
    ("plan", "ada"): '"gold"',
    ("plan", "bob"): '"free"',
    ("plan", "cyd"): '"gold"',
    ("score", "ada"): "1.5",
    ("score", "cyd"): "3",
}


def test_the_view_has_the_values_as_json(shop: Project) -> None:
    assert values(shop) == BEFORE


def test_an_undo_brings_the_values_back(shop: Project) -> None:
    shop.write("traits.csv", "user_id,plan,score\nada,free,\nbob,free,2\n")
    shop.sync()
    assert values(shop) == {("plan", "ada"): '"free"', ("plan", "bob"): '"free"', ("score", "bob"): "2"}
    assert shop.run("undo", "2", "--yes").code == 0
    assert values(shop) == BEFORE
    assert is_whole(shop)


def test_a_retired_trait_has_no_values(shop: Project) -> None:
    assert shop.run("retire", "score", "--yes").code == 0
    assert values(shop) == {key: value for key, value in BEFORE.items() if key[0] == "plan"}
    assert is_whole(shop)


def test_a_held_trait_keeps_its_values_and_an_approved_one_gets_the_new(shop: Project) -> None:
    shop.configure(computed_traits=[TRAITS], guard={"at_least": 1, "max_removed": "10%"})
    shop.write("traits.csv", "user_id,plan,score\nada,free,1.5\n")
    assert shop.sync().code == 4
    assert values(shop) == BEFORE
    assert shop.run("approve", "2").code == 0
    assert values(shop) == {("plan", "ada"): '"free"', ("score", "ada"): "1.5"}
    assert is_whole(shop)


def test_an_erased_user_is_gone_from_it(shop: Project) -> None:
    assert shop.run("erase", "ada").code == 0
    assert {user for _, user in values(shop)} == {"bob", "cyd"}
    with closing(sqlite3.connect(shop.store)) as connection:
        assert connection.execute("select count(*) from user_traits where user_id = 'ada'").fetchone() == (0,)
    assert is_whole(shop)
    assert shop.sync().code == 0
    assert {user for _, user in values(shop)} == {"bob", "cyd"}


def test_the_values_of_a_previous_id_move_to_the_new_one(shop: Project) -> None:
    aliases = [{"source": "shop", "file": "aliases.csv"}]
    shop.configure(computed_traits=[TRAITS], guard=GUARD, aliases=aliases)
    shop.write("aliases.csv", "previous_id,user_id\nada,ann\n")
    assert shop.sync().code == 0
    assert {user for _, user in values(shop)} == {"ann", "bob", "cyd"}
    assert {trait for trait, _ in values(shop)} == {"plan", "score"}
    assert is_whole(shop)


def test_a_copy_on_postgresql_has_the_same_values(shop: Project, postgresql: PostgreSQL) -> None:
    url = postgresql.create()
    before = values(shop)
    assert shop.run("db", "copy", url.replace("+psycopg", "")).code == 0
    with create_engine(url, poolclass=NullPool).connect() as connection:
        rows = connection.execute(text(VALUES.replace("trait_values", "audience_sync.trait_values"))).all()
    assert {(row.trait_key, row.user_id): row.value for row in rows} == before


def checked_views(project: Project) -> dict[str, str]:
    """By view, what `check` says of those that are empty."""
    checks = project.run("check", "--json").json["checks"]
    return {each["name"]: each["message"] for each in checks if each["part"] == "view"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({}, {}, id="as it comes"),
        pytest.param({"trait_values_table": True}, {}, id="at any size"),
        pytest.param({"trait_values_table": 6}, {}, id="up to a size that it has"),
        pytest.param(
            {"trait_values_table": False}, {"trait_values": "empty: `trait_values_table: false`"}, id="switched off"
        ),
        pytest.param(
            {"trait_values_table": 5},
            {
                "trait_values": "empty: 6 values (users times traits) are more than 5. To fill it at any size: "
                "`trait_values_table: true`"
            },
            id="beyond a size",
        ),
        pytest.param(
            {"members_table": False}, {"audience_members": "empty: `members_table: false`"}, id="without members"
        ),
    ],
)
def test_a_check_names_the_views_that_are_empty_and_their_option(
    shop: Project, options: dict[str, Any], said: dict[str, str]
) -> None:
    shop.configure(computed_traits=[TRAITS], guard=GUARD, **options)
    assert checked_views(shop) == said


def test_the_store_s_check_says_that_the_table_is_off(shop: Project) -> None:
    shop.configure(computed_traits=[TRAITS], guard=GUARD, trait_values_table=False)
    shop.sync()
    [check] = [each for each in shop.run("db", "check", "--json").json["checks"] if each["part"] == "trait values"]
    assert (check["good"], check["message"]) == (True, "the table of trait values is not stored (`trait_values_table`)")


@pytest.mark.parametrize(
    "statement",
    [
        "delete from user_traits where user_id = 'ada'",
        "insert into user_traits select 'zoe', chain_id, traits from user_traits limit 1",
        "update user_traits set traits = replace(traits, 'gold', 'tin') where user_id = 'ada'",
    ],
)
def test_a_table_that_differs_is_found_and_rebuilt_as_the_message_says(shop: Project, statement: str) -> None:
    with closing(sqlite3.connect(shop.store)) as connection, connection:
        connection.execute(statement)
    [check] = [each for each in shop.run("db", "check", "--json").json["checks"] if each["part"] == "trait values"]
    assert not check["good"]
    assert "One run with `trait_values_table: false` and another with `true` rebuild it" in check["message"]
    for option in (False, True):
        shop.configure(computed_traits=[TRAITS], guard=GUARD, trait_values_table=option)
        shop.sync()
    assert values(shop) == BEFORE
    assert is_whole(shop)


def test_explain_needs_no_table(shop: Project) -> None:
    with_it = shop.run("explain", "ada", "--json").json
    shop.configure(computed_traits=[TRAITS], guard=GUARD, trait_values_table=False)
    shop.sync()
    without = shop.run("explain", "ada", "--json").json
    assert with_it["computed_traits"]
    assert without["computed_traits"] == with_it["computed_traits"]

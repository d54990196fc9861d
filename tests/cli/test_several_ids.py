"""Each of a user's ids is sent the user's memberships, for as long as the id is listed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from .conftest import Project

IDS = ["user_id", "email"]
AUDIENCE = {"name": "VIP", "source": "shop", "ids": IDS}


@pytest.fixture
def known(vip: Project) -> Project:
    """`vip` of two users: ada, who has an address, and bob, who has none."""
    vip.configure(audiences=[{**AUDIENCE, "file": "vip.csv"}], guard={"max_removed": "100%"})
    write(vip, "ada,ada@example.com", "bob,")
    assert vip.sync().audience("vip")["members"] == 3
    assert dict(vip.sent()) == {each: {"vip": True} for each in ("ada", "ada@example.com", "bob")}
    return vip


def write(project: Project, *rows: str, header: str = "user_id,email") -> Path:
    return project.write("vip.csv", "\n".join([header, *rows, ""]))


def test_who_leaves_does_so_under_every_id(known: Project) -> None:
    write(known, "bob,")
    assert known.sync().code == 0
    assert dict(known.sent()) == {"ada": {"vip": False}, "ada@example.com": {"vip": False}}


def test_of_a_changed_address_the_old_one_leaves_and_the_new_one_enters(known: Project) -> None:
    write(known, "ada,ada@example.org", "bob,")
    known.sync()
    assert dict(known.sent()) == {"ada@example.com": {"vip": False}, "ada@example.org": {"vip": True}}
    write(known, "bob,")
    known.sync()
    assert dict(known.sent()) == {"ada": {"vip": False}, "ada@example.org": {"vip": False}}


def test_a_row_without_its_first_id_is_invalid_and_an_unusable_further_one_left_out(known: Project) -> None:
    write(known, "ada,ada@example.com", ",cyd@example.com", "bob,   ")
    found = known.sync().audience("vip")
    assert (found["members"], found["invalid"]) == (3, 1)
    assert known.query("select file, row, reason from invalid_rows") == [("vip.csv", 2, "empty user id")]
    assert known.sent() == []


def test_two_ids_that_are_the_same_are_one_user(known: Project) -> None:
    write(known, "ada,ada@example.com", "bob,bob", "cyd,ada@example.com")
    assert known.sync().audience("vip")["members"] == 4
    assert known.sent() == [("cyd", {"vip": True})]


def test_ids_are_text_as_they_are_written(vip: Project) -> None:
    vip.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv", "ids": ["user_id", "account"]}])
    write(vip, "ada,007", "bob,1e3", header="user_id,account")
    vip.sync()
    assert [user for user, _ in vip.sent()] == ["007", "1e3", "ada", "bob"]


def test_traits_are_sent_under_every_id_and_removed_under_every_id(vip: Project) -> None:
    vip.configure(
        computed_traits=[{"source": "shop", "file": "vip.csv", "ids": IDS, "traits": ["email", "orders"]}],
        guard={"max_removed": "100%"},
    )
    write(vip, "ada,ada@example.com,3", header="user_id,email,orders")
    vip.sync()
    values = {"email": "ada@example.com", "orders": 3}
    assert dict(vip.sent()) == {"ada": values, "ada@example.com": values}
    write(vip, "ada,ada@example.org,3", header="user_id,email,orders")
    vip.sync()
    assert dict(vip.sent()) == {
        "ada": {"email": "ada@example.org"},
        "ada@example.com": {"email": None, "orders": None},
        "ada@example.org": {"email": "ada@example.org", "orders": 3},
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vip.jsonl", '{"user_id": 7, "email": "ada@example.com"}\n{"user_id": 8, "email": null}\n'),
        ("vip.tsv", "user_id\temail\n7\tada@example.com\n8\t\n"),
    ],
)
def test_other_files_have_several_ids_too(vip: Project, name: str, content: str) -> None:
    vip.write(name, content)
    vip.configure(audiences=[{**AUDIENCE, "file": name}])
    vip.sync()
    assert [user for user, _ in vip.sent()] == ["7", "8", "ada@example.com"]


@pytest.mark.parametrize("kind", ["name", "names_from"])
def test_so_have_queries_and_databases(vip: Project, kind: str) -> None:
    vip.query("create table people as select 7 as id, 'ada@example.com' as email, 'VIP' as audience")
    vip.query("insert into people values (8, null, 'VIP'), (9, x'00', 'VIP')")
    which = {"name": "VIP"} if kind == "name" else {"names_from": "audience"}
    query = "select id as user_id, email, audience from people"
    vip.configure(
        sources={"warehouse": {"database": "sqlite:///audience_sync.db"}},
        audiences=[{"source": "warehouse", "query": query, "ids": IDS, **which}],
    )
    assert vip.sync().code == 0
    assert [user for user, _ in vip.sent()] == ["7", "8", "9", "ada@example.com"]


def test_a_source_is_read_again_once_it_is_asked_for_more_ids(vip: Project) -> None:
    os.utime(write(vip, "ada,ada@example.com"), (1, 1))
    vip.sync()
    assert vip.sent() == [("ada", {"vip": True})]
    vip.configure(audiences=[{**AUDIENCE, "file": "vip.csv"}])
    vip.sync()
    assert vip.sent() == [("ada@example.com", {"vip": True})]
    assert vip.sync().audience("vip")["status"] == "unchanged"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"ids": IDS, "user_id": "user_id"}, "audiences[0].ids: it has both `ids` and `user_id`"),
        ({"ids": ["email"]}, "audiences[0].ids: it needs at least two columns"),
        ({"ids": ["email", "email"]}, "audiences[0].ids[1]: `email` appears twice"),
    ],
)
def test_what_can_not_be_meant_is_refused(vip: Project, entry: dict[str, Any], problem: str) -> None:
    vip.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv", **entry}])
    done = vip.run("sync")
    assert (done.code, problem in done.stderr) == (2, True)


def test_a_column_that_is_missing_is_named(known: Project) -> None:
    write(known, "ada,1", header="user_id,mail")
    done = known.sync()
    assert done.code == 3
    assert "there is no column 'email'. Columns: user_id, mail. Did you mean 'mail'?" in done.audience("vip")["error"]

"""SQL reads files by their names, and an error in it names its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest
from audience_sync.sources.files.source import FilesSource
from audience_sync.workspace import Workspace

from .conftest import Read, Write


@pytest.fixture
def shop(write: Write) -> None:
    write("orders.csv", "customer_id,total,day\n007,300.50,2018-11-02\n007,300,2018-11-03\n8,100,2018-11-04\n")
    write("customers.jsonl", '{"id": "007", "plan": "pro", "score": 1}\n{"id": "8", "plan": null, "score": 2.5}\n')
    write("events/1.csv", "user_id,what\n1e5,buy\n")
    write("events/2.csv", "what,user_id\nbuy,007\n")


def test_the_example_of_the_contract(shop: None, read: Read) -> None:
    query = "select customer_id as user_id from 'orders.csv' group by 1 having sum(total) > 500"
    assert read(query=query).ids == ["007"]


QUERIES = {
    "numbers can be reckoned with": (
        "select customer_id as user_id from 'orders.csv' where total * 2 > 600.5",
        ["007"],
    ),
    "dates can be compared": ("select customer_id as user_id from 'orders.csv' where day >= date '2018-11-04'", ["8"]),
    "joins": (
        "select id as user_id from 'customers.jsonl' join 'orders.csv' on customer_id = id where plan = 'pro' limit 1",
        ["007"],
    ),
    "a glob": ("select user_id from 'events/*.csv' where what = 'buy'", ["007", "1e5"]),
    "a folder": ("select user_id from 'events/'", ["007", "1e5"]),
    "double quotes": ('select customer_id as user_id from "orders.csv" limit 1', ["007"]),
    "a comment and a semicolon": ("select '007' as user_id; -- done", ["007"]),
    "a common table expression": ("with a as (from 'events/1.csv') select user_id from a", ["1e5"]),
    "a function over a file": (
        "select c0 as user_id from read_csv('events/1.csv', names = ['c0', 'w'], all_varchar = true)",
        ["1e5"],
    ),
    "a name of a file as a value": (
        "select customer_id as user_id from 'orders.csv' where 'nowhere.csv' <> '' and total = 100",
        ["8"],
    ),
    "numbers in JSON": ("select id as user_id from 'customers.jsonl' where score > 2", ["8"]),
}


@pytest.mark.parametrize(("query", "ids"), QUERIES.values(), ids=QUERIES.keys())
def test_queries_see_files_by_their_names(query: str, ids: list[str], shop: None, read: Read) -> None:
    assert read(query=query).ids == ids


def test_traits_come_from_the_answer_with_their_types(shop: None, read: Read) -> None:
    query = "select customer_id as user_id, sum(total) as revenue, max(day) as last from 'orders.csv' group by 1"
    assert sorted(read(query=query, traits={"revenue": "revenue", "last": "last"}).rows) == [
        ("007", "600.5", '"2018-11-03T00:00:00.000Z"'),
        ("8", "100", '"2018-11-04T00:00:00.000Z"'),
    ]


def test_rejects_of_a_query_carry_the_row_of_its_answer(read: Read) -> None:
    invalid_rows = read(query="select unnest(['ada', '', null]) as user_id").invalid_rows
    assert invalid_rows == [("the query", 2, "", "empty user id"), ("the query", 3, None, "no user id")]


def test_two_sources_with_files_of_one_name_do_not_meet(tmp_path: Path, workspace: Workspace, write: Write) -> None:
    write("one/a.csv", "user_id\nada\n")
    write("two/a.csv", "user_id\nbob\n")
    wanted = SnapshotRequest(user_id="user_id", query="select user_id from 'a.csv'")
    one = FilesSource(tmp_path / "one").read(workspace, wanted)
    two = FilesSource(tmp_path / "two").read(workspace, wanted)
    assert workspace.all(one.select) == [("ada",)]
    assert workspace.all(two.select) == [("bob",)]


ERRORS = {
    "an unknown column": (
        "select user_id,\n  nope from 'events/1.csv'",
        ["line 2, column 3 near 'nope'", 'Referenced column "nope" not found', "user_id"],
    ),
    "no SQL": ("selec user_id", ["line 1, column 1 near 'selec'", "syntax error"]),
    "an unknown file": ("select * from 'order.csv'", ["'order.csv'", "does not exist", "Did you mean 'orders.csv'?"]),
    "an unknown function": ("select nofun(1) as user_id", ["line 1, column 8", "nofun does not exist"]),
    "an answer without the user id": ("select 1 as userid", ["no column 'user_id'", "Did you mean 'userid'?"]),
    "a column twice": ("select 1 as user_id, 2 as user_id", ["'user_id' appears twice"]),
    "two statements": ("select 1; select 2", ["one SELECT statement"]),
    "a change": ("create table x (a int)", ["one SELECT statement"]),
    "a value that can't be cast": (
        "select cast(what as int) as user_id from 'events/1.csv'",
        ["events/1.csv, line 2", "can't be converted to INTEGER", "try_cast"],
    ),
    "a value of JSON that can't be cast": (
        "select cast(plan as int) as user_id from 'customers.jsonl'",
        ["the query can't be run", "Could not convert string '...' to INT32"],
    ),
    "a broken file": ("select user_id from 'ragged.csv'", ["ragged.csv, line 2", "3 values"]),
}


@pytest.mark.parametrize(("query", "words"), ERRORS.values(), ids=ERRORS.keys())
def test_a_wrong_query_is_an_error_with_its_place_and_the_remedy(
    query: str, words: list[str], shop: None, write: Write, read: Read
) -> None:
    write("ragged.csv", "user_id,x\nada,1,2\n")
    with pytest.raises(SourceError) as caught:
        read(query=query)
    assert [word for word in words if word not in str(caught.value)] == []
    assert "buy" not in str(caught.value)
    assert "'pro'" not in str(caught.value)


def test_other_columns_may_be_there_twice(shop: None, read: Read) -> None:
    query = "select a.customer_id as user_id, a.total, b.total from 'orders.csv' a join 'orders.csv' b using (day)"
    assert read(query=query).ids == ["007", "007", "8"]


@pytest.mark.parametrize(
    ("query", "is_known"),
    [
        ("select user_id from 'events/1.csv'", True),
        ("select user_id from 'events/1.csv' where now() > timestamp '2018-11-02'", False),
        ("select user_id from 'events/1.csv' where current_date > date '2018-11-02'", False),
        ("select user_id from 'events/1.csv' where random() < 0.5", False),
        ("select user_id from read_csv('events/1.csv')", False),
    ],
)
def test_only_a_query_that_gives_the_same_answer_again_has_a_fingerprint(
    query: str, is_known: bool, tmp_path: Path, shop: None
) -> None:
    os.utime(tmp_path / "events" / "1.csv", (1, 1))
    assert (FilesSource(tmp_path).fingerprint(SnapshotRequest(user_id="user_id", query=query)) is not None) is is_known


def test_a_quote_in_the_name_of_a_file_is_written_twice(write: Write, read: Read) -> None:
    write('q"uote.csv', "user_id\nada\n")
    assert read(query='select user_id from "q""uote.csv"').ids == ["ada"]

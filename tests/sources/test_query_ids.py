"""A column that a query passes through as a user id is text, as written, whatever it is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audience_sync.errors import SourceError
from audience_sync.sources.base import TraitColumn

from .conftest import Read, Write
from .source_kinds import write_file

CODES = ["100000", "1e5", "2E3"]


@pytest.fixture(autouse=True)
def files(write: Write) -> None:
    write(
        "codes.csv",
        "customer,score,total,day\n1e5,0.75,300,2018-11-02\n2E3,0.5,300,2018-11-03\n100000,1,1,2018-11-04\n",
    )
    write("versions.csv", "account\n1.10\n1.1\n7.00\n")
    write("words.csv", "member\ntrue\nfalse\n")
    write("times.csv", "key\n2018-11-02 09:30\n2018-11-02T09:30:00Z\n")
    write("digits.csv", "customer,total\n100000,1\n7,2\n007,3\n")
    write("pairs.csv", "old,new\n1.10,1e5\n7.00,2E3\n")
    write("codes.jsonl", '{"customer": "1e5"}\n{"customer": "100000"}\n')


SAME = {
    "renamed": "select customer as user_id from 'codes.csv'",
    "a star": "select * rename (customer as user_id) from 'codes.csv'",
    "a replaced column": "select score as user_id from (select * replace (customer as score) from 'codes.csv')",
    "all columns but some": "select * exclude (score, total, day) from 'codes.csv' c(user_id)",
    "a CTE": "with a as (select customer as x from 'codes.csv') select x as user_id from a",
    "a CTE with names": "with a(k) as (select customer, total from 'codes.csv') select k as user_id from a",
    "a CTE of a CTE": "with a as (from 'codes.csv'), b as (from a) select customer as user_id from b",
    "a recursive CTE": (
        "with recursive a(k, n) as (select customer, 1 from 'codes.csv' union all select k, n + 1 from a where n < 2) "
        "select distinct k as user_id from a"
    ),
    "a subquery": "select s.k as user_id from (select customer as k, total from 'codes.csv') s",
    "a scalar subquery": "select (select c.customer) as user_id from 'codes.csv' c",
    "a union": "select customer as user_id from 'codes.csv' where total = 1 union select customer from 'codes.csv'",
    "a union by name": (
        "select total, customer as user_id from 'codes.csv' where total = 1 union by name "
        "select customer as user_id from 'codes.csv' where total > 1"
    ),
    "a join": "select a.customer as user_id from 'codes.csv' a join 'codes.csv' b on a.customer = b.customer",
    "a join by name": "select customer as user_id from 'codes.csv' join 'codes.csv' b using (customer)",
    "a natural join": "select customer as user_id from 'codes.csv' natural join (select customer from 'codes.csv')",
    "in a query": "select customer as user_id from 'codes.csv' where customer in (select customer from 'codes.csv')",
    "groups": "select customer as user_id from 'codes.csv' group by 1 having sum(total) > 0 order by sum(total)",
    "an aggregate": "select any_value(customer) as user_id from 'codes.csv' group by day",
    "the one with the most": "select arg_max(customer, score) as user_id from 'codes.csv' group by day",
    "a window": "select first_value(customer) over (partition by day order by score) as user_id from 'codes.csv'",
    "one a group": "select customer as user_id from 'codes.csv' qualify row_number() over (partition by day) = 1",
    "a cast": "select customer::varchar as user_id from 'codes.csv'",
    "an expression": "select trim(customer) || '' as user_id from 'codes.csv'",
    "a case": "select case when score > 0.6 then customer else customer end as user_id from 'codes.csv'",
    "a coalesce": "select coalesce(null, customer) as user_id from 'codes.csv'",
    "another alias": "select customer as k, k as user_id from 'codes.csv'",
    "lateral": "select u.k as user_id from 'codes.csv' c, lateral (select c.customer as k) u",
    "unnest": "select u.k as user_id from 'codes.csv' c, unnest([c.customer]) u(k)",
    "double quotes": 'select "Customer" as user_id from "codes.csv"',
    "a function": "select customer as user_id from read_csv('codes.csv')",
    "a function with options": "select r.customer as user_id from read_csv('codes.csv', delim = ',') r where ')' = ')'",
}


@pytest.mark.parametrize("query", SAME.values(), ids=SAME.keys())
def test_ids_are_as_written_by_whatever_way_they_come(query: str, read: Read) -> None:
    snapshot = read(query=query)
    assert (snapshot.ids, snapshot.invalid_rows) == (CODES, [])


OTHERS = {
    "versions": ("select account as user_id from 'versions.csv'", ["1.1", "1.10", "7.00"]),
    "words": ("select member as user_id from 'words.csv'", ["false", "true"]),
    "times": ("select key as user_id from 'times.csv'", ["2018-11-02 09:30", "2018-11-02T09:30:00Z"]),
    "digits": ("select customer as user_id from 'digits.csv'", ["007", "100000", "7"]),
    "both of two columns": (
        "select old as user_id from 'pairs.csv' union all select new from 'pairs.csv'",
        ["1.10", "1e5", "2E3", "7.00"],
    ),
    "one of two columns": (
        "select case when old > '5' then old else new end as user_id from 'pairs.csv'",
        ["1e5", "7.00"],
    ),
    "a join compares what is written": (
        "select c.customer as user_id from 'codes.csv' c join 'digits.csv' d on c.customer = d.customer",
        ["100000"],
    ),
    "so does a list to leave out": (
        "select customer as user_id from 'digits.csv' except select customer from 'codes.csv'",
        ["007", "7"],
    ),
    "so does exists": (
        "select customer as user_id from 'digits.csv' d where not exists "
        "(select 1 from 'codes.csv' c where c.customer = d.customer)",
        ["007", "7"],
    ),
    "JSON lines": (
        "select j.customer as user_id from 'codes.jsonl' j join 'codes.csv' c using (customer)",
        ["100000", "1e5"],
    ),
    "other columns are numbers and dates": (
        "select customer as user_id from 'codes.csv' where score > 0.6 and total * 2 > 100 and day < date '2018-11-04'",
        ["1e5"],
    ),
    "sums": ("select customer as user_id from 'codes.csv' group by 1 having sum(total) >= 300", ["1e5", "2E3"]),
    "a cast that is asked for": ("select cast(account as double)::int as user_id from 'versions.csv'", ["1", "1", "7"]),
}


@pytest.mark.parametrize(("query", "ids"), OTHERS.values(), ids=OTHERS.keys())
def test_nothing_is_guessed_of_what_becomes_an_id(query: str, ids: list[str], read: Read) -> None:
    assert read(query=query).ids == ids


def test_further_ids_and_names_are_as_written_too(read: Read) -> None:
    traits = {"id 2": TraitColumn("other", is_id=True)}
    assert sorted(read(query="select old as user_id, new as other from 'pairs.csv'", traits=traits).rows) == [
        ("1.10", "1e5"),
        ("7.00", "2E3"),
    ]
    query = "select old as user_id, new as audience from 'pairs.csv'"
    assert sorted(read(query=query, name="audience").rows) == [("1.10", "1e5"), ("7.00", "2E3")]


def test_a_trait_that_the_config_calls_text_is_as_written(read: Read) -> None:
    query = "select 'ada' as user_id, account as version from 'versions.csv' order by 2 limit 1"
    assert read(query=query, traits={"version": TraitColumn("version", "text")}).rows == [("ada", '"1.1"')]
    query = "select 'ada' as user_id, sum(total) as revenue from 'codes.csv'"
    assert read(query=query, traits={"revenue": TraitColumn("revenue", "text")}).rows == [("ada", '"601"')]


def test_a_workbook_s_ids_are_as_written(tmp_path: Path, read: Read) -> None:
    write_file(tmp_path / "book.xlsx", {"customer": "7.00"})
    assert read(query="select customer as user_id from 'book.xlsx'").ids == ["7.00"]


@pytest.mark.parametrize(
    "query",
    [
        "select customer + 0 as user_id from 'codes.csv'",
        "select customer as user_id from 'codes.csv' where customer > 5",
        "select customer as user_id from 'codes.csv' where customer % 10 = 3",
    ],
)
def test_to_calculate_with_an_id_a_query_must_say_so(query: str, read: Read) -> None:
    with pytest.raises(SourceError, match=r"is text, as written: customer.*cast\(customer as bigint\)"):
        read(query=query)


def test_types_that_a_reader_of_json_guesses_are_refused(read: Read) -> None:
    with pytest.raises(SourceError, match="its user ids come from 'read_json', for which DuckDB guesses types"):
        read(query="select customer as user_id from read_json('codes.jsonl')")
    query = "select customer as user_id from read_json('codes.jsonl', columns = {customer: 'VARCHAR'})"
    assert read(query=query).ids == ["100000", "1e5"]


def test_the_values_of_records_with_numbers_and_texts_are_ids_as_written(write: Write, read: Read) -> None:
    ids = [7, "007", 12345678901234567890123, "1e5"]
    write("mixed.jsonl", "\n".join(json.dumps({"k": value}) for value in ids))
    assert read(query="select k as user_id from 'mixed.jsonl'").ids == ["007", "12345678901234567890123", "1e5", "7"]

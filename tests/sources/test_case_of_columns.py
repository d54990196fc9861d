"""Columns whose names differ in case only are two columns, in every format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audience_sync.errors import SourceError

from .conftest import Read, Write
from .source_kinds import write_file


@pytest.fixture(params=["csv", "tsv", "jsonl", "json", "parquet", "xlsx", "csv.gz"])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / f"a.{request.param}"
    if request.param == "parquet":  # DuckDB writes no two such columns
        write_file(path, {"user_id": "ada", "Plan": "pro", "p1an": "free", "PLAN_1": "x"})
        path.write_bytes(path.read_bytes().replace(b"p1an", b"plan"))
    else:
        write_file(path, {"user_id": "ada", "Plan": "pro", "plan": "free", "PLAN_1": "x"})
    return path.name


def test_each_is_read_by_its_own_name(name: str, read: Read) -> None:
    traits = {"upper": "Plan", "lower": "plan", "other": "PLAN_1"}
    assert read(file=name, traits=traits).rows == [("ada", '"pro"', '"free"', '"x"')]


@pytest.mark.parametrize(("column", "value"), [("Plan", '"pro"'), ("plan", '"free"'), ("PLAN_1", '"x"')])
def test_one_of_them_is_read_alone(column: str, value: str, name: str, read: Read) -> None:
    assert read(file=name, traits={"plan": column}).rows == [("ada", value)]


def test_a_query_over_such_a_file_reads_the_other_columns(name: str, read: Read) -> None:
    assert read(query=f"select user_id from '{name}'").ids == ["ada"]


def test_a_query_can_not_mean_one_and_get_the_other(name: str, read: Read) -> None:
    with pytest.raises(SourceError, match='column "plan" not found'):
        read(query=f"select user_id, plan from '{name}'")
    query = f"select user_id, \"Plan_2\" as a, plan_3 as b from '{name}'"
    assert read(query=query, traits={"a": "a", "b": "b"}).rows == [("ada", '"pro"', '"free"')]


def test_a_user_id_may_differ_from_another_column_in_case_only(read: Read, write: Write) -> None:
    write("a.jsonl", json.dumps({"ID": "ada", "id": "bob"}) + "\n" + json.dumps({"id": "cyd", "ID": None}))
    rows = read(file="a.jsonl", user_id="id", traits={"x": "ID"}).rows
    assert sorted(rows) == [("bob", '"ada"'), ("cyd", None)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("42", "a.jsonl: not a JSON object"),
        ('{"plan": 1, "plan": 2}', "a.jsonl: a name appears twice in one JSON object"),
    ],
)
def test_damaged_records_are_found_there_too(line: str, words: str, read: Read, write: Write) -> None:
    write("a.jsonl", json.dumps({"user_id": "ada", "Plan": 1, "plan": 2}) + "\n" + line)
    with pytest.raises(SourceError, match=words):
        read(file="a.jsonl", traits={"a": "Plan", "b": "plan"})


def test_two_files_of_one_query_whose_names_differ_in_case_only_are_an_error(read: Read, write: Write) -> None:
    write("a.csv", "user_id\nada\n")
    write("A.csv", "user_id\nbob\n")
    with pytest.raises(SourceError, match="differs in case only"):
        read(query="select user_id from 'a.csv' union all select user_id from 'A.csv'")

"""Rows are read exactly as their file has them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from sources.conftest import Read, Write

from audience_sync.errors import SourceError


@pytest.mark.parametrize("line", ["5", '"bob"', '["bob"]'])
def test_a_json_line_that_is_no_object_is_an_error_and_no_user_id(line: str, write: Write, read: Read) -> None:
    write("a.jsonl", f'{{"user_id": "ada"}}\n{line}\n')
    with pytest.raises(SourceError, match="not a JSON object"):
        read(file="a.jsonl")


def test_a_list_of_times_is_a_list_of_iso_8601_times(tmp_path: Path, read: Read) -> None:
    rows = (
        "select 'ada' as user_id, [timestamp '2018-11-02 09:30'] as visits, [timestamptz '2018-11-02 09:30Z'] as zoned"
    )
    with duckdb.connect() as connection:
        connection.execute(f"copy ({rows}) to '{tmp_path}/a.parquet'")
    visits = '["2018-11-02T09:30:00.000Z"]'
    assert read(file="a.parquet", traits={"visits": "visits", "zoned": "zoned"}).rows == [("ada", visits, visits)]


def test_a_line_end_in_the_header_that_is_not_the_files_own_loses_no_rows(write: Write, read: Read) -> None:
    write("a.csv", '"user_id","first\nname"\r\nada,Ada\r\n')
    assert read(file="a.csv").ids == ["ada"]
    write("b.csv", '"user_id","first\nname"\nada,Ada\n')
    assert read(file="b.csv").ids == ["ada"]


def test_a_query_that_compares_text_with_mixed_json_says_how_to_write_it(write: Write, read: Read) -> None:
    write("a.csv", "user_id\n007\n")
    write("b.jsonl", '{"user_id": 1}\n{"user_id": "007"}\n')
    with pytest.raises(SourceError, match="->> "):
        read(query="select a.user_id from 'a.csv' a join 'b.jsonl' b on a.user_id = b.user_id")
    mended = "select a.user_id from 'a.csv' a join 'b.jsonl' b on a.user_id = b.user_id ->> '$'"
    assert read(query=mended).ids == ["007"]

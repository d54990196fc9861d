"""The columns of a source, and their changes since the last snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import PostgreSQL

from audience_sync.sources.base import Expectations, SnapshotRequest, TraitColumn
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.sources.files.source import FilesSource
from audience_sync.sources.rows.column_schema import generic_type, schema_changes
from audience_sync.workspace import Workspace

from .conftest import Write

WATCHED = Expectations(columns=True)
TYPES = {"user_id": "text", "age": "number", "joined": "time", "is_new": "boolean"}
ROW = "select 'ada' as user_id, 36 as age, date '2026-01-02' as joined, true as is_new"


def columns(source: Any, **asked: Any) -> Any:
    with Workspace(0, ["/"]) as workspace:
        return source.read(workspace, SnapshotRequest(user_id="user_id", **asked, expected=WATCHED)).columns


def test_of_text_the_types_are_known_of_what_is_a_trait(write: Write, tmp_path: Path) -> None:
    write("a.csv", "user_id,age,joined,note\nada,36,2026-01-02,7\n")
    traits = {"age": TraitColumn("age"), "joined": TraitColumn("joined")}
    found = {"user_id": "text", "age": "number", "joined": "time", "note": "text"}
    assert columns(FilesSource(tmp_path), file="a.csv", traits=traits) == found
    assert columns(FilesSource(tmp_path), query="from 'a.csv'")["note"] == "number"


def test_of_parquet_they_are_in_the_file(tmp_path: Path) -> None:
    duckdb.sql(f"copy ({ROW}, [1] as list) to '{tmp_path / 'a.parquet'}'")
    assert columns(FilesSource(tmp_path), file="a.parquet") == {**TYPES, "list": "list"}


def test_of_json_lines_only_the_keys_are_known(write: Write, tmp_path: Path) -> None:
    write("a.jsonl", '{"user_id": "ada"}\n{"user_id": "bob", "age": 36}\n')
    assert columns(FilesSource(tmp_path), file="a.jsonl") == {"user_id": "", "age": ""}


def test_of_a_database_they_are_what_its_driver_says(postgresql: PostgreSQL, tmp_path: Path) -> None:
    sqlite = DatabaseSource(f"sqlite:///{tmp_path / 'a.db'}")
    (tmp_path / "a.db").touch()
    assert columns(sqlite, query="select 'ada' as user_id, 36 as age") == {"user_id": "", "age": ""}
    query = f"{ROW}, 1.5::numeric(8, 2) as price, now() as at"
    url = postgresql.create()
    assert columns(DatabaseSource(url), query=query) == {**TYPES, "price": "number", "at": "time"}


def test_they_are_not_looked_for_where_nobody_asks(write: Write, tmp_path: Path) -> None:
    write("a.csv", "user_id\nada\n")
    with Workspace(0, ["/"]) as workspace:
        assert FilesSource(tmp_path).read(workspace, SnapshotRequest(user_id="user_id", file="a.csv")).columns is None


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        *((name, "number") for name in ("BIGINT", "UTINYINT", "HUGEINT", "int4", "int", "INTEGER", "float8", "REAL")),
        *((name, "number") for name in ("DECIMAL(18,3)", "numeric(8, 2)", "double precision")),
        *((name, "text") for name in ("VARCHAR", "varchar(20)", "bpchar", "text", "UUID", "nvarchar", "STRING")),
        *((name, "boolean") for name in ("BOOLEAN", "bool")),
        *((name, "time") for name in ("DATE", "TIMESTAMP WITH TIME ZONE", "timestamptz", "datetime")),
        *((name, "list") for name in ("BIGINT[]", "DATE[]")),
        *((name, name.lower()) for name in ("JSON", "BLOB", "interval", "STRUCT(a INTEGER)", "253")),
    ],
)
def test_a_type_is_said_in_plain_words(name: str, plain: str) -> None:
    assert generic_type(name) == plain


@pytest.mark.parametrize(
    ("now", "changed"),
    [
        ({"age": "number", "id": "text"}, None),
        ({"id": "text"}, "without age"),
        ({"id": "text", "age": "number", "city": "text"}, "with the new city"),
        ({"id": "text", "age": "text"}, "'age' was number and is text"),
        ({"id": "text", "age": ""}, None),
        ({"id": "number", "agee": "number"}, "without age, with the new agee, 'id' was text and is number"),
        ({"id": "text", "ada@example.org": "number"}, "the columns have other names"),
    ],
)
def test_what_changed_is_said_without_values(now: dict[str, str], changed: str | None) -> None:
    assert schema_changes({"id": "text", "age": "number"}, now) == changed

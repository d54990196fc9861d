"""An error of a source repeats no value of its data: it may be a person's, and errors are logged and stored."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from audience_sync.errors import SourceError
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.sources.files.source import FilesSource

from .conftest import Read

EMAIL, NAME, PHONE = "ada.lovelace@example.org", 'Ada "Lady" Lovelace', "99912345678901"
#: Any of these in an error would be a part of a value.
TRACES = ("ada", "lovelace", "lady", "9991")


def traces(error: SourceError) -> list[str]:
    return [trace for trace in TRACES if trace in str(error).lower()]


POSTGRESQL = {
    "no number": ("email::int", "invalid input syntax for type integer: ***"),
    "no date": ("email::date", "invalid input syntax for type date: ***"),
    "with quotes in it": ("name::int", "invalid input syntax for type integer: ***"),
    "with lines in it": ("(name || chr(10) || email)::int", "invalid input syntax for type integer: ***"),
    "out of range": ("phone::int", "value *** is out of range for type integer"),
    "in DETAIL and CONTEXT": ("name::json ->> 'a'", "invalid input syntax for type json"),
    "between other words": ("to_date(email, 'YYYY')", 'invalid value *** for "YYYY"'),
    "of an enum": ("email::mood", "invalid input value for enum mood: ***"),
    "in a message of a function": (
        "alas(email)",
        "a function in the database raised an error; its message is hidden",
    ),
    "none, but a column's name": ("emial", 'column "emial" does not exist LINE 1: select emial'),
    "none, but a hint": ("emial", 'HINT: Perhaps you meant to reference the column "people.email"'),
}


@pytest.fixture
def people(new_url: Callable[[str], str]) -> DatabaseSource:
    url = new_url("postgresql")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("create type mood as enum ('sad', 'ok')")
        connection.exec_driver_sql("create table people (email text, name text, phone text)")
        connection.exec_driver_sql("insert into people values (%s, %s, %s)", (EMAIL, NAME, PHONE))
        connection.exec_driver_sql(
            "create function alas(who text) returns text language plpgsql as $$ begin"
            " raise exception 'no %%, alas', who using detail = who, hint = who; end $$"
        )
    engine.dispose()
    return DatabaseSource(url)


def test_postgresql_errors_say_what_is_wrong_without_a_value(people: DatabaseSource, read: Read) -> None:
    for case, (column, words) in POSTGRESQL.items():
        with pytest.raises(SourceError) as caught:
            read(people, query=f"select {column} as user_id from people")
        assert words in str(caught.value), case
        assert traces(caught.value) == [], case


SQLITE = {
    "a path": ("json_extract('{}', email)", "JSON path error near ***"),
    "none, but a column's name": ("emial", "no such column: emial"),
}


@pytest.mark.parametrize(("column", "words"), SQLITE.values(), ids=SQLITE.keys())
def test_sqlite_errors_say_what_is_wrong_without_a_value(column: str, words: str, tmp_path: Path, read: Read) -> None:
    connection = sqlite3.connect(tmp_path / "people.db")
    connection.execute("create table people (email text, name text)")
    connection.execute(f"insert into people values ('{EMAIL}', '{NAME}')")
    connection.commit()
    connection.close()
    with pytest.raises(SourceError) as caught:
        read(DatabaseSource(f"sqlite:///{tmp_path / 'people.db'}"), query=f"select {column} as user_id from people")
    assert words in str(caught.value)
    assert traces(caught.value) == []


QUERIES = {
    "no number": ("email::int", "a value can't be converted to INTEGER"),
    "in single quotes": ("chr(trim(email)::int)", "Could not convert string '...' to INT32"),
    "in double quotes": ("date_part(name, now())::text", 'extract specifier "..." not recognized'),
    "out of range": ("phone::bigint::int", "value ... can't be cast because the value is out of range"),
    "without quotes": ("regexp_extract('a', email || '(')", "missing ): ...("),
    "in a message of its own": ("error(name)", "it raised its own error; its message is hidden"),
    "none, but a column's name": ("emial", 'Referenced column "emial" not found'),
}


@pytest.mark.parametrize(("column", "words"), QUERIES.values(), ids=QUERIES.keys())
def test_errors_of_queries_over_files_have_no_value(column: str, words: str, tmp_path: Path, read: Read) -> None:
    (tmp_path / "people.csv").write_text(f"email,name,phone\n{EMAIL},Ada Lovelace,{PHONE}\n", "utf-8")
    with pytest.raises(SourceError) as caught:
        read(FilesSource(tmp_path), query=f"select {column} as user_id from 'people.csv'")
    assert words in str(caught.value)
    assert traces(caught.value) == []


FIRST_ROWS = {
    "asked by name": (
        {"file": "people.csv"},
        "there is no column 'user_id'. The first row has values instead of names of columns",
    ),
    "asked by SQL": ({"query": "select user_id from 'people.csv'"}, 'Referenced column "user_id" not found'),
    "one of several": ({"file": "*.csv"}, "only one of them has some columns"),
    "twice the same": ({"file": "twice.tsv"}, "the column '...' appears twice"),
}


@pytest.mark.parametrize(("wanted", "words"), FIRST_ROWS.values(), ids=FIRST_ROWS.keys())
def test_a_file_without_a_header_shows_no_person(
    wanted: dict[str, str], words: str, tmp_path: Path, read: Read
) -> None:
    (tmp_path / "people.csv").write_text(f"{EMAIL},Ada Lovelace,{PHONE}\n", "utf-8")
    (tmp_path / "others.csv").write_text("user_id\n1\n", "utf-8")
    (tmp_path / "twice.tsv").write_text(f"{EMAIL}\t{EMAIL}\n", "utf-8")
    with pytest.raises(SourceError) as caught:
        read(FilesSource(tmp_path), **wanted)
    assert words in str(caught.value)
    assert traces(caught.value) == []

"""Databases are streamed without a change, and their errors are shown without secrets."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from audience_sync.errors import SourceError
from audience_sync.sources.base import Expectations, SnapshotRequest
from audience_sync.sources.database.redact_errors import ErrorRedactor
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.sources.rows.spool import BATCH_ROWS
from audience_sync.sources.rows.type_inference import FIRST_ROWS

from .conftest import Read


@pytest.fixture
def warehouse(tmp_path: Path) -> DatabaseSource:
    connection = sqlite3.connect(tmp_path / "warehouse.db")
    connection.execute("create table predictions (user_id, churn, note)")
    rows = [
        ("007", 0.9, "a,b"),
        (42, 1, None),
        ("bob", 0.1, 'say "x"\r\n'),
        (None, 1, "x"),
        (" ", 1, "x"),
        (1.5, 1, ""),
    ]
    connection.executemany("insert into predictions values (?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return DatabaseSource(f"sqlite:///{tmp_path / 'warehouse.db'}")


def test_a_query_gives_users_and_traits(warehouse: DatabaseSource, read: Read) -> None:
    snapshot = read(
        warehouse, query="select * from predictions where churn >= 0.1", traits={"churn": "churn", "note": "note"}
    )
    assert snapshot.rows == [
        ("007", "0.9", '"a,b"'),
        ("42", "1", None),
        ("bob", "0.1", '"say \\"x\\"\\r\\n"'),
        (None, "1", '"x"'),
        (None, "1", '"x"'),
        (None, "1", '""'),
    ]
    assert snapshot.invalid_rows == [
        ("the query", 4, None, "no user id"),
        ("the query", 5, " ", "empty user id"),
        ("the query", 6, "1.5", "user id is not a whole number"),
    ]


def test_names_come_with_their_users(warehouse: DatabaseSource, read: Read) -> None:
    query = (
        "select user_id, case when churn > 0.5 then 'Churn' end as audience from predictions where user_id like '%o%'"
    )
    assert read(warehouse, query=query, name="audience").invalid_rows == [("the query", 1, "bob", "no audience name")]


def test_colons_and_percent_signs_of_a_query_are_its_own(warehouse: DatabaseSource, read: Read) -> None:
    query = "select user_id from predictions where user_id like '0%7' and ':x' <> '%s' and '12:30' <> ':y'"
    assert read(warehouse, query=query).ids == ["007"]


def test_more_rows_than_a_batch_are_all_read_and_numbered(warehouse: DatabaseSource, read: Read) -> None:
    count = 2 * BATCH_ROWS + 1
    query = (
        f"with recursive r(i) as (select 1 union all select i + 1 from r where i < {count})"
        f" select case when i = {count} then '' else 'u' || i end as user_id from r"
    )
    snapshot = read(warehouse, query=query)
    assert len(snapshot.ids) == count - 1
    assert snapshot.invalid_rows == [("the query", count, "", "empty user id")]
    assert count > FIRST_ROWS


ERRORS = {
    "no SQL": ("selec 1", ["the query failed", "syntax error"]),
    "an unknown table": ("select user_id from nowhere", ["no such table: nowhere"]),
    "a missing column": ("select user_id as userid from predictions", ["'user_id'", "Did you mean 'userid'?"]),
    "a column twice": ("select user_id, churn as user_id from predictions", ["'user_id' appears twice"]),
    "bytes as ids": ("select x'00' as user_id", ["'user_id' has the type bytes"]),
    "a change": ("delete from predictions", ["readonly", "one SELECT and nothing else"]),
    "a setting that stays": ("pragma journal_mode = wal", ["not authorized"]),
    "another file": ("attach database 'other.db' as other", ["not authorized"]),
    "a copy": ("vacuum into 'copy.db'", ["authoriz"]),
    "several statements": ("select 1 as user_id; delete from predictions", ["one statement at a time"]),
}


@pytest.mark.parametrize(("query", "words"), ERRORS.values(), ids=ERRORS.keys())
def test_a_wrong_query_is_an_error_that_says_what(
    query: str, words: list[str], warehouse: DatabaseSource, read: Read
) -> None:
    with pytest.raises(SourceError) as caught:
        read(warehouse, query=query)
    assert [word for word in words if word not in str(caught.value)] == []


FILES = ["pragma journal_mode = wal", "attach database 'other.db' as other", "vacuum into 'copy.db'"]


@pytest.mark.parametrize("query", FILES)
def test_no_file_is_made_by_a_query(
    query: str, warehouse: DatabaseSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Read
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "warehouse.db").read_bytes()
    with pytest.raises(SourceError):
        read(warehouse, query=query)
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse.db"]
    assert (tmp_path / "warehouse.db").read_bytes() == before


def test_virtual_tables_can_be_read(tmp_path: Path, read: Read) -> None:
    with closing(sqlite3.connect(tmp_path / "notes.db")) as connection:
        connection.execute("create virtual table notes using fts5(user_id, text)")
        connection.execute("insert into notes values ('a', 'likes tea')")
        connection.commit()
    source = DatabaseSource(f"sqlite:///{tmp_path / 'notes.db'}")
    assert read(source, query="select user_id from notes where notes match 'tea'").ids == ["a"]
    assert read(source, query="""select value as user_id from json_each('["b"]')""").ids == ["b"]
    assert len(read(source, query="select name as user_id from pragma_table_info('notes')").ids) == 2


def test_nothing_is_changed_by_a_query(warehouse: DatabaseSource, tmp_path: Path, read: Read) -> None:
    with pytest.raises(SourceError):
        read(warehouse, query="update predictions set churn = 0")
    connection = sqlite3.connect(tmp_path / "warehouse.db")
    assert connection.execute("select count(*) from predictions where churn = 0").fetchone() == (0,)
    connection.close()


def test_a_file_is_not_asked_of_a_database(warehouse: DatabaseSource, read: Read) -> None:
    with pytest.raises(SourceError, match="by `query:`"):
        read(warehouse, file="a.csv")


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + b"\xff" * 5_000, b"user_id\nada\n" * 100])
def test_a_damaged_sqlite_file_is_named_as_what_is_wrong(content: bytes, tmp_path: Path, read: Read) -> None:
    (tmp_path / "wh.db").write_bytes(content)
    with pytest.raises(SourceError) as caught:
        read(DatabaseSource(f"sqlite:///{tmp_path / 'wh.db'}"), query="select user_id from members")
    assert str(caught.value) == (
        f"database sqlite:///{tmp_path / 'wh.db'}: the file is damaged, or is not a SQLite database: file is not a "
        "database. Correct the path, or replace the file with a whole copy."
    )


def test_a_sqlite_file_that_is_missing_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"the SQLite database .* does not exist"):
        DatabaseSource(f"sqlite:///{tmp_path / 'nowhere.db'}").check()
    assert not (tmp_path / "nowhere.db").exists()


def test_check_says_that_it_is_connected(warehouse: DatabaseSource) -> None:
    assert warehouse.check().endswith("warehouse.db, connected")


SECRETS = {
    "a password": "postgresql://sync:hush%40secret@127.0.0.1:1/shop",
    "a password in the query": "postgres://sync@127.0.0.1:1/shop?password=hush%40secret",
    "another secret in the query": "postgresql+psycopg://sync@127.0.0.1:1/shop?sslpassword=hush%40secret",
}


@pytest.mark.parametrize("url", SECRETS.values(), ids=SECRETS.keys())
def test_secrets_of_the_url_are_in_no_error(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        DatabaseSource(url).check()
    message = str(caught.value)
    assert "postgresql+psycopg://sync" in message
    assert "***" in message
    assert "hush" not in message


@pytest.mark.parametrize("url", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("spelling", ["hush@secret", "hush%40secret"])
def test_a_driver_that_repeats_a_secret_is_masked(url: str, spelling: str) -> None:
    error = RuntimeError(f"no login with {spelling}")
    assert ErrorRedactor(make_url(url)).error_message(error) == "no login with ***"


@pytest.mark.parametrize("url", ["hush secret", "://hush:secret@", ""])
def test_a_url_that_is_none_is_an_error_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(SourceError, match="is not one that SQLAlchemy can read") as caught:
        DatabaseSource(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["klingon://u:hush@h/d", "oracle://u:hush@h/d"])
def test_a_driver_that_is_missing_is_an_error(url: str) -> None:
    with pytest.raises(SourceError, match="driver that is not installed") as caught:
        DatabaseSource(url).check()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("ssl_ca=/nowhere.pem", "nowhere.pem: can't connect: No such file or directory. Check the URL"),
        ("connect_timeout=soon", "can't be opened: invalid literal for int() with base 10: 'soon'. Correct the URL."),
        ("klingon=1", "can't connect: Connection.__init__() got an unexpected keyword argument 'klingon'. Check the"),
    ],
)
def test_what_a_driver_can_not_do_with_a_url_is_an_error_of_the_url(options: str, reason: str) -> None:
    with pytest.raises(SourceError) as refused:
        DatabaseSource(f"mysql://ada:hush@127.0.0.1:1/shop?{options}").check()
    assert reason in str(refused.value)
    assert ":hush@" not in str(refused.value)


@pytest.fixture
def postgresql_warehouse(new_url: Callable[[str], str]) -> DatabaseSource:
    url = new_url("postgresql")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "create table members (place int, user_id text, number numeric, flag boolean, day date, at timestamptz,"
            " doc jsonb, tags text[], id uuid, raw bytea)"
        )
        connection.exec_driver_sql(
            "insert into members values (1, '007', 42.00, true, '2018-11-02', '2018-11-02 09:30+02',"
            """ '{"a": 1.0}', '{x,y}', '6f1d3f0e-0000-4000-8000-000000000001', '\\x00')"""
        )
    engine.dispose()
    return DatabaseSource(url)


POSTGRESQL_IDS = [
    ("user_id", "007"),
    ("number", "42"),
    ("place", "1"),
    ("day", "2018-11-02"),
    ("id", "6f1d3f0e-0000-4000-8000-000000000001"),
    ("12345678901234567890::numeric", "12345678901234567890"),
]


@pytest.mark.parametrize(("column", "user_id"), POSTGRESQL_IDS)
def test_postgresql_ids_are_taken_as_text(
    column: str, user_id: str, postgresql_warehouse: DatabaseSource, read: Read
) -> None:
    assert read(postgresql_warehouse, query=f"select {column} as user_id from members").ids == [user_id]


@pytest.mark.parametrize("column", ["flag", "at", "doc", "tags", "raw"])
def test_postgresql_columns_that_hold_no_ids_are_an_error(
    column: str, postgresql_warehouse: DatabaseSource, read: Read
) -> None:
    with pytest.raises(SourceError, match=r"column 'user_id' has the type \w+, which can't hold user ids"):
        read(postgresql_warehouse, query=f"select {column} as user_id from members")


def test_postgresql_values_are_written_as_json(postgresql_warehouse: DatabaseSource, read: Read) -> None:
    columns = ("number", "flag", "day", "at", "doc", "tags")
    query = "select * from members where user_id like '%7'"
    assert read(postgresql_warehouse, query=query, traits={name: name for name in columns}).rows == [
        (
            "007",
            "42",
            "true",
            '"2018-11-02T00:00:00.000Z"',
            '"2018-11-02T07:30:00.000Z"',
            '{"a":1}',
            '["x","y"]',
        )
    ]


def test_postgresql_is_read_only_too(postgresql_warehouse: DatabaseSource, read: Read) -> None:
    query = "with gone as (delete from members returning user_id) select user_id from gone"
    with pytest.raises(SourceError, match="the query failed"):
        read(postgresql_warehouse, query=query)
    assert read(postgresql_warehouse, query="select user_id from members").ids == ["007"]


@pytest.mark.parametrize("change", ["delete from members", "create table more (x int)"])
@pytest.mark.parametrize("form", ["select 1; commit; {}", "{}", "copy (select 1) to program 'touch made'"])
def test_postgresql_probes_are_read_only_too(
    form: str, change: str, postgresql_warehouse: DatabaseSource, read: Read
) -> None:
    query = form.format(change)
    with pytest.raises(SourceError, match="the probe failed"):
        postgresql_warehouse.fingerprint(
            SnapshotRequest(user_id="user_id", query="select user_id from members", probe=query)
        )
    expected = Expectations(since=datetime(2020, 1, 1, tzinfo=UTC), modified=query)
    with pytest.raises(SourceError, match="the query `modified` failed"):
        read(postgresql_warehouse, query="select user_id from members", expected=expected)
    assert read(postgresql_warehouse, query="select user_id from members").ids == ["007"]


def test_postgresql_errors_have_their_place_and_no_values(postgresql_warehouse: DatabaseSource, read: Read) -> None:
    with pytest.raises(SourceError, match=r'column "nope" does not exist LINE 1: select nope'):
        read(postgresql_warehouse, query="select nope as user_id from members")
    with pytest.raises(SourceError) as caught:
        read(postgresql_warehouse, query="select tags[1]::int as user_id from members")
    assert '"x"' not in str(caught.value)


def test_a_look_fetches_no_more_rows_than_it_wants(tmp_path: Path, read: Read) -> None:
    endless = "with recursive e(i) as (select 1 union all select i + 1 from e) select i as user_id from e"
    assert read(DatabaseSource("sqlite://"), query=endless, sample_rows=3).ids == ["1", "2", "3"]

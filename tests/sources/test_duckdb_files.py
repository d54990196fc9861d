"""A DuckDB file is read as it is: every type, read only, and open for no longer than its query runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from audience_sync.config.read.paths import database_url, duckdb_path, url_problem
from audience_sync.errors import IncompleteError, SourceError
from audience_sync.sources.base import Expectations, SnapshotRequest, TraitColumn
from audience_sync.sources.boundary import BoundedSource
from audience_sync.sources.database.duckdb_file import DuckDbSource
from audience_sync.workspace import Workspace

from .conftest import Read

_SCHEMA = """
set TimeZone = 'America/New_York';
create type tier as enum ('free', 'pro');
create schema shop;
create table shop.orders (customer integer, total decimal(38, 10));
insert into shop.orders values (7, 10.5), (7, 600), (8, 1);
create table members as select
    170141183460469231731687303715884105727::hugeint as huge,
    340282366920938463463374607431768211455::uhugeint as unsigned,
    'pro'::tier as tier,
    '6f1d3f0e-0000-4000-8000-000000000001'::uuid as id,
    timestamptz '2018-11-02 09:30:00.250+02' as zoned,
    timestamp '2018-11-02 09:30:00' as plain,
    date '2018-11-02' as day,
    time '09:30:00' as clock,
    interval '1 month 2 days' as span,
    1234567890.5000000000::decimal(38, 10) as price,
    'nan'::double as nothing,
    [1, 2, null] as list,
    {'city': 'Köln', 'at': [date '2018-11-02']} as struct,
    map {'a': 1, 'b': 2} as map,
    '{"a": 1.0}'::json as doc,
    '101'::bit as bits,
    true as flag,
    'ab'::blob as raw;
create view big_spenders as select customer as user_id from shop.orders group by 1 having sum(total) > 500;
"""
VALUES = {
    "huge": "170141183460469231731687303715884105727",
    "unsigned": "340282366920938463463374607431768211455",
    "tier": '"pro"',
    "zoned": '"2018-11-02T07:30:00.250Z"',
    "plain": '"2018-11-02T09:30:00.000Z"',
    "day": '"2018-11-02T00:00:00.000Z"',
    "clock": '"09:30:00"',
    "span": '"1 month 2 days"',
    "price": "1234567890.5",
    "nothing": None,
    "list": "[1,2,null]",
    "struct": '{"city":"Köln","at":["2018-11-02T00:00:00.000Z"]}',
    "map": '{"a":1,"b":2}',
    "doc": '{"a": 1.0}',
    "bits": '"101"',
    "flag": "true",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("duckdb") / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(_SCHEMA)
    return path


@pytest.fixture
def file(made: Path, tmp_path: Path) -> Path:
    copy = tmp_path / made.name
    copy.write_bytes(made.read_bytes())
    return copy


@pytest.fixture
def shop(file: Path) -> DuckDbSource:
    return DuckDbSource(str(file))


def test_values_of_every_type_are_what_they_mean(shop: DuckDbSource, read: Read) -> None:
    snapshot = read(shop, query="select * from members", user_id="id", traits={name: name for name in VALUES})
    assert snapshot.ids == ["6f1d3f0e-0000-4000-8000-000000000001"]
    assert dict(zip(VALUES, snapshot.rows[0][1:], strict=True)) == VALUES


@pytest.mark.parametrize(
    ("column", "user_id"),
    [("huge", VALUES["huge"]), ("unsigned", VALUES["unsigned"]), ("tier", "pro"), ("day", "2018-11-02")],
)
def test_ids_are_exact(column: str, user_id: str, shop: DuckDbSource, read: Read) -> None:
    assert read(shop, query="select * from members", user_id=column).ids == [user_id]


@pytest.mark.parametrize("column", ["raw", "list", "struct", "map", "flag", "zoned", "span"])
def test_a_column_that_can_hold_no_ids_is_an_error(column: str, shop: DuckDbSource, read: Read) -> None:
    with pytest.raises(SourceError, match=rf"the query: column '{column}' has the type .+, which can't hold user ids"):
        read(shop, query="select * from members", user_id=column)
    with pytest.raises(SourceError, match="column 'raw' holds bytes"):
        read(shop, query="select * from members", user_id="id", traits={"raw": "raw"})


@pytest.mark.parametrize(
    "table", ["big_spenders", "main.big_spenders", "warehouse.main.big_spenders", '"warehouse"."main"."big_spenders"']
)
def test_tables_have_the_names_that_duckdb_gives_them(table: str, shop: DuckDbSource, read: Read) -> None:
    assert read(shop, query=f"select user_id from {table};").ids == ["7"]


@pytest.mark.parametrize("name", ["memory.duckdb", "temp.db", "my file's.2018.duckdb", ".duckdb", "a%3Fb.duckdb"])
def test_a_file_may_have_any_name(name: str, file: Path, read: Read) -> None:
    renamed = file.rename(file.with_name(name))
    assert read(DuckDbSource(str(renamed)), query="select user_id from big_spenders").ids == ["7"]


def test_invalid_rows_are_counted_from_one(shop: DuckDbSource, read: Read) -> None:
    rows = "select * from (values ('ada', timestamp '20000-01-01'), (null, null), (' ', null)) as t (user_id, seen)"
    snapshot = read(shop, query=rows, traits={"seen": "seen"})
    assert snapshot.invalid_rows == [
        ("the query", 1, "ada", "column 'seen' is a time outside of the years 1 to 9999 (UTC)"),
        ("the query", 2, None, "no user id"),
        ("the query", 3, " ", "empty user id"),
    ]


NOT_READ = {
    "delete from members": "the query must be one SELECT statement. Nothing was run.",
    "select 1 as user_id; drop table members": "the query must be one SELECT statement. Nothing was run.",
    "copy members to 'out.csv'": "the query must be one SELECT statement. Nothing was run.",
    "attach 'other.duckdb' as other": "the query must be one SELECT statement. Nothing was run.",
    "select nope as user_id from big_spenders": "line 1, column 8 near 'nope': Referenced column \"nope\" not found",
    "select user_id\nfrom big_spender": "line 2, column 6 near 'big_spender': Table with name big_spender does",
    "selec 1": "line 1, column 1 near 'selec': syntax error at or near \"selec\"",
    "select content as user_id from read_text('/etc/passwd')": 'Cannot access file "/etc/passwd"',
    "select user_id, user_id from big_spenders": "the column 'user_id' appears twice",
    "select tier as userid from members": "there is no column 'user_id'.",
}


@pytest.mark.parametrize("query", NOT_READ)
def test_a_wrong_query_is_an_error_that_says_what(query: str, file: Path) -> None:
    before = file.read_bytes()
    with Workspace(400_000_000, [str(file), f"{file}.wal"]) as workspace, pytest.raises(SourceError) as refused:
        DuckDbSource(str(file)).read(workspace, SnapshotRequest(user_id="user_id", query=query))
    assert NOT_READ[query] in str(refused.value)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_values_are_in_no_error(shop: DuckDbSource, read: Read) -> None:
    with pytest.raises(SourceError, match="the query can't be run: Conversion Error: Could not convert") as refused:
        read(shop, query="select cast(v as int) as user_id from (select 'ada@example.com' as v from members)")
    assert "ada" not in str(refused.value)
    with pytest.raises(SourceError, match="its message is hidden"):
        read(shop, query="select error('ada@example.com') as user_id from members")


@contextmanager
def _written_by_another_process(file: Path) -> Iterator[int]:
    code = f"import duckdb; opened = duckdb.connect({str(file)!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"open\n"
        yield writer.pid
        writer.communicate(b"\n")


def test_a_file_that_another_process_writes_is_an_error_that_names_it(
    shop: DuckDbSource, file: Path, read: Read
) -> None:
    with _written_by_another_process(file) as process:
        for use in (shop.check, lambda: read(shop, query="select user_id from big_spenders")):
            with pytest.raises(SourceError) as refused:
                use()
            assert str(refused.value) == (
                f"the DuckDB database {file} can't be read: another process ({process}) has it open to write, and "
                "DuckDB then allows no reader. Nothing of it was used. Run again when that process has ended, or let "
                "it write a copy and rename that."
            )
    assert read(shop, query="select user_id from big_spenders").ids == ["7"]


def test_a_file_that_this_process_writes_is_an_error(shop: DuckDbSource, file: Path, read: Read) -> None:
    with duckdb.connect(str(file)), pytest.raises(SourceError, match="this process has it open to write"):
        read(shop, query="select user_id from big_spenders")


def test_a_file_is_free_for_writers_when_its_rows_are_read(
    shop: DuckDbSource, file: Path, workspace: Workspace
) -> None:
    rows = shop.read(workspace, SnapshotRequest(user_id="user_id", query="select user_id from big_spenders"))
    with pytest.raises(SourceError, match="one SELECT"):
        shop.read(workspace, SnapshotRequest(user_id="user_id", query="delete from members"))
    with _written_by_another_process(file):
        assert workspace.all(f"select user_id from ({rows.select})") == [("7",)]


def test_changes_that_a_killed_writer_left_are_read(shop: DuckDbSource, file: Path, read: Read) -> None:
    insert = "insert into shop.orders values (9, 900)"
    code = f"import duckdb, os; opened = duckdb.connect({str(file)!r}); opened.execute({insert!r}); os._exit(9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    assert file.with_name("warehouse.duckdb.wal").stat().st_size > 0
    assert read(shop, query="select user_id from big_spenders").ids == ["7", "9"]
    assert file.with_name("warehouse.duckdb.wal").stat().st_size > 0


BROKEN = {
    "no database": (b"user_id\nada\n" * 1000, "it is not a DuckDB database, or damaged"),
    "nothing": (b"", "it is not a DuckDB database, or damaged"),
    "SQLite": (b"SQLite format 3\0" + bytes(8000), "it is not a DuckDB database, or damaged"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_is_no_database_is_an_error(kind: str, file: Path, read: Read) -> None:
    content, reason = BROKEN[kind]
    file.write_bytes(content)
    with pytest.raises(SourceError) as refused:
        read(DuckDbSource(str(file)), query="select 1 as user_id")
    assert str(refused.value).startswith(f"the DuckDB database {file} can't be read: {reason}. Nothing of it was used.")


def test_a_damaged_file_is_an_error(file: Path, read: Read) -> None:
    content = bytearray(file.read_bytes())
    for place in range(12288, len(content), 7):
        content[place] ^= 255
    file.write_bytes(content)
    with pytest.raises(SourceError, match="it is not a DuckDB database, or damaged"):
        read(DuckDbSource(str(file)), query="select * from members", user_id="id")


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"the DuckDB database .* does not exist\. Correct the path, or create it"):
        DuckDbSource(str(tmp_path / "none.duckdb")).check()
    assert os.listdir(tmp_path) == []


def test_a_probe_sees_changes_and_nothing_else(shop: DuckDbSource, file: Path) -> None:
    request = SnapshotRequest(user_id="user_id", query="select user_id from big_spenders", probe="from shop.orders")
    before = shop.fingerprint(request)
    assert before is not None
    assert shop.fingerprint(request) == before
    with duckdb.connect(str(file)) as connection:
        connection.execute("insert into shop.orders values (9, 900)")
    assert shop.fingerprint(request) not in (None, before)
    outside = SnapshotRequest(user_id="user_id", query="select 1", probe="from read_text('/etc/passwd')")
    with pytest.raises(SourceError, match=r'the probe.*: Cannot access file "/etc/passwd"'):
        shop.fingerprint(outside)


def test_the_age_of_the_newest_change_counts(shop: DuckDbSource, read: Read) -> None:
    query = "select user_id from big_spenders"
    for modified in ("select max(zoned) from members", "select epoch(max(zoned)) from members"):
        old = Expectations(since=datetime(2018, 11, 2, 7, 31, tzinfo=UTC), modified=modified)
        with pytest.raises(IncompleteError, match="the newest change is of 2018-11-02 07:30"):
            read(shop, query=query, expected=old)
        new = Expectations(since=datetime(2018, 11, 2, 7, 29, tzinfo=UTC), modified=modified)
        assert read(shop, query=query, expected=new).ids == ["7"]


def test_columns_have_generic_types(shop: DuckDbSource, workspace: Workspace) -> None:
    query = "select huge, price, tier, zoned, flag, list from members"
    request = SnapshotRequest(user_id="huge", query=query, expected=Expectations(columns=True))
    assert shop.read(workspace, request).columns == {
        "huge": "number",
        "price": "number",
        "tier": "enum('free', 'pro')",
        "zoned": "time",
        "flag": "boolean",
        "list": "list",
    }


def test_a_look_reads_no_more_rows_than_it_wants(shop: DuckDbSource, read: Read) -> None:
    assert len(read(shop, query="select range as user_id from range(1000000000000)", sample_rows=3).ids) == 3


def test_a_query_that_takes_too_long_is_stopped(file: Path, workspace: Workspace) -> None:
    source = BoundedSource("shop", lambda: DuckDbSource(str(file)), timedelta(seconds=0.3))
    query = "select range as user_id from range(1000000000000) where hash(range) = 1"
    with pytest.raises(SourceError, match="took longer than 300ms and was stopped"):
        source.read(workspace, SnapshotRequest(user_id="user_id", query=query))
    assert source.check() == f"DuckDB database {file}, 2 tables, 1 view"


def test_the_type_of_a_trait_is_that_of_the_config(shop: DuckDbSource, read: Read) -> None:
    traits = {"price": TraitColumn("price", "text"), "tier": TraitColumn("tier", "text")}
    assert read(shop, query="select * from members", user_id="day", traits=traits).rows == [
        ("2018-11-02", '"1234567890.5"', '"pro"')
    ]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("duckdb://", "it must name a file and have no options"),
        ("duckdb:///", "it must name a file and have no options"),
        ("duckdb:///a.duckdb?read_only=1", "it must name a file and have no options"),
        ("duckdb://host/a.duckdb", "it must name a file and have no options"),
        ("duckdb:///:memory:", "it must be a file on this machine"),
        ("duckdb:///md:shop", "it must be a file on this machine"),
        ("duckdb:///a.duckdb", ""),
        ("duckdb:////srv/a%3Fb.duckdb", ""),
    ],
)
def test_a_url_that_names_no_file_is_a_problem_of_the_config(url: str, problem: str) -> None:
    assert (url_problem(url) or "").startswith(problem)
    assert bool(url_problem(url)) == bool(problem)


def test_a_path_is_relative_to_the_config() -> None:
    assert (
        database_url("duckdb:///data/a%3Fb%25.duckdb", Path("/srv/shop")) == "duckdb:////srv/shop/data/a%3Fb%25.duckdb"
    )
    assert duckdb_path("duckdb:////srv/shop/data/a%3Fb%25.duckdb") == "/srv/shop/data/a?b%.duckdb"

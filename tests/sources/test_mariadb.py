"""MariaDB is streamed, read only, and its values are what they mean."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mariadb import MariaDB, mariadb
from warehouse.unreliable import Fault, unreliable_proxy

from audience_sync.errors import SourceError
from audience_sync.sources.base import Expectations, SnapshotRequest, TraitColumn
from audience_sync.sources.boundary import BoundedSource
from audience_sync.sources.database.mysql import accept_unsupported_values
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.workspace import Workspace

from .conftest import Read

_TABLE = """
create table members (
    id bigint unsigned, name varchar(50) character set utf8mb4, price decimal(20, 6), day date, at datetime(3),
    seen timestamp null, flag tinyint(1), bits bit(5), doc json, kind enum('a', 'b'), opts set('x', 'y'), t time,
    y year, note text character set latin1, ratio double, code binary(4)
)
"""
_ROWS = """
insert into members values
(18446744073709551615, 'Zoë 🎉', 1234567890.500000, '2018-11-02', '2018-11-02 09:30:00.250', '2018-11-02 09:30:00',
 1, b'10101', '{"a": [1, 2.50]}', 'b', 'x,y', '-12:30:00', 2018, 'café', 0.1, '007a'),
(2, '', 0, '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', 0, b'0', null, 'a', '', '838:59:59', 0, '', 1,
 x'ff000000'),
(3, null, -1, '2018-00-00', '2018-11-00 00:00:00', null, null, null, 'null', null, null, null, null, null, null, null)
"""
#: Every value of the first row, but the JSON, which MariaDB has as text, and the bytes.
VALUES = {
    "name": '"Zoë 🎉"',
    "price": "1234567890.5",
    "day": '"2018-11-02T00:00:00.000Z"',
    "at": '"2018-11-02T09:30:00.250Z"',
    "seen": '"2018-11-02T07:30:00.000Z"',  # a TIMESTAMP, written at 09:30 by a session two hours east
    "flag": "1",
    "bits": "21",
    "kind": '"b"',
    "opts": '"x,y"',
    "t": '"-12:30:00"',
    "y": "2018",
    "note": '"café"',
    "ratio": "0.1",
}
#: 120 MB, of which 20 MB are fetched at once.
LARGE = "select seq as user_id, repeat('x', 2000) as pad from seq_1_to_60000"
ENDLESS = "select seq as user_id from seq_1_to_1000000000000"


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    with mariadb() as running:
        running.execute(_TABLE, "set sql_mode = ''", "set time_zone = '+02:00'", _ROWS)
        yield running


@pytest.fixture
def shop(server: MariaDB) -> DatabaseSource:
    return DatabaseSource(server.url)


def test_values_of_every_type_are_what_they_mean(shop: DatabaseSource, read: Read) -> None:
    traits = {name: name for name in VALUES}
    snapshot = read(shop, query="select * from members where id > 3", user_id="id", traits=traits)
    assert snapshot.rows == [("18446744073709551615", *VALUES.values())]


def test_the_type_of_a_trait_makes_json_and_booleans(shop: DatabaseSource, read: Read) -> None:
    traits = {"doc": TraitColumn("doc", "json"), "flag": TraitColumn("flag", "boolean")}
    assert read(shop, query="select * from members order by id desc", user_id="id", traits=traits).rows == [
        ("18446744073709551615", '{"a":[1,2.5]}', "true"),
        ("3", None, None),
        ("2", None, "false"),
    ]


def test_a_zero_date_is_no_value_and_a_date_without_a_day_is_invalid(shop: DatabaseSource, read: Read) -> None:
    traits = {name: name for name in ("day", "at", "seen")}
    snapshot = read(shop, query="select * from members where id in (2, 3) order by id", user_id="id", traits=traits)
    assert snapshot.rows == [("2", None, None, None), ("3", None, None, None)]
    assert snapshot.invalid_rows == [
        ("the query", 2, "3", "column 'at' is a time that can't be read"),
        ("the query", 2, "3", "column 'day' is a time that can't be read"),
    ]


def test_json_of_mysql_is_parsed(shop: DatabaseSource) -> None:
    """MariaDB has no type of its own for JSON, and MySQL's can't be had here: this is its driver's hook alone."""
    with shop.connect() as connection:
        driver: Any = connection.connection.driver_connection
        accept_unsupported_values(driver)
        read_json = driver.decoders[245]
    assert read_json('{"a": [1, 2.5, 12345678901234567890]}') == {"a": [1, 2.5, 12345678901234567890]}


def test_bytes_are_no_ids_and_their_text_is(shop: DatabaseSource, read: Read) -> None:
    with pytest.raises(SourceError, match="'user_id' has the type bytes, which can't hold user ids"):
        read(shop, query="select code as user_id from members where id = 2")
    as_text = "select lower(hex(code)) as user_id from members where code is not null"
    assert read(shop, query=as_text).ids == ["30303761", "ff000000"]
    assert read(shop, query="select convert(code using utf8mb4) as user_id from members where id > 3").ids == ["007a"]


def test_columns_are_compared_by_generic_types(shop: DatabaseSource, workspace: Workspace) -> None:
    request = SnapshotRequest(user_id="id", query="select * from members", expected=Expectations(columns=True))
    columns = shop.read(workspace, request).columns or {}
    numbers, times = ["id", "price", "flag", "bits", "y", "ratio"], ["day", "at", "seen"]
    texts = ["name", "doc", "kind", "opts", "t", "note", "code"]
    assert columns == dict.fromkeys(numbers, "number") | dict.fromkeys(times, "time") | dict.fromkeys(texts, "text")


CHANGES = [
    "delete from members",
    "insert into members (id) values (9)",
    "create table more (x int)",
    "drop table members",
    "truncate members",
    "select 1 as user_id; delete from members",
]


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_changed_even_by_a_user_who_may(change: str, server: MariaDB, read: Read) -> None:
    root = server.url.replace("sync:s%40cret", "root")
    with pytest.raises(SourceError, match="one SELECT and nothing else"):
        read(DatabaseSource(root), query=change)
    assert read(DatabaseSource(root), query="select count(*) as user_id from members").ids == ["3"]


def test_a_large_answer_is_never_in_memory(shop: DatabaseSource, workspace: Workspace) -> None:
    shop.read(workspace, SnapshotRequest(user_id="user_id", query="select 1 as user_id"))  # loads the driver
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = _peak()
    rows = shop.read(workspace, SnapshotRequest(user_id="user_id", query=LARGE))
    assert _peak() - before < 60_000
    assert workspace.one(f"select count(*) from ({rows.select})") == (60_000,)


def _peak() -> int:
    """The peak of memory in kB."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


def test_an_error_leaves_the_rest_of_the_answer_unread(shop: DatabaseSource, read: Read, server: MariaDB) -> None:
    query = "select code as user_id from members, seq_1_to_1000000000 where members.id = 2"
    with pytest.raises(SourceError, match="has the type bytes"):
        read(shop, query=query)
    _until_idle(server)


def test_a_look_asks_the_server_for_no_more_rows_than_it_wants(shop: DatabaseSource, read: Read) -> None:
    assert read(shop, query=ENDLESS, sample_rows=3).ids == ["1", "2", "3"]


@pytest.mark.parametrize("query", ["select sleep(100) as user_id", ENDLESS], ids=["silence", "rows"])
def test_a_query_that_takes_too_long_is_ended_on_the_server_too(
    query: str, server: MariaDB, workspace: Workspace
) -> None:
    source = BoundedSource("shop", lambda: DatabaseSource(server.url), timedelta(seconds=0.3))
    with pytest.raises(SourceError, match="took longer than 300ms and was stopped"):
        source.read(workspace, SnapshotRequest(user_id="user_id", query=query))
    _until_idle(server)


def _until_idle(server: MariaDB) -> None:
    deadline = time.monotonic() + 10
    while server.count_queries():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_connection_that_dies_half_way_is_an_error_with_the_rows_before(server: MariaDB, read: Read) -> None:
    with unreliable_proxy(server.socket) as proxy:
        source = DatabaseSource(server.url.replace(str(server.port), str(proxy.port)))
        proxy.fault = Fault(b"seq_1_to_60000", answered=50_000_000)
        with pytest.raises(SourceError, match=r"the query failed after 20,000 rows: Lost connection to MySQL server"):
            read(source, query=LARGE)


def test_errors_name_the_server_and_hide_the_password(server: MariaDB, read: Read) -> None:
    with pytest.raises(SourceError) as refused:
        DatabaseSource(server.url.replace("s%40cret", "wr%40ng")).check()
    assert str(refused.value) == (
        f"database mysql+pymysql://sync:***@127.0.0.1:{server.port}/shop: can't connect: Access denied for user "
        "'sync'@'127.0.0.1' (using password: YES). Check the URL, and that it can be reached."
    )
    with pytest.raises(SourceError, match=r"the query failed: Unknown column 'nope' in '.+'\. It must be"):
        read(DatabaseSource(server.url), query="select nope as user_id from members")
    with pytest.raises(SourceError, match=r"SELECT command denied to user 'sync'"):
        read(DatabaseSource(server.url), query="select user as user_id from mysql.user")


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_each_scheme_uses_the_driver_of_the_extra(scheme: str, server: MariaDB, read: Read) -> None:
    source = DatabaseSource(server.url.replace("mysql:", f"{scheme}:", 1))
    assert source.check().endswith(f"@127.0.0.1:{server.port}/shop, connected")
    assert read(source, query="select id as user_id from members where name like '%Zo_%'").ids == [
        "18446744073709551615"
    ]

"""ClickHouse, within this process and by the driver of its servers, is streamed, read only, with every type."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

import pytest

from audience_sync.errors import IncompleteError, SourceError
from audience_sync.sources.base import Expectations, SnapshotRequest, TraitColumn
from audience_sync.sources.database.clickhouse import row_blocks
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.workspace import Workspace

from .conftest import Read

pytest.importorskip("chdb", reason="`.ci/run` has it in an environment of its own")
pytest.importorskip("clickhouse_connect")

_TABLE = """
create table shop.members (
    id UInt64, big UInt256, price Nullable(Decimal(38, 10)), name LowCardinality(Nullable(String)), code FixedString(4),
    list Array(Int32), map Map(String, Int32), pair Tuple(x Int32, y String), zoned DateTime('Europe/Berlin'),
    moment DateTime64(3), day Date32, uuid UUID, kind Enum8('é' = 1, 'b' = 2), flag Bool, ip IPv4, nothing Float64
) engine = MergeTree order by id
"""
_ROW = """
insert into shop.members values (
    18446744073709551615, 115792089237316195423570985008687907853269984665640564039457584007913129639935, 1234567890.5,
    'Zoë 🎉', 'ab', [1, 2], {'é': 1}, (1, 'ü'), '2018-11-02 09:30:00', '2018-11-02 09:30:00.250', '2018-11-02',
    '6f1d3f0e-0000-4000-8000-000000000001', 'é', true, '1.2.3.4', nan)
"""
VALUES = {
    "big": "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    "price": "1234567890.5",
    "name": '"Zoë 🎉"',
    "list": "[1,2]",
    "map": '{"é":1}',
    "pair": '{"x":1,"y":"ü"}',
    "zoned": '"2018-11-02T08:30:00.000Z"',
    "moment": '"2018-11-02T09:30:00.250Z"',
    "day": '"2018-11-02T00:00:00.000Z"',
    "uuid": '"6f1d3f0e-0000-4000-8000-000000000001"',
    "kind": '"é"',
    "flag": "true",
    "ip": '"1.2.3.4"',
    "nothing": None,
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseSource]:
    folder = tmp_path_factory.getbasetemp() / "clickhouse"  # one for each process: the engine can't open another
    source = DatabaseSource(f"clickhouse:///?interface=chdb&path={folder}")
    with source.connect() as connection:
        for statement in ("create database shop", _TABLE, _ROW):
            connection.exec_driver_sql(statement)
        yield source
        connection.exec_driver_sql("drop database shop")


def test_values_of_every_type_are_what_they_mean(shop: DatabaseSource, read: Read) -> None:
    snapshot = read(shop, query="select * from shop.members;", user_id="id", traits={name: name for name in VALUES})
    assert snapshot.ids == ["18446744073709551615"]
    assert dict(zip(VALUES, snapshot.rows[0][1:], strict=True)) == VALUES


def test_a_text_that_is_not_utf_8_is_invalid_and_never_another_users_id(shop: DatabaseSource, read: Read) -> None:
    query = """
        select arrayJoin([unhex('ff'), 'ff', 'Zoë']) as user_id, concat('n', user_id) as note,
            [user_id] as list, map(user_id, 1) as map
    """
    snapshot = read(shop, query=query, traits={name: name for name in ("note", "list", "map")})
    assert [row for row in snapshot.rows if row[0]] == [
        ("ff", '"nff"', '["ff"]', '{"ff":1}'),
        ("Zoë", '"nZoë"', '["Zoë"]', '{"Zoë":1}'),
    ]
    assert snapshot.invalid_rows == [("the query", 1, "\ufffd", "user id has text that is not UTF-8")]
    traits = {name: name for name in ("note", "list", "map")}
    invalid = read(shop, query=f"select '1' as id, * from ({query}) limit 1", user_id="id", traits=traits).invalid_rows
    assert {row[3] for row in invalid} == {f"column {name!r} has text that is not UTF-8" for name in traits}


def test_json_is_json(shop: DatabaseSource, read: Read) -> None:
    query = """select 'ada' as user_id, cast('{"ü": "é", "n": 1}' as JSON) as doc, '{"ü": "é"}' as text"""
    traits = {"doc": TraitColumn("doc"), "text": TraitColumn("text", "json")}
    ((_, doc, text),) = read(shop, query=query, traits=traits).rows
    assert text == '{"ü":"é"}'
    assert doc == '{"n":1,"ü":"é"}'


CHANGES = [
    "insert into shop.members (id) values (1)",
    "drop table shop.members",
    "truncate table shop.members",
    "alter table shop.members delete where 1",
    "create table shop.more (x Int8) engine = Memory",
    "select 1 as user_id; drop table shop.members",
]


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_changed_even_by_a_user_who_may(change: str, shop: DatabaseSource, read: Read) -> None:
    with pytest.raises(SourceError, match=r"the query failed: .* It must be one SELECT and nothing else"):
        read(shop, query=change)
    probe = SnapshotRequest(user_id="user_id", query="select 1", probe=change)
    with pytest.raises(SourceError, match="the probe failed: "):
        shop.fingerprint(probe)
    assert read(shop, query="select count() as user_id from shop.members").ids == ["1"]


def test_rows_come_while_the_query_still_runs(shop: DatabaseSource) -> None:
    endless = "select toString(number) as user_id from numbers(1000000000000)"
    with shop.connect() as connection, row_blocks(connection.connection.driver_connection, endless) as blocks:
        assert list(islice(blocks.rows, 3)) == [("0",), ("1",), ("2",)]


def test_a_look_reads_no_more_rows_than_it_wants(shop: DatabaseSource, read: Read) -> None:
    query = "select toString(number) as user_id from numbers(1000000000000)"
    assert read(shop, query=query, sample_rows=3).ids == ["0", "1", "2"]


def test_a_wrong_query_and_a_missing_column_are_errors(shop: DatabaseSource, read: Read) -> None:
    with pytest.raises(SourceError, match="Unknown expression identifier `nope`"):
        read(shop, query="select nope as user_id from shop.members")
    with pytest.raises(SourceError, match="there is no column 'user_id'"):
        read(shop, query="select id from shop.members")
    with pytest.raises(SourceError, match="has the type bytes, which can't hold user ids"):
        read(shop, query="select code as user_id from shop.members")


def test_columns_have_generic_types_and_the_newest_change_an_age(
    shop: DatabaseSource, workspace: Workspace, read: Read
) -> None:
    query = "select id, price, name, zoned, list, flag from shop.members"
    request = SnapshotRequest(user_id="id", query=query, expected=Expectations(columns=True))
    assert shop.read(workspace, request).columns == {
        "id": "number",
        "price": "number",
        "name": "text",
        "zoned": "time",
        "list": "list",
        "flag": "boolean",
    }
    late = Expectations(since=datetime(2018, 11, 2, 9, tzinfo=UTC), modified="select max(zoned) from shop.members")
    with pytest.raises(IncompleteError, match="the newest change is of 2018-11-02 08:30"):
        read(shop, query=query, user_id="id", expected=late)

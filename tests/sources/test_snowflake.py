"""Snowflake as a source, imitated by fakesnow through Snowflake's own driver: never run on Snowflake itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from audience_sync.errors import SourceError
from audience_sync.sources.base import Expectations, SnapshotRequest, TraitColumn
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.workspace import Workspace

from .conftest import Read

fakesnow = pytest.importorskip("fakesnow", reason="`.ci/run` has it in an environment of its own")

_TABLE = """
create table members as select 42::number(38, 0) as user_id, 1.50::number(10, 2) as price, true as flag,
    '2018-11-02 09:30:00'::timestamp_ntz as plain, '2018-11-02 09:30:00 +0200'::timestamp_tz as zoned,
    '2018-11-02'::date as day, parse_json('{"a": 1}') as doc
"""
VALUES = {
    "price": "1.5",
    "flag": "true",
    "plain": '"2018-11-02T09:30:00.000Z"',
    "zoned": '"2018-11-02T07:30:00.000Z"',
    "day": '"2018-11-02T00:00:00.000Z"',
    "doc": '{"a":1}',
}


@pytest.fixture(scope="module")
def shop() -> Iterator[DatabaseSource]:
    with fakesnow.patch():
        source = DatabaseSource("snowflake://user:password@account/shop/public?warehouse=small")
        with source.connect(read_only=False) as connection:
            connection.exec_driver_sql(_TABLE)
            connection.commit()
        yield source


def test_values_are_what_they_mean_and_plain_names_are_in_lower_case(shop: DatabaseSource, read: Read) -> None:
    traits = {name: TraitColumn(name) for name in VALUES} | {"doc": TraitColumn("doc", "json")}
    assert read(shop, query="select * from members", traits=traits).rows == [("42", *VALUES.values())]
    assert read(shop, query="select * from members", sample_rows=1).ids == ["42"]


def test_columns_have_generic_types(shop: DatabaseSource, workspace: Workspace) -> None:
    request = SnapshotRequest(user_id="user_id", query="select * from members", expected=Expectations(columns=True))
    types = {name.lower(): kind for name, kind in (shop.read(workspace, request).columns or {}).items()}
    assert types == {
        "user_id": "number",
        "price": "number",
        "flag": "boolean",
        "plain": "time",
        "zoned": "time",
        "day": "time",
        "doc": "variant",
    }


def test_a_wrong_query_is_an_error(shop: DatabaseSource, read: Read) -> None:
    with pytest.raises(SourceError, match="the query failed"):
        read(shop, query="select nope as user_id from members")

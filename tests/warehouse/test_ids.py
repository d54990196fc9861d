"""The rule for user ids gives the same ids and reasons in the warehouse as here."""

from __future__ import annotations

from collections import Counter

import pytest

from audience_sync.errors import SourceError
from audience_sync.sources.base import Comparison, SnapshotRequest, SnapshotRows
from audience_sync.sources.database.engine import warehouse_source
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.workspace import Workspace

from .conftest import Warehouse

NEW = Comparison(source="warehouse", mend="audience-sync resync", state=(), prefix="sync_0_", run=None)
MEMORY = 768_000_000
#: By type, values in SQL.
VALUES = {
    "text": [
        "'ada'",
        "' ada '",
        "''",
        "E'\\t \\u3000\\u00a0'",
        "'007'",
        "'NULL'",
        "null",
        "repeat('x', 2500)",
        "repeat('é', 1251)",
    ],
    "varchar(9)": ["'ada'", "'Ada'", "'ada  '", "''", "null"],
    "char(5)": ["'ada'", "'adam5'", "''", "null"],
    "name": ["'ada'", "null"],
    "citext_like": ["'ada'", "null"],
    "color": ["'red'", "null"],
    "uuid": ["'7E1D2C3B-0000-4000-8000-00000000000a'", "null"],
    "smallint": ["7", "-7", "null"],
    "integer": ["7", "2147483647", "null"],
    "bigint": ["9223372036854775807", "-9223372036854775808", "null"],
    "numeric": [
        "42",
        "42.0",
        "42.000",
        "-1e30",
        "0.5",
        "'NaN'",
        "'Infinity'",
        "1e2600",
        "123456789012345678901234567890",
        "null",
    ],
    "numeric(10, 2)": ["42", "42.50", "-0.00", "null"],
    "double precision": [
        "42",
        "42.5",
        "1e15",
        "9007199254740992",
        "9007199254740993e1",
        "'NaN'",
        "'-Infinity'",
        "-0.0",
        "null",
    ],
    "real": ["42", "16777216", "123456789", "0.1", "'NaN'", "null"],
    "date": ["'2026-05-01'", "'infinity'", "'-infinity'", "'10000-01-01'", "'0044-03-15 BC'", "'0001-01-01'", "null"],
}


def ids(workspace: Workspace, rows: SnapshotRows) -> tuple[set[str], Counter[str]]:
    """The valid ids, and the reasons with the number of their rows."""
    valid = {user for (user,) in workspace.all(f"select user_id from ({rows.select})") if user is not None}
    return valid, Counter(reason for (reason,) in workspace.all(f"select reason from ({rows.invalid_rows})"))


@pytest.mark.parametrize("kind", VALUES)
def test_ids_are_those_of_a_source_that_is_fetched(kind: str, warehouse: Warehouse) -> None:
    warehouse.execute(
        "create type color as enum ('red', 'blue')",
        "create domain citext_like as text",
        f"create table users (user_id {kind})",
        *(f"insert into users values ({value})" for value in VALUES[kind]),
    )
    request = SnapshotRequest(user_id="user_id", query="select user_id from users;")
    with Workspace(MEMORY) as workspace:
        fetched = DatabaseSource(warehouse.url).read(workspace, request)
        compared = warehouse_source(warehouse.url, "audience_sync").read(
            workspace, SnapshotRequest(user_id="user_id", query="select user_id from users;", comparison=NEW)
        )
        assert ids(workspace, compared) == ids(workspace, fetched)


@pytest.mark.parametrize(
    "kind", ["boolean", "timestamp", "timestamptz", "json", "jsonb", "bytea", "integer[]", "interval"]
)
def test_a_column_that_can_hold_no_ids_is_refused(kind: str, warehouse: Warehouse) -> None:
    warehouse.execute(f"create table users (user_id {kind})")
    request = SnapshotRequest(user_id="user_id", query="select user_id from users", comparison=NEW)
    with Workspace(MEMORY) as workspace, pytest.raises(SourceError, match="can't hold user ids"):
        warehouse_source(warehouse.url, "audience_sync").read(workspace, request)

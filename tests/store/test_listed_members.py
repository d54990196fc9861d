"""The lines of a listed audience, written part by part, are those of its members one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from audience_sync.history import members as listing
from audience_sync.history.members import CSV_LINE, JSON_LINE, members_of
from audience_sync.model import RunId
from audience_sync.sql import Expression
from audience_sync.store.connection.bulk import insert_rows
from audience_sync.store.connection.engine import Store
from audience_sync.store.snapshots.chain import BASE, DELTA, write_snapshot_file
from audience_sync.store.tables import changes, properties
from audience_sync.workspace import Workspace

from .examples import FIRST_MORNING, a_store_with, save, the_audience

SINCE = "2026-03-02T06:00:00Z"
#: Signs that CSV, JSON, GLOB or an expression could read in another way, and any that Python and DuckDB both know.
SIGNS = st.sampled_from([*'ab-~!#[]^*?\\/ ",\n\r\t=+', "\x01", "\x7f", "\x85", "\xa0", "é", "\u2028", "\U0001f600"])
USERS = st.text(
    st.one_of(SIGNS, st.characters(codec="utf-8", exclude_characters="\0", categories=["L", "N", "Cc", "Cf", "Co"]))
)


def csv_field(user: str) -> str:
    if user.isprintable() and user == user.strip() and not set(',"') & set(user):
        return user
    return '"' + user.replace('"', '""') + '"'


def written(workspace: Workspace, line: Expression, user: str) -> str:
    (text,) = workspace.one(f"select {line} from (select ?::varchar as user_id, '{SINCE}' as member_since)", [user])
    return str(text)


@settings(deadline=None)
@given(user=USERS.filter(bool))
def test_an_id_is_quoted_by_the_documented_rule(shared_workspace: Workspace, user: str) -> None:
    assert written(shared_workspace, CSV_LINE, user) == f"{csv_field(user)},{SINCE}\n"


@settings(deadline=None)
@given(user=USERS.filter(bool))
def test_a_json_line_is_an_object_with_the_id(shared_workspace: Workspace, user: str) -> None:
    line = written(shared_workspace, JSON_LINE, user)
    assert json.loads(line) == {"user_id": user, "member_since": SINCE}
    assert re.match(r'{"user_id": ".*", "member_since": "', line)


@pytest.fixture(scope="module")
def shared_workspace() -> Iterator[Workspace]:
    with Workspace(768_000_000) as workspace:
        yield workspace


@pytest.fixture
def stored(store: Store, workspace: Workspace) -> Store:
    """300,000 members of run 1. In run 2 every hundredth leaves, and 100 enter before, between and after the others."""
    a_store_with(store, runs_so_far=2)
    base = write_snapshot_file(
        workspace, BASE, "select format('m{:06}', i) as user_id, 1 as run_id, true as present from range(300_000) t(i)"
    )
    moved = "select format('m{:06}', i) as user_id, false as present from range(0, 300_000, 100) t(i)"
    come = "select format('{}{:06}x', ['a', 'm', 'z'][1 + i % 3], i * 3000) as user_id, true from range(100) t(i)"
    changed = workspace.table("changed", f"{moved} union all {come}")
    delta = write_snapshot_file(workspace, DELTA, f"select user_id, 2 as run_id, present from {changed}")
    number = save(store, the_audience(), base)
    save(store, the_audience(id=number), delta, run=2)
    rows = workspace.all(f"select 2, user_id, 1, case when present then 'true' else 'false' end from {changed}")
    with store.writing() as connection:
        row = {"kind": "audience", "key": "vip", "name": "VIP", "chain_id": number, "created_run_id": RunId(1)}
        connection.execute(insert(properties).values(row))
        insert_rows(connection, changes, ("run_id", "user_id", "property_id", "value"), [rows])
    return store


def listed(store: Store, at: datetime | None) -> list[str]:
    parts = members_of(store, "vip", at=at, memory_limit=768_000_000)
    return b"".join([part.lines for part in parts]).decode().splitlines()


FIRST = [f"m{number:06}" for number in range(300_000)]
COME = [f"{'amz'[number % 3]}{number * 3000:06}x" for number in range(100)]
NOW = sorted(
    [f"{user},{SINCE}" for user in FIRST if user[-2:] != "00"] + [f"{user},2026-03-03T06:00:00Z" for user in COME]
)


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_members_come_in_the_order_of_their_ids(stored: Store, groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "GROUPS_A_PART", groups)
    assert listed(stored, None) == NOW


def test_members_with_long_ids_come_in_the_order_of_their_ids(stored: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PART_BYTES", 0)
    assert listed(stored, None) == NOW


def test_members_of_a_past_time_are_those_before_later_changes(stored: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "GROUPS_A_PART", 1)
    assert listed(stored, FIRST_MORNING) == [f"{user},{SINCE}" for user in FIRST]

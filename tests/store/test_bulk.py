"""Many rows arrive unchanged: by COPY, in statements of many rows, and as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from audience_sync.model import RunId
from audience_sync.store.connection import bulk
from audience_sync.store.connection.bulk import ROWS_PER_INSERT, delete_rows, delete_users, insert_rows, insert_users
from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import changes, members, run_invalid_rows
from audience_sync.workspace import Workspace

from .examples import a_store_with

COLUMNS = ("property_id", "user_id", "run_id")


@pytest.mark.parametrize(
    "user_id",
    ["a\tb", "a\nb", "a\\b", "\\N", "NULL", '"', "'", "a,b", "é", "\U0001f600", " a ", "007", "x" * 1000],
    ids=lambda user_id: repr(user_id)[:20],
)
def test_a_user_id_arrives_as_written(store: Store, user_id: str) -> None:
    a_store_with(store, audiences=["vip"])
    with store.writing() as connection:
        insert_rows(connection, members, COLUMNS, [[(1, user_id, 1)]])
    with store.reading() as connection:
        assert connection.execute(select(members)).all() == [(1, user_id, 1)]


def test_a_missing_value_arrives_as_null_and_an_empty_one_as_empty(store: Store) -> None:
    a_store_with(store, audiences=["vip"])
    rows = [(1, "ann", 1, None), (1, "ben", 1, ""), (1, "cid", 1, "null")]
    with store.writing() as connection:
        insert_rows(connection, changes, ("run_id", "user_id", "property_id", "value"), [rows])
    with store.reading() as connection:
        found = connection.execute(select(changes.c.user_id, changes.c.value).order_by(changes.c.user_id)).all()
    assert found == [("ann", None), ("ben", ""), ("cid", "null")]


def test_batches_follow_one_another(store: Store) -> None:
    a_store_with(store, audiences=["vip"])
    with store.writing() as connection:
        insert_rows(connection, members, COLUMNS, [[(1, "ann", 1), (1, "ben", 1)], [], [(1, "cid", 1)]])
    assert user_ids(store) == ["ann", "ben", "cid"]


@pytest.mark.parametrize(
    "size", [1, ROWS_PER_INSERT - 1, ROWS_PER_INSERT, ROWS_PER_INSERT + 1, 2 * ROWS_PER_INSERT, 3 * ROWS_PER_INSERT + 7]
)
def test_every_row_of_a_batch_of_any_size_arrives(store: Store, size: int) -> None:
    a_store_with(store, audiences=["vip"])
    users = [f"user-{number:04}" for number in range(size)]
    with store.writing() as connection:
        insert_rows(connection, members, COLUMNS, [[(1, user, 1) for user in users]])
    assert user_ids(store) == users


def test_no_batch_is_no_row(store: Store) -> None:
    with store.writing() as connection:
        insert_rows(connection, members, COLUMNS, [])
    assert user_ids(store) == []


def test_a_column_called_row_is_no_trouble(store: Store) -> None:
    a_store_with(store)
    with store.writing() as connection:
        insert_rows(
            connection, run_invalid_rows, ("run_id", "number", "file", "row", "reason"), [[(1, 1, "a.csv", 7, "?")]]
        )
    with store.reading() as connection:
        assert connection.execute(select(run_invalid_rows.c.row)).scalar_one() == 7


def test_deleting_takes_the_rows_with_these_values_and_no_others(store: Store) -> None:
    a_store_with(store, audiences=["vip", "new"])
    with store.writing() as connection:
        insert_rows(connection, members, COLUMNS, [[(1, "ann", 1), (1, "ben", 1), (2, "ann", 1)]])
        delete_rows(connection, members, ("property_id", "user_id"), [[(1, "ann"), (1, "nobody")], [(2, "ben")]])
    with store.reading() as connection:
        assert connection.execute(select(members).order_by(members.c.property_id)).all() == [
            (1, "ben", 1),
            (2, "ann", 1),
        ]


def user_ids(store: Store) -> list[str]:
    with store.reading() as connection:
        return list(connection.execute(select(members.c.user_id).order_by(members.c.user_id)).scalars())


AWKWARD = [
    "a\tb",
    "a\nb",
    "a\rb",
    "a\\b",
    "\\N",
    "\\.",
    "NULL",
    '"',
    "'",
    "a,b",
    "é",
    "\U0001f600",
    " a ",
    "007",
    "[1]",
    "\x01",
    "x" * 255,
]


def users_file(workspace: Workspace, *rows: tuple[int, str, bool]) -> Path:
    """A Parquet file with the property id, the user and whether the user is present, in this order."""
    table = workspace.table(
        "users", "select null::integer as property_id, null::varchar as user_id, true as present limit 0"
    )
    for row in rows:
        workspace.run(f"insert into {table} values (?, ?, ?)", row)
    path = workspace.path(".parquet")
    workspace.run(f"copy (from {table} order by property_id, user_id) to '{path}' (format parquet)")
    return path


def all_members(store: Store) -> list[tuple[int, str, int]]:
    with store.reading() as connection:
        rows = connection.execute(select(members).order_by(members.c.property_id, members.c.user_id))
        return [(row.property_id, row.user_id, row.run_id) for row in rows]


def test_present_users_of_a_file_become_rows_of_their_audiences(store: Store, workspace: Workspace) -> None:
    a_store_with(store, audiences=["vip", "new"])
    file = users_file(workspace, (1, "ann", True), (1, "ben", False), (2, "ann", True), (2, "cid", True))
    with store.writing() as connection:
        insert_users(connection, workspace, members, file, 4, audience="property_id", run=RunId(3))
    assert all_members(store) == [(1, "ann", 3), (2, "ann", 3), (2, "cid", 3)]


def test_all_users_of_a_file_are_deleted_from_their_audiences_only(store: Store, workspace: Workspace) -> None:
    a_store_with(store, audiences=["vip", "new"])
    with store.writing() as connection:
        rows = [(1, "ann", 1), (1, "ben", 1), (1, "cid", 1), (2, "ann", 1), (2, "ben", 1)]
        insert_rows(connection, members, COLUMNS, [rows])
        file = users_file(
            workspace, (1, "ann", True), (1, "ben", False), (1, "dan", False), (2, "cid", True), (2, "ben", True)
        )
        delete_users(connection, workspace, members, file, 5, audience="property_id")
    assert all_members(store) == [(1, "cid", 1), (2, "ann", 1)]


def test_awkward_ids_of_a_file_arrive_as_written_and_are_found_again(store: Store, workspace: Workspace) -> None:
    a_store_with(store, audiences=["vip"])
    file = users_file(workspace, *((1, user, True) for user in AWKWARD))
    with store.writing() as connection:
        insert_users(connection, workspace, members, file, len(AWKWARD), audience="1", run=RunId(1))
    assert all_members(store) == [(1, user, 1) for user in sorted(AWKWARD)]
    with store.writing() as connection:
        delete_users(connection, workspace, members, file, len(AWKWARD), audience="1")
    assert all_members(store) == []


@pytest.mark.parametrize("count", [0, 1, 299, 300, 301, 1000])
def test_a_file_of_any_size_arrives_whole(
    store: Store, workspace: Workspace, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "ROWS_PER_GROUP", 300)
    a_store_with(store, audiences=["vip"])
    path = workspace.path(".parquet")
    users = f"select format('u{{:04}}', i) as user_id, true as present from range({count}) t(i)"
    workspace.run(f"copy ({users}) to '{path}' (format parquet)")
    with store.writing() as connection:
        insert_users(connection, workspace, members, path, count, audience="1", run=RunId(1))
    assert user_ids(store) == [f"u{number:04}" for number in range(count)]
    with store.writing() as connection:
        delete_users(connection, workspace, members, path, count, audience="1")
    assert user_ids(store) == []

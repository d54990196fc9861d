"""Many rows arrive unchanged, by COPY and by executemany."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from audience_sync.store.connection.bulk import ROWS_PER_INSERT, delete_rows, insert_rows
from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import changes, members, run_invalid_rows

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

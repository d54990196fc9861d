"""`retention` deletes what is replaced, and nothing that is current."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select

from audience_sync.model import HistoryKind, RunId
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance.pruning import delivered_through, mark_pruned, prune, pruned_through
from audience_sync.store.tables import (
    changes,
    delivery_cursors,
    delivery_destinations,
    delivery_requests,
    open_refusals,
    run_audiences,
    run_destinations,
    run_invalid_rows,
    unaccepted_calls,
)

from .examples import FIRST_MORNING, a_store_with

#: Run, user, the audience's number, and whether they entered.
Change = tuple[int, str, int, str]

#: ada came, went, and came again; bob went once; cyd only counts in the other audience.
LOG: list[Change] = [
    (2, "ada", 1, "true"),
    (2, "bob", 1, "false"),
    (3, "ada", 1, "false"),
    (3, "ada", 2, "true"),
    (4, "ada", 1, "true"),
    (5, "ada", 1, "false"),
    (5, "cyd", 2, "true"),
]


def keep(store: Store, log: Sequence[Change]) -> None:
    with store.writing() as connection:
        columns = ("run_id", "user_id", "property_id", "value")
        connection.execute(insert(changes), [dict(zip(columns, each, strict=True)) for each in log])


def log_of(store: Store) -> list[Change]:
    query = select(changes.c.run_id, changes.c.user_id, changes.c.property_id, changes.c.value)
    with store.reading() as connection:
        return sorted((row.run_id, row.user_id, row.property_id, row.value) for row in connection.execute(query))


def steps(store: Store, history: HistoryKind, through: int, *, rows: int) -> int:
    """Delete all that may go; returns in how many steps."""
    with store.writing() as connection:
        mark_pruned(connection, history, through)
    for step in range(1, 100):
        with store.writing() as connection:
            if not prune(connection, history, rows):
                return step
    raise AssertionError("there is no end to it")


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_of_old_changes_the_newest_of_each_user_and_property_stays(store: Store, rows: int) -> None:
    a_store_with(store, runs_so_far=5, audiences=["vip", "dog"])
    keep(store, LOG)
    steps(store, HistoryKind.CHANGES, 4, rows=rows)
    assert log_of(store) == [
        (2, "bob", 1, "false"),
        (3, "ada", 2, "true"),
        (4, "ada", 1, "true"),
        (5, "ada", 1, "false"),
        (5, "cyd", 2, "true"),
    ]


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_day_by_day_the_same_is_left_as_at_once(store: Store, rows: int) -> None:
    a_store_with(store, runs_so_far=5, audiences=["vip", "dog"])
    keep(store, LOG)
    for run in range(1, 6):
        steps(store, HistoryKind.CHANGES, run, rows=rows)
    assert log_of(store) == [
        (2, "bob", 1, "false"),
        (3, "ada", 2, "true"),
        (5, "ada", 1, "false"),
        (5, "cyd", 2, "true"),
    ]


def test_a_large_run_goes_in_steps_and_each_goes_on_where_the_last_one_ended(store: Store) -> None:
    a_store_with(store, runs_so_far=3, audiences=["vip"])
    users = [f"user-{number:02}" for number in range(25)]
    keep(store, [(2, user, 1, "false") for user in users] + [(3, user, 1, "true") for user in users])
    assert steps(store, HistoryKind.CHANGES, 3, rows=10) == 6
    assert log_of(store) == [(3, user, 1, "true") for user in users]
    with store.writing() as connection:
        assert not prune(connection, HistoryKind.CHANGES, 10)


def test_it_is_known_before_anything_goes_how_much_is_no_longer_kept(store: Store) -> None:
    a_store_with(store, runs_so_far=5, audiences=["vip", "dog"])
    keep(store, LOG)
    with store.writing() as connection:
        mark_pruned(connection, HistoryKind.CHANGES, 4)
    with store.reading() as connection:
        assert pruned_through(connection)[HistoryKind.CHANGES] == 4
        assert pruned_through(connection)[HistoryKind.REQUESTS] == 0
    assert log_of(store) == sorted(LOG)


def test_a_longer_retention_brings_nothing_back(store: Store) -> None:
    a_store_with(store, runs_so_far=5, audiences=["vip", "dog"])
    with store.writing() as connection:
        mark_pruned(connection, HistoryKind.CHANGES, 4)
        mark_pruned(connection, HistoryKind.CHANGES, 2)
        assert pruned_through(connection)[HistoryKind.CHANGES] == 4


def a_destination(store: Store, name: str, *positions: int) -> None:
    with store.writing() as connection:
        row = {"name": name, "type": "file", "created_at": FIRST_MORNING}
        key = connection.execute(insert(delivery_destinations).values(row)).inserted_primary_key
        assert key is not None
        for position in positions:
            connection.execute(insert(delivery_cursors).values(destination_id=key[0], position=position))


def test_a_destinations_position_is_the_lowest_of_its_cursors(store: Store) -> None:
    a_store_with(store, runs_so_far=9)
    a_destination(store, "connect", 8, 5)
    a_destination(store, "log", 7)
    a_destination(store, "gone", 1)
    with store.reading() as connection:
        assert delivered_through(connection, ["log"], RunId(9)) == 7
        assert delivered_through(connection, ["connect", "log"], RunId(9)) == 5
        assert delivered_through(connection, [], RunId(9)) == 9


def a_request(store: Store, number: int, run: int) -> None:
    with store.writing() as connection:
        ends = {"after_user": "", "through_user": "zoe", "calls": 3, "refused": 1, "attempts": 1}
        row = {"id": number, "destination_id": 1, "run_id": run, **ends, "answered_at": FIRST_MORNING}
        connection.execute(insert(delivery_requests).values(row))
        untaken = {"request_id": number, "user_id": f"user-{number}", "reason": "no such user"}
        connection.execute(insert(unaccepted_calls).values(untaken))


def test_requests_go_with_their_refused_calls_but_not_while_one_is_still_refused(store: Store) -> None:
    a_store_with(store, runs_so_far=4)
    a_destination(store, "connect", 4)
    for number, run in [(1, 1), (2, 2), (3, 2), (4, 3)]:
        a_request(store, number, run)
    with store.writing() as connection:
        row = {"destination_id": 1, "user_id": "user-2", "run_id": 2, "reason": "no such user", "attempts": 1}
        connection.execute(insert(open_refusals).values(**row, refused_at=datetime.now(UTC)))
    steps(store, HistoryKind.REQUESTS, 2, rows=1)
    with store.reading() as connection:
        assert connection.execute(select(delivery_requests.c.id).order_by(delivery_requests.c.id)).scalars().all() == [
            2,
            4,
        ]
        assert connection.execute(select(unaccepted_calls.c.user_id).order_by("user_id")).scalars().all() == [
            "user-2",
            "user-4",
        ]


def test_what_runs_found_and_delivered_goes_run_by_run(store: Store) -> None:
    a_store_with(store, runs_so_far=3, audiences=["vip"])
    a_destination(store, "log", 3)
    with store.writing() as connection:
        for run in (1, 2, 3):
            counts = dict.fromkeys(("members_before", "members_after", "entered", "left", "invalid"), 0)
            connection.execute(insert(run_audiences).values(run_id=run, audience_key="vip", status="synced", **counts))
            sums = dict.fromkeys(("calls", "delivered", "refused", "pending", "retries", "requests", "seconds"), 0)
            connection.execute(insert(run_destinations).values(run_id=run, destination_id=1, **sums))
            row = {"run_id": run, "number": 1, "file": "vip.csv", "row": 7, "reason": "empty"}
            connection.execute(insert(run_invalid_rows).values(row))
    steps(store, HistoryKind.RUNS, 2, rows=1)
    steps(store, HistoryKind.INVALID_ROWS, 1, rows=1)
    with store.reading() as connection:
        assert connection.execute(select(run_audiences.c.run_id)).scalars().all() == [3]
        assert connection.execute(select(run_destinations.c.run_id)).scalars().all() == [3]
        assert connection.execute(select(run_invalid_rows.c.run_id).order_by("run_id")).scalars().all() == [2, 3]

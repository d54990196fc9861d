"""The views show what happened. (Their columns: test_docs_database.)"""

from __future__ import annotations

import pytest
from sqlalchemy import delete, insert, text, update

from audience_sync.history.runs import last_runs, one_run
from audience_sync.model import RunId
from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import members, properties, runs

from .example_week import EMPTY, NO_FILE, change, morning, rows


def test_a_run_sums_up_its_audiences_and_destinations(week: Store) -> None:
    with week.reading() as connection:
        newest = last_runs(connection, limit=1)
    assert newest == [
        {
            "run": 43,
            "command": "sync",
            "status": "failed",
            "started_at": morning(6),
            "finished_at": morning(6).replace(second=3),
            "seconds": 1.5,
            "audiences": 3,
            "entered": 2,
            "left": 1,
            "held": 0,
            "failed": 1,
            "trait_users_changed": 0,
            "delivered": 4,
            "refused": 2,
            "pending": 1,
            "error": NO_FILE,
            "started_by": None,
            "host": None,
            "entries": None,
            "entries_loaded": None,
            "traits_held": 0,
            "reason": None,
        }
    ]


def test_a_run_that_has_just_begun_is_there_with_nothing_yet(week: Store) -> None:
    begun = {"command": "seed", "status": "running", "started_at": morning(7)}
    change(week, insert(runs).values(id=44, **begun, holder="process 8 on shop", version="1.0"))
    columns = 'finished_at, seconds, audiences, entered, "left", trait_users_changed, delivered, pending, error'
    query = f"select status, {columns} from sync_runs where run = 44"
    assert rows(week, query) == [("running", None, None, 0, 0, 0, 0, 0, 0, None)]


def test_a_held_audience_keeps_its_members(week: Store) -> None:
    query = "select members_before, members_after, entered, \"left\", error from audience_syncs where status = 'held'"
    assert rows(week, query) == [(4, 4, 0, 0, EMPTY)]


def test_a_delivery_names_its_destination(week: Store) -> None:
    query = "select destination, calls, delivered, refused, pending from deliveries where run = 43 order by 1"
    assert rows(week, query) == [("connect", 4, 1, 2, 1), ("log", 3, 3, 0, 0)]


def test_a_member_is_one_since_the_run_that_found_them(week: Store) -> None:
    query = "select audience_key, user_id, since_run from audience_members where user_id = 'fay' order by since_run"
    assert rows(week, query) == [("new_customers", "fay", 39), ("big_spenders", "fay", 43)]


def test_nobody_is_listed_where_the_table_of_members_is_off(week: Store) -> None:
    change(week, delete(members))
    assert rows(week, "select * from audience_members") == []


def test_computed_traits_are_no_memberships(week: Store) -> None:
    assert rows(week, "select user_id, change from membership_changes where run = 40 order by user_id") == [
        ("ben", "left"),
        ("eve", "entered"),
    ]


def test_the_changes_of_a_retired_audience_stay(week: Store) -> None:
    change(week, update(properties).values(retired_at=morning(7)))
    assert rows(week, "select count(*) from membership_changes") == [(9,)]


def test_a_refused_call_is_there_with_its_reason(week: Store) -> None:
    query = "select run, destination, reason, http_status, attempts from refused_calls where user_id = 'ben'"
    assert rows(week, query) == [(43, "connect", "the e-mail address is not valid", 400, 2)]


def test_an_invalid_row_is_there_with_its_place_and_reason(week: Store) -> None:
    query = 'select audience_key, file, "row", user_id, reason from invalid_rows where run = 42 order by "row"'
    assert rows(week, query) == [
        ("new_customers", "new_customers.csv", 17, None, "no user id"),
        ("new_customers", "new_customers.csv", 23, " ", "empty user id"),
    ]


def test_user_ids_are_ordered_by_their_bytes(week: Store) -> None:
    """Hazard 5, as people see it."""
    hostile = ["10", "9", "B", "Z", "a", "é", "\uffff", "\U0001f600"]
    unordered = [{"property_id": 1, "user_id": user, "run_id": 39} for user in reversed(hostile)]
    change(week, delete(members), insert(members).values(unordered))
    found = rows(week, "select user_id from audience_members order by user_id")
    assert [user for (user,) in found] == hostile


def test_one_run_brings_everything_about_it(week: Store) -> None:
    with week.reading() as connection:
        run = one_run(connection, RunId(43))
    assert [each["audience_key"] for each in run["audience_syncs"]] == ["big_spenders", "churn_risk", "new_customers"]
    assert [each["destination"] for each in run["deliveries"]] == ["connect", "log"]
    assert [each["user_id"] for each in run["refused_calls"]] == ["ben", "fay"]
    assert run["invalid_rows"] == []


def plan(store: Store, query: str) -> str:
    explain = "explain query plan" if store.is_sqlite else "explain"
    with store.reading() as connection:
        if not store.is_sqlite:
            connection.execute(text("set local search_path = audience_sync"))
            connection.execute(text("set local enable_seqscan = off"))
        return "\n".join(str(row[-1]) for row in connection.execute(text(f"{explain} {query}")))


@pytest.mark.parametrize(
    ("query", "indexes"),
    [
        ("select * from requests where run = 42", ["ix_delivery_requests_run_id", "ix_request_attempts_run_id"]),
        ("select * from decisions where run = 42", ["ix_decision_log_run_id"]),
    ],
    ids=["requests", "decisions"],
)
def test_the_rows_of_one_run_are_found_by_an_index(week: Store, query: str, indexes: list[str]) -> None:
    found = plan(week, query)
    assert [index for index in indexes if index not in found] == []

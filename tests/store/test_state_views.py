"""The views of audiences, traits, destinations and pending calls state what is so now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from audience_sync.model import RunId
from audience_sync.store.connection.engine import Store
from audience_sync.store.runs.deliveries import count_answers
from audience_sync.store.tables import (
    absences,
    audience_freezes,
    delivery_cursors,
    delivery_requests,
    held_out_users,
    held_snapshots,
    properties,
    request_attempts,
    run_audiences,
    run_destinations,
    runs,
    snapshot_chains,
    unaccepted_calls,
)

from .example_week import BIG, CONNECT, LOG, NEW, change, morning, rows

FLAGS = "select key, flags from audiences order by key"
PENDING = "select destination, calls, since_run, waiting from pending_calls order by destination"
#: A hold of big_spenders since run 43.
HOLD = {
    "kind": "audience",
    "key": "big_spenders",
    "run_id": 43,
    "last_run_id": 43,
    "status": "held",
    "reason": "empty",
    "together": False,
    "members_before": 5,
    "entered": 0,
    "left": 5,
    "held_at": morning(6),
}


class TestAnAudience:
    def test_has_the_facts_of_its_creation_and_its_last_run(self, week: Store) -> None:
        query = "select created_run, members, held_out, absent, last_run, last_status from audiences order by key"
        assert rows(week, query) == [
            (39, 5, 0, 0, 43, "synced"),
            (None, 0, 0, 0, 43, "waiting"),
            (39, 3, 0, 0, 43, "failed"),
        ]
        times = "substr(cast(created_at as varchar), 1, 10), substr(cast(changed_at as varchar), 1, 10)"
        assert rows(week, f"select {times} from audiences where key = 'new_customers'") == [
            ("2026-03-02", "2026-03-05")
        ]

    def test_that_has_never_been_created_has_its_name_and_source(self, week: Store) -> None:
        query = (
            "select key, name, source, created_at, retired_at, changed_at, flags from audiences where key like 'churn%'"
        )
        assert rows(week, query) == [("churn_risk", "Churn Risk", "shop", None, None, None, "waiting")]

    def test_that_the_config_no_longer_has_and_was_never_created_is_gone(self, week: Store) -> None:
        _add_run(week, covers_all=True)
        assert [key for key, _ in rows(week, FLAGS)] == ["big_spenders", "new_customers"]

    def test_that_waits_stays_when_a_run_loads_other_audiences_alone(self, week: Store) -> None:
        _add_run(week, covers_all=None)
        assert [key for key, _ in rows(week, FLAGS)] == ["big_spenders", "churn_risk", "new_customers"]

    def test_that_was_created_waits_no_longer(self, week: Store) -> None:
        chain = insert(snapshot_chains).values(id=9, kind="audience", user_count=2, changed_run_id=44)
        created = {"kind": "audience", "key": "churn_risk", "name": "Churn Risk", "source": "shop"}
        change(week, chain)
        _add_run(week, covers_all=None)
        change(week, insert(properties).values(**created, chain_id=9, created_run_id=44), _result("created"))
        assert rows(week, "select members, created_run, last_run, flags from audiences where key = 'churn_risk'") == [
            (2, 44, 44, "")
        ]

    def test_has_every_flag_that_applies_in_one_order(self, week: Store) -> None:
        now = datetime.now(UTC)
        change(
            week,
            insert(held_snapshots).values(**HOLD),
            insert(audience_freezes).values(property_id=BIG, frozen_at=now, frozen_by="ann"),
            update(properties).where(properties.c.id == BIG).values(holdout=0.1, min_stay="2d", retired_at=now),
        )
        assert rows(week, FLAGS)[0] == ("big_spenders", "frozen, held, retired, holdout, min_stay")

    @pytest.mark.parametrize(
        ("until", "unfrozen", "flags"),
        [(None, False, "frozen"), (60, False, "frozen"), (-60, False, ""), (None, True, "")],
        ids=["for good", "until later", "until a minute ago", "ended by a person"],
    )
    def test_is_frozen_while_its_freeze_lasts(self, week: Store, until: int | None, unfrozen: bool, flags: str) -> None:
        now = datetime.now(UTC)
        frozen = {"property_id": BIG, "frozen_at": now, "frozen_by": "ann", "unfrozen_at": now if unfrozen else None}
        end = None if until is None else now + timedelta(seconds=until)
        change(week, insert(audience_freezes).values(**frozen, frozen_until=end))
        assert rows(week, FLAGS)[0] == ("big_spenders", flags)

    def test_is_held_until_a_person_or_another_snapshot_ends_the_hold(self, week: Store) -> None:
        change(week, insert(held_snapshots).values(**HOLD))
        assert rows(week, FLAGS)[0] == ("big_spenders", "held")
        change(week, update(held_snapshots).values(status="rejected"))
        assert rows(week, FLAGS)[0] == ("big_spenders", "")

    def test_counts_users_who_are_held_out_and_members_who_are_missing(self, week: Store) -> None:
        change(
            week,
            insert(held_out_users).values(property_id=BIG, user_id="zoe", run_id=43),
            insert(absences).values(property_id=BIG, user_id="ada", run_id=43),
            update(properties).where(properties.c.id == BIG).values(holdout=0.1, holdout_salt="big_spenders"),
        )
        assert rows(week, "select held_out, absent from audiences where key = 'big_spenders'") == [(1, 1)]

    def test_has_no_last_result_when_retention_has_deleted_it(self, week: Store) -> None:
        change(week, delete(run_audiences))
        query = "select key, members, last_run, last_status, flags from audiences order by key"
        assert rows(week, query) == [("big_spenders", 5, None, None, ""), ("new_customers", 3, None, None, "")]


class TestAComputedTrait:
    def test_has_the_facts_of_its_creation(self, week: Store) -> None:
        query = "select key, name, source, created_run, retired_at, users, flags from computed_traits"
        assert rows(week, query) == [("plan", "Plan", "shop", 39, None, 7, "")]

    def test_that_is_held_or_retired_says_so(self, week: Store) -> None:
        change(week, insert(held_snapshots).values(**{**HOLD, "kind": "computed_trait", "key": "plan"}))
        assert rows(week, "select users, flags from computed_traits") == [(7, "held")]
        change(week, update(properties).where(properties.c.key == "plan").values(retired_at=morning(7)))
        assert rows(week, "select users, flags from computed_traits") == [(0, "held, retired")]

    def test_does_not_include_the_previous_ids_of_users(self, week: Store) -> None:
        change(week, update(properties).where(properties.c.key == "plan").values(key="$alias"))
        assert rows(week, "select * from computed_traits") == []
        assert rows(week, "select * from trait_changes") == []
        assert rows(week, "select computed_traits from destinations order by name") == [(0,), (0,)]


def test_changes_of_traits_have_the_value_before(week: Store) -> None:
    query = "select run, trait_key, user_id, previous_value, value from trait_changes order by run, user_id"
    assert rows(week, query) == [
        (40, "plan", "eve", '"silver"', '"gold"'),
        (42, "plan", "ben", None, '"silver"'),
        (42, "plan", "dan", '"silver"', None),
    ]


class TestADestination:
    def test_has_its_position_and_what_it_is_sent(self, week: Store) -> None:
        query = (
            "select name, type, sent_through_run, audiences, computed_traits, last_run from destinations order by name"
        )
        assert rows(week, query) == [("connect", "zendesk_connect", 42, 2, 1, 43), ("log", "file", 43, 2, 1, 43)]

    def test_has_its_last_answer_and_the_last_that_accepted_a_call(self, week: Store) -> None:
        whole = (delivery_requests.c.run_id == 43) & (delivery_requests.c.destination_id == CONNECT)
        result = (run_destinations.c.run_id == 43) & (run_destinations.c.destination_id == CONNECT)
        change(
            week,
            update(delivery_requests).where(whole).values(refused=3),
            update(run_destinations).where(result).values(delivered=0, refused=3),
        )
        columns = "substr(cast({0} as varchar), 1, 19)"
        times = ", ".join(columns.format(each) for each in ("last_request_at", "last_accepted_at"))
        assert rows(week, f"select {times}, last_http_status from destinations where name = 'connect'") == [
            ("2026-03-06 06:00:02", "2026-03-05 06:00:02", 400)
        ]

    def test_has_the_last_attempt_if_it_is_newer_than_the_last_answer(self, week: Store) -> None:
        attempt = {"destination_id": CONNECT, "after_user": "", "through_user": "zoe", "attempt": 1, "calls": 1}
        sent = {**attempt, "sent_at": morning(7), "seconds": 0.2, "answer": "HTTP 503"}
        change(week, insert(request_attempts).values(run_id=43, http_status=503, **sent))
        query = (
            "select substr(cast(last_request_at as varchar), 1, 19), last_http_status from destinations order by name"
        )
        assert rows(week, query) == [("2026-03-07 06:00:00", 503), ("2026-03-06 06:00:02", None)]
        change(week, delete(delivery_requests))
        assert rows(week, query) == [("2026-03-07 06:00:00", 503), (None, None)]

    def test_without_an_answer_has_none(self, week: Store) -> None:
        change(week, delete(delivery_requests), delete(request_attempts))
        query = "select last_request_at, last_http_status, last_accepted_at from destinations order by name"
        assert rows(week, query) == [(None, None, None), (None, None, None)]

    def test_that_later_runs_did_not_have_shows_its_last_run(self, week: Store) -> None:
        later = (run_destinations.c.run_id > 41) & (run_destinations.c.destination_id == LOG)
        change(week, delete(run_destinations).where(later))
        assert rows(week, "select last_run from destinations where name = 'log'") == [(41,)]


class TestADelivery:
    def test_in_progress_counts_attempts_without_an_answer(self, week: Store) -> None:
        counts = dict.fromkeys(("delivered", "refused", "retries", "requests"), 0)
        row = {"run_id": 44, "destination_id": CONNECT, "calls": 9, "pending": 9, "seconds": 0.0, **counts}
        _add_run(week, covers_all=True)
        change(week, insert(run_destinations).values(row), update(runs).values(committed_at=morning(7)))
        answered = {
            "destination_id": CONNECT,
            "run_id": 44,
            "after_user": "",
            "through_user": "m",
            "answered_at": morning(7),
        }
        change(week, insert(delivery_requests).values(id=900, calls=4, refused=1, attempts=3, **answered))
        sent = {"destination_id": CONNECT, "run_id": 44, "calls": 4, "sent_at": morning(7), "seconds": 0.2}
        for after, through, attempt, seeded in (
            ("", "m", 1, None),
            ("m", "z", 1, None),
            ("m", "z", 2, None),
            ("m", "z", 1, NEW),
        ):
            place = {"after_user": after, "through_user": through, "attempt": attempt, "seeded_property_id": seeded}
            change(week, insert(request_attempts).values(**sent, **place))
        query = "select calls, delivered, refused, pending, retries, requests from deliveries where run = 44"
        assert rows(week, query) == [(9, 3, 1, 5, 4, 6)]
        assert rows(week, "select count(*) from requests where run = 44") == [(5,)]
        with week.writing() as connection:
            count_answers(connection, RunId(44))
            connection.execute(update(runs).where(runs.c.id == 44).values(status="interrupted"))
        assert rows(week, query) == [(9, 3, 1, 5, 4, 6)]


class TestPendingCalls:
    def test_have_a_row_for_each_destination(self, week: Store) -> None:
        assert rows(week, PENDING) == [("connect", 1, 43, 0), ("log", 0, None, 0)]
        assert rows(week, "select name, pending from destinations order by name") == [("connect", 1), ("log", 0)]

    def test_become_fewer_with_each_answer_of_the_run_that_sends_them(self, week: Store) -> None:
        _add_run(week, covers_all=True)
        _plan(week, CONNECT, None, calls=100)
        assert rows(week, PENDING)[0] == ("connect", 100, 43, 0)
        answer = {"destination_id": CONNECT, "run_id": 44, "after_user": "", "through_user": "m", "attempts": 1}
        answered = {**answer, "calls": 60, "refused": 5, "answered_at": morning(7)}
        change(week, insert(delivery_requests).values(id=900, **answered))
        change(week, insert(unaccepted_calls).values(request_id=900, user_id="zoe"))  # withheld, so no call any more
        assert rows(week, PENDING)[0] == ("connect", 39, 43, 0)

    def test_of_an_unfinished_seed_wait_for_the_next_seed(self, week: Store) -> None:
        _seed(week, pending=900, waiting=None)
        assert rows(week, PENDING)[0] == ("connect", 901, 41, 900)

    def test_to_users_whom_the_seed_has_reached_are_sent_by_the_next_run(self, week: Store) -> None:
        _seed(week, pending=3, waiting=900)
        assert rows(week, PENDING)[0] == ("connect", 904, 41, 900)

    def test_of_a_seed_and_of_other_runs_are_answered_apart(self, week: Store) -> None:
        _seed(week, pending=10, waiting=None)
        _add_run(week, covers_all=None)
        _plan(week, CONNECT, NEW, calls=10)
        answer = {"destination_id": CONNECT, "run_id": 44, "after_user": "", "through_user": "m", "attempts": 1}
        answered = {**answer, "calls": 4, "refused": 0, "answered_at": morning(7), "seeded_property_id": NEW}
        change(week, insert(delivery_requests).values(id=901, **answered))
        assert rows(week, PENDING)[0] == ("connect", 7, 41, 6)


def _add_run(store: Store, *, covers_all: bool | None) -> None:
    """Run 44, a day later."""
    row = {"command": "sync", "status": "running", "started_at": morning(7), "holder": "", "version": "1"}
    change(store, insert(runs).values(id=44, covers_all=covers_all, **row))


def _result(status: str) -> Any:
    """The result of churn_risk in run 44."""
    counts = dict.fromkeys(("members_before", "entered", "left", "invalid"), 0)
    return insert(run_audiences).values(run_id=44, audience_key="churn_risk", status=status, members_after=2, **counts)


def _plan(store: Store, destination: int, seeding: int | None, *, calls: int) -> None:
    """Run 44 is to send these calls from one cursor."""
    cursor = delivery_cursors.c
    mine = (cursor.destination_id == destination) & cursor.seeded_property_id.is_not_distinct_from(seeding)
    change(store, update(delivery_cursors).where(mine).values(pending_calls=calls, pending_run=44))


def _seed(store: Store, *, pending: int, waiting: int | None) -> None:
    """A seed of new_customers since run 41, which was limited."""
    counts = {"pending_calls": pending, "pending_since_run": 41, "waiting_calls": waiting}
    row = {"destination_id": CONNECT, "seeded_property_id": NEW, "position": 0, **counts}
    change(store, insert(delivery_cursors).values(**row))

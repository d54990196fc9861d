"""Every attempt at a request is recorded, with its answer and duration."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, select, text

from audience_sync.destinations.base import Judgement, Meaning
from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import request_attempts, view_prefix

from .harness import DeliveryHarness
from .scripted_destination import (
    DELIVERED,
    REFUSED,
    WRONG_KEY,
    ScriptedDestination,
    always,
    in_turn,
    refusing,
)

TIMED_OUT = Judgement(Meaning.RETRY, "no answer within 10 s", retry_after=0.001)
DOWN = Judgement(Meaning.RETRY, "HTTP 503", status=503, retry_after=0.001)
TOO_MANY = Judgement(Meaning.SLOW_DOWN, "HTTP 429", status=429, retry_after=0.001)


def attempts(store: Store, columns: str = "request, attempt, status, http_status, users, refused") -> list[Any]:
    with store.reading() as connection:
        query = f"select {columns} from {view_prefix(connection)}requests order by run, coalesce(request, 0), attempt"
        return [tuple(row) for row in connection.execute(text(query))]


def test_an_accepted_request_is_one_attempt(harness: DeliveryHarness) -> None:
    harness.deliver(ScriptedDestination(), ["ann", "bob"])
    assert attempts(harness.store) == [(1, 1, "accepted", 200, 2, 0)]
    (columns,) = attempts(harness.store, "sent_at is not null, seconds >= 0, destination, answer")
    assert [bool(columns[0]), bool(columns[1]), *columns[2:]] == [True, True, "connect", None]


def test_attempts_before_the_answer_have_their_own_answers(harness: DeliveryHarness) -> None:
    harness.deliver(ScriptedDestination(in_turn(TOO_MANY, DOWN, TIMED_OUT)), ["ann"])
    assert attempts(harness.store) == [
        (1, 1, "sent again", 429, 1, 0),
        (1, 2, "sent again", 503, 1, 0),
        (1, 3, "no answer", None, 1, 0),
        (1, 4, "accepted", 200, 1, 0),
    ]


def test_a_refused_request_that_is_divided_was_sent_again(harness: DeliveryHarness) -> None:
    """Accepted parts are counted by the last attempt."""
    harness.deliver(ScriptedDestination(refusing("bob")), ["ann", "bob", "cem", "dan"])
    assert attempts(harness.store) == [
        (1, 1, "sent again", 400, 4, 0),
        (1, 2, "sent again", 400, 2, 0),
        (1, 5, "partly refused", 200, 4, 1),
    ]


def test_a_call_that_is_refused_alone_is_final(harness: DeliveryHarness) -> None:
    harness.deliver(ScriptedDestination(always(REFUSED)), ["ann"])
    assert attempts(harness.store) == [(1, 1, "refused", 400, 1, 1)]


def test_a_call_that_is_never_sent_is_no_attempt(harness: DeliveryHarness) -> None:
    harness.deliver(ScriptedDestination(unsendable=["ann"]), ["ann"])
    assert attempts(harness.store) == []


def test_a_request_without_a_final_answer_is_recorded_at_the_end_of_the_delivery(harness: DeliveryHarness) -> None:
    harness.deliver(ScriptedDestination(always(WRONG_KEY)), ["ann", "bob"])
    assert attempts(harness.store) == [(None, 1, "sent again", 401, 2, 0)]
    assert harness.cursor.position == 0


def test_a_batch_without_an_answer_is_recorded_with_the_answer_to_another(harness: DeliveryHarness) -> None:
    destination = ScriptedDestination(in_turn(DELIVERED, WRONG_KEY), batch_size=1)
    harness.deliver(destination, ["ann", "bob", "cem"])
    assert attempts(harness.store) == [(None, 1, "sent again", 401, 1, 0), (1, 1, "accepted", 200, 1, 0)]


def test_an_outage_costs_one_transaction_and_not_one_for_each_attempt(harness: DeliveryHarness) -> None:
    commits: list[object] = []
    event.listen(harness.store.engine, "commit", commits.append)
    harness.deliver(ScriptedDestination(), ["ann"])
    usual = len(commits)
    harness.next_run()
    commits.clear()
    harness.deliver(ScriptedDestination(in_turn(*[TIMED_OUT] * 50)), ["bob"])
    assert len(commits) == usual
    assert len(attempts(harness.store)) == 52


def test_each_renewal_of_the_lease_records_the_attempts_so_far(harness: DeliveryHarness) -> None:
    found: list[int] = []

    def answer(users: list[str]) -> Judgement:
        if len(destination.received) < 3:
            return TIMED_OUT
        with harness.lease.transaction() as connection:
            for write in harness.lease._writes:
                write(connection)
        found.append(len(attempts(harness.store)))
        return DELIVERED

    destination = ScriptedDestination(answer)
    harness.deliver(destination, ["ann"])
    assert found == [2]
    assert [row[:3] for row in attempts(harness.store)] == [
        (1, 1, "no answer"),
        (1, 2, "no answer"),
        (1, 3, "accepted"),
    ]


def test_the_range_of_an_attempt_is_that_of_its_request(harness: DeliveryHarness) -> None:
    harness.deliver(ScriptedDestination(in_turn(DOWN), batch_size=2), ["ann", "bob", "cem"])
    columns = request_attempts.c
    with harness.store.reading() as connection:
        rows = connection.execute(select(columns.after_user, columns.through_user, columns.run_id)).all()
    assert [tuple(row) for row in rows] == [("", "bob", 1)]

"""How is one destination brought up to date? The position follows the answers, whatever comes of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise

import pytest
from sqlalchemy import Connection

from audience_sync.delivery.deliver import DeliveryJob, DeliveryStats, deliver
from audience_sync.delivery.state.cursors import DeliveryCursor, Subscription, save_cursor, save_ranges
from audience_sync.delivery.state.ranges import Range
from audience_sync.destinations.base import Judgement, Meaning
from audience_sync.errors import LeaseLostError
from audience_sync.store.connection.lease import Lease
from audience_sync.store.tables import delivered_ranges, requests

from .doubles import DELIVERED, NO, WRONG_KEY, Answers, ScriptedDestination, in_turn, refusing
from .house import IDS, House

FOUR = ("ann", "bob", "cem", "dan")


def counts(tally: DeliveryStats) -> tuple[int, int, int, int]:
    """Calls, delivered, refused, pending."""
    return tally.calls, tally.delivered, tally.refused, tally.pending


def in_batches_of(size: int, answers: Answers = in_turn(), **options: object) -> ScriptedDestination:  # noqa: B008
    return ScriptedDestination(answers, batch_size=size, **options)


# What becomes of the calls, and where the position then is.


def test_when_all_is_answered_the_position_is_the_run(house: House) -> None:
    tally = house.deliver(in_batches_of(3), FOUR)
    assert counts(tally) == (4, 4, 0, 0)
    assert (tally.complete, tally.error, tally.requests) == (True, "", 2)
    assert house.feed == DeliveryCursor(id=1, position=1)


def test_every_request_leaves_one_row(house: House) -> None:
    house.deliver(in_batches_of(3, refusing("bob")), FOUR)
    assert house.requests() == [("", "cem", 3, 1, 1), ("cem", "dan", 1, 0, 1)]


def test_nothing_owed_moves_the_position_without_a_request(house: House) -> None:
    destination = in_batches_of(3)
    tally = house.deliver(destination, [])
    assert counts(tally) == (0, 0, 0, 0)
    assert tally.complete
    assert (house.feed, destination.received) == (DeliveryCursor(id=1, position=1), [])


def test_refused_calls_do_not_keep_the_position(house: House) -> None:
    tally = house.deliver(in_batches_of(2, refusing("bob", "cem")), FOUR)
    assert counts(tally) == (4, 2, 2, 0)
    assert tally.complete
    assert house.feed == DeliveryCursor(id=1, position=1)


def test_a_stop_keeps_who_was_told_and_leaves_the_rest_owed(house: House) -> None:
    tally = house.deliver(in_batches_of(1, in_turn(DELIVERED, NO, WRONG_KEY)), FOUR)
    assert counts(tally) == (4, 1, 1, 2)
    assert (tally.complete, tally.error) == (False, "HTTP 401: the key is not accepted")
    assert house.feed == DeliveryCursor(id=1, position=0, attempted_run=1, ranges=(Range("", "bob", 1),))


def test_a_batch_answered_in_part_leaves_all_of_it_owed(house: House) -> None:
    tally = house.deliver(in_batches_of(4, in_turn(NO, DELIVERED, NO, NO, WRONG_KEY)), FOUR)
    assert counts(tally) == (4, 0, 0, 4)
    assert house.feed == DeliveryCursor(id=1, position=0, attempted_run=1)
    assert (house.requests(), house.refusals()) == ([], [])


def test_the_next_run_completes_what_a_stop_has_left(house: House) -> None:
    house.deliver(in_batches_of(1, in_turn(DELIVERED, DELIVERED, WRONG_KEY)), FOUR)
    house.next_run()
    destination = in_batches_of(1)
    tally = house.deliver(destination, ["cem", "dan"])
    assert (counts(tally), tally.complete) == ((2, 2, 0, 0), True)
    assert destination.received == [["cem"], ["dan"]]
    assert house.feed == DeliveryCursor(id=1, position=2)


def test_since_when_calls_went_unanswered_is_kept_from_the_first_attempt(house: House) -> None:
    house.deliver(in_batches_of(1, in_turn(WRONG_KEY)), FOUR)
    house.next_run()
    house.deliver(in_batches_of(1, in_turn(WRONG_KEY)), FOUR)
    assert house.feed.attempted_run == 1


def test_that_calls_are_attempted_is_durable_before_the_first_is_sent(house: House) -> None:
    seen: list[int | None] = []

    def look(users: list[str]) -> Judgement:
        seen.append(house.feed.attempted_run)
        return DELIVERED

    house.deliver(in_batches_of(4, look), FOUR)
    assert seen == [1]


def test_a_person_may_send_only_so_many(house: House) -> None:
    destination = in_batches_of(2)
    tally = house.deliver(destination, FOUR, max_calls=3)
    assert (counts(tally), tally.complete) == ((4, 3, 0, 1), False)
    assert destination.received == [["ann", "bob"], ["cem"]]
    assert house.feed.ranges == (Range("", "cem", 1),)


@pytest.mark.parametrize("most", [4, 5])
def test_as_many_as_there_are_is_all(house: House, most: int) -> None:
    assert house.deliver(in_batches_of(3), FOUR, max_calls=most).complete


def test_every_transport_is_closed(house: House) -> None:
    destination = in_batches_of(1, concurrency=1)
    house.deliver(destination, FOUR)
    assert destination.closed == 1


def test_retries_are_counted_apart_from_requests(house: House) -> None:
    busy = Judgement(Meaning.RETRY, "HTTP 503", status=503, retry_after=0.0)
    tally = house.deliver(in_batches_of(2, in_turn(busy, busy)), FOUR)
    assert (tally.requests, tally.retries, tally.delivered) == (4, 2, 4)


# Answers in any order.


def test_the_position_never_runs_ahead_of_an_answer(house: House) -> None:
    others_done = threading.Event()
    seen: list[tuple[Range, ...]] = []

    def last_for_ann(users: list[str]) -> Judgement:
        assert users != ["ann"] or others_done.wait(30)
        return DELIVERED

    def watch(tally: DeliveryStats) -> None:
        if tally.delivered == 3:
            seen.append(house.feed.ranges)
            others_done.set()

    tally = house.deliver(in_batches_of(1, last_for_ann, concurrency=4), FOUR, watch=watch)
    assert seen == [(Range("ann", "dan", 1),)]
    assert (tally.delivered, house.feed) == (4, DeliveryCursor(id=1, position=1))


def test_answers_that_come_close_together_are_recorded_in_one_transaction(house: House) -> None:
    delivered: list[int] = []
    users = [f"u{number:03}" for number in range(120)]
    house.deliver(in_batches_of(1, concurrency=1), users, watch=lambda tally: delivered.append(tally.delivered))
    assert delivered[-1] == house.count(requests) == 120
    assert len(delivered) < 100
    assert max(now - before for before, now in pairwise([0, *delivered])) <= 16


def test_a_stop_keeps_the_answers_that_came_after_it(house: House) -> None:
    stopped = threading.Event()

    def stop_at_ann(users: list[str]) -> Judgement:
        if users == ["ann"]:
            stopped.set()
            return WRONG_KEY
        assert stopped.wait(30)
        return DELIVERED

    both_sent = threading.Barrier(2)

    def together(users: list[str]) -> Judgement:
        both_sent.wait(30)
        return stop_at_ann(users)

    tally = house.deliver(in_batches_of(1, together, concurrency=2), ["ann", "bob"])
    assert counts(tally) == (2, 1, 0, 1)
    assert house.feed.ranges == (Range("ann", "bob", 1),)


# Refused calls.


def test_a_refused_call_is_kept_with_its_reason_and_its_values(house: House) -> None:
    house.deliver(in_batches_of(4, refusing("bob")), {"ann": {"vip": True}, "bob": {"vip": True, "name": "Bø"}})
    assert house.refusals() == [("bob", "HTTP 400: bad call", 400, 1, 1)]
    assert house.refused_values() == [("bob", 1, "true", 1), ("bob", 2, '"Bø"', 1)]


def test_a_value_that_is_gone_is_kept_as_null(house: House) -> None:
    house.deliver(in_batches_of(4, refusing("bob")), {"bob": {"name": None}})
    assert house.refused_values() == [("bob", 2, None, 1)]


def test_a_call_that_can_never_be_sent_is_kept_as_refused(house: House) -> None:
    tally = house.deliver(ScriptedDestination(unsendable=["bob"]), FOUR)
    assert counts(tally) == (4, 3, 1, 0)
    assert house.refusals() == [("bob", "it is too large", None, 1, 1)]


def test_a_refused_call_that_is_taken_later_is_forgotten(house: House) -> None:
    house.deliver(in_batches_of(4, refusing("bob", "cem")), FOUR)
    house.next_run()
    house.deliver(in_batches_of(4), ["bob"])
    assert house.refusals() == [("cem", "HTTP 400: bad call", 400, 1, 1)]
    assert house.refused_values() == [("cem", 1, "true", 1)]


def test_a_call_that_is_refused_again_counts_its_attempts(house: House) -> None:
    house.deliver(in_batches_of(4, refusing("bob")), FOUR)
    house.next_run()
    house.deliver(in_batches_of(4, refusing("bob")), {"bob": {"vip": False}})
    assert house.refusals() == [("bob", "HTTP 400: bad call", 400, 2, 2)]
    assert house.refused_values() == [("bob", 1, "false", 1)]


def test_a_refused_value_that_no_call_carried_stays(house: House) -> None:
    house.deliver(in_batches_of(4, refusing("bob")), {"bob": {"vip": True, "name": "Bob"}})
    house.next_run()
    house.deliver(in_batches_of(4), {"bob": {"name": "Bobby"}})
    assert house.refusals() == [("bob", "HTTP 400: bad call", 400, 1, 1)]
    assert house.refused_values() == [("bob", 1, "true", 1)]


def test_a_refused_value_stays_beside_one_that_is_refused_again(house: House) -> None:
    house.deliver(in_batches_of(4, refusing("bob")), {"bob": {"vip": True, "name": "Bob"}})
    house.next_run()
    house.deliver(in_batches_of(4, refusing("bob")), {"bob": {"name": "Bobby"}})
    assert house.refusals() == [("bob", "HTTP 400: bad call", 400, 2, 2)]
    assert house.refused_values() == [("bob", 1, "true", 1), ("bob", 2, '"Bobby"', 1)]


# The lease, and the end of a run.


class LostAtRequest:
    """A lease that is lost when the second request is about to be sent."""

    def __init__(self, lease: Lease) -> None:
        self.transaction, self.transact = lease.transaction, lease.transact
        self._left = 1

    def confirm(self) -> None:
        if not self._left:
            raise LeaseLostError("another run has taken over")
        self._left -= 1


def test_a_lease_lost_in_a_sender_ends_the_delivery(house: House) -> None:
    destination = in_batches_of(1)
    with pytest.raises(LeaseLostError):
        house.deliver(destination, FOUR, lease=LostAtRequest(house.lease))
    assert destination.received == [["ann"]]
    assert house.feed == DeliveryCursor(id=1, position=0, attempted_run=1, ranges=(Range("", "ann", 1),))
    assert destination.closed == 1


def test_after_the_lease_is_lost_no_answer_is_written(house: House, take_over: Callable[[], None]) -> None:
    def taken_over(users: list[str]) -> Judgement:
        take_over()
        return DELIVERED

    destination = in_batches_of(1, taken_over)
    with pytest.raises(LeaseLostError):
        house.deliver(destination, FOUR)
    assert destination.received[0] == ["ann"]
    assert (house.count(requests), house.count(delivered_ranges)) == (0, 0)


@pytest.fixture
def take_over(house: House) -> Callable[[], None]:
    def take() -> None:
        with house.store.writing() as connection:
            connection.exec_driver_sql("update lease set token = token + 1")

    return take


def test_an_interruption_lets_requests_under_way_be_answered(house: House) -> None:
    context = house.context()

    def interrupted(users: list[str]) -> Judgement:
        context.interrupt()
        return DELIVERED

    work = DeliveryJob(
        name="connect",
        destination_id=1,
        destination=in_batches_of(1, interrupted),
        cursor=house.feed,
        table=house.table({u: {"vip": True} for u in FOUR}),
        calls=4,
    )
    tally = deliver(house.workspace, context, work)
    assert (counts(tally), tally.error) == ((4, 1, 0, 3), "the run was interrupted")
    assert house.feed.ranges == (Range("", "ann", 1),)


def test_after_an_interruption_no_other_delivery_begins(house: House) -> None:
    context = house.context()
    context.interrupt()
    destination = in_batches_of(1)
    work = DeliveryJob(
        name="connect",
        destination_id=1,
        destination=destination,
        cursor=house.feed,
        table=house.table({"ann": {"vip": True}}),
        calls=1,
    )
    tally = deliver(house.workspace, context, work)
    assert (counts(tally), destination.received) == ((1, 0, 0, 1), [])


# An audience that a person seeds has a feed of its own.


def seeding(connection: Connection, house: House, *ranges: Range) -> DeliveryCursor:
    feed = save_cursor(connection, 1, DeliveryCursor(id=None, position=0, seeding="vip"), IDS["vip"])
    return save_ranges(connection, feed, ranges)


def test_keeping_whom_a_seed_has_reached_up_to_date_reaches_nobody_else(house: House) -> None:
    """Bob was not reached by the seed; ann and cem, around him, are kept up to date in one request."""
    with house.lease.transaction() as connection:
        feed = seeding(connection, house, Range("", "ann", 1), Range("bob", "cem", 1))
    house.next_run()
    table = house.table({"ann": {"vip": False}, "cem": {"vip": False}})
    work = DeliveryJob(
        name="connect",
        destination_id=1,
        destination=in_batches_of(9),
        cursor=feed,
        table=table,
        calls=2,
        includes_everyone=False,
    )
    tally = deliver(house.workspace, house.context(), work)
    assert (tally.delivered, tally.complete) == (2, False)
    assert house.ledger.seeds["vip"].ranges == (Range("", "ann", 2), Range("bob", "cem", 2))


def test_when_a_seed_is_complete_the_main_feed_carries_the_audience_on(house: House) -> None:
    with house.lease.transaction() as connection:
        feed = seeding(connection, house)
    house.next_run()
    work = DeliveryJob(
        name="connect",
        destination_id=1,
        destination=in_batches_of(2),
        cursor=feed,
        table=house.table({"ann": {"vip": True}}),
        calls=1,
    )
    assert deliver(house.workspace, house.context(), work).complete
    assert house.ledger.seeds == {}
    assert house.ledger.active() == [Subscription(key="vip", since_run=2, backfill=False)]
    assert house.feed == DeliveryCursor(id=1, position=0)

"""The delivery to one destination: the position follows the answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Connection

from audience_sync.delivery.deliver import DeliveryJob, DeliveryStats, deliver
from audience_sync.delivery.pending.calls import PendingCalls
from audience_sync.delivery.state.cursors import DeliveryCursor, Subscription, save_cursor, save_ranges
from audience_sync.delivery.state.ranges import Range
from audience_sync.destinations.base import FieldKind, Judgement, Meaning
from audience_sync.errors import LeaseLostError
from audience_sync.model import DestinationId
from audience_sync.sql import TableName
from audience_sync.store.connection.lease import Lease
from audience_sync.store.tables import delivered_ranges, delivery_requests, withheld_values
from audience_sync.workspace import Workspace

from .harness import IDS, DeliveryHarness
from .scripted_destination import (
    ACCEPTING,
    DELIVERED,
    REFUSED,
    WRONG_KEY,
    Answers,
    ScriptedDestination,
    in_turn,
    refusing,
)

FOUR = ("ann", "bob", "cem", "dan")


def counts(stats: DeliveryStats) -> tuple[int, int, int, int]:
    """Calls, delivered, refused, pending."""
    return stats.calls, stats.delivered, stats.refused, stats.pending


def in_batches_of(size: int, answers: Answers = ACCEPTING, **options: Any) -> ScriptedDestination:
    return ScriptedDestination(answers, batch_size=size, **options)


# The outcomes of calls, and the position after them.


def test_when_all_calls_are_answered_the_position_is_the_run(harness: DeliveryHarness) -> None:
    stats = harness.deliver(in_batches_of(3), FOUR)
    assert counts(stats) == (4, 4, 0, 0)
    assert (stats.complete, stats.error, stats.requests) == (True, "", 2)
    assert harness.cursor == DeliveryCursor(id=1, position=1)


def test_every_request_leaves_one_row(harness: DeliveryHarness) -> None:
    harness.deliver(in_batches_of(3, refusing("bob")), FOUR)
    assert harness.requests() == [("", "cem", 3, 1, 1), ("cem", "dan", 1, 0, 1)]


def test_without_pending_calls_the_position_advances_without_a_request(harness: DeliveryHarness) -> None:
    destination = in_batches_of(3)
    stats = harness.deliver(destination, [])
    assert counts(stats) == (0, 0, 0, 0)
    assert stats.complete
    assert (harness.cursor, destination.received) == (DeliveryCursor(id=1, position=1), [])


def test_refused_calls_do_not_hold_the_position_back(harness: DeliveryHarness) -> None:
    stats = harness.deliver(in_batches_of(2, refusing("bob", "cem")), FOUR)
    assert counts(stats) == (4, 2, 2, 0)
    assert stats.complete
    assert harness.cursor == DeliveryCursor(id=1, position=1)


def test_a_stop_keeps_the_answered_calls_and_leaves_the_rest_pending(harness: DeliveryHarness) -> None:
    stats = harness.deliver(in_batches_of(1, in_turn(DELIVERED, REFUSED, WRONG_KEY)), FOUR)
    assert counts(stats) == (4, 1, 1, 2)
    assert (stats.complete, stats.error) == (False, "HTTP 401: the key is not accepted")
    assert harness.cursor == DeliveryCursor(id=1, position=0, attempted_run=1, ranges=(Range("", "bob", 1),))


def test_a_partly_answered_batch_stays_pending_as_a_whole(harness: DeliveryHarness) -> None:
    stats = harness.deliver(in_batches_of(4, in_turn(REFUSED, DELIVERED, REFUSED, REFUSED, WRONG_KEY)), FOUR)
    assert counts(stats) == (4, 0, 0, 4)
    assert harness.cursor == DeliveryCursor(id=1, position=0, attempted_run=1)
    assert (harness.requests(), harness.refusals()) == ([], [])


def test_the_next_run_completes_a_stopped_delivery(harness: DeliveryHarness) -> None:
    harness.deliver(in_batches_of(1, in_turn(DELIVERED, DELIVERED, WRONG_KEY)), FOUR)
    harness.next_run()
    destination = in_batches_of(1)
    stats = harness.deliver(destination, ["cem", "dan"])
    assert (counts(stats), stats.complete) == ((2, 2, 0, 0), True)
    assert destination.received == [["cem"], ["dan"]]
    assert harness.cursor == DeliveryCursor(id=1, position=2)


def test_the_first_run_with_unanswered_calls_is_kept(harness: DeliveryHarness) -> None:
    harness.deliver(in_batches_of(1, in_turn(WRONG_KEY)), FOUR)
    harness.next_run()
    harness.deliver(in_batches_of(1, in_turn(WRONG_KEY)), FOUR)
    assert harness.cursor.attempted_run == 1


def test_the_attempted_run_is_durable_before_the_first_request(harness: DeliveryHarness) -> None:
    seen: list[int | None] = []

    def read_attempted_run(users: list[str]) -> Judgement:
        seen.append(harness.cursor.attempted_run)
        return DELIVERED

    harness.deliver(in_batches_of(4, read_attempted_run), FOUR)
    assert seen == [1]


def test_a_limit_leaves_the_other_calls_pending(harness: DeliveryHarness) -> None:
    destination = in_batches_of(2)
    stats = harness.deliver(destination, FOUR, max_calls=3)
    assert (counts(stats), stats.complete) == ((4, 3, 0, 1), False)
    assert destination.received == [["ann", "bob"], ["cem"]]
    assert harness.cursor.ranges == (Range("", "cem", 1),)


@pytest.mark.parametrize("most", [4, 5])
def test_a_limit_of_all_calls_or_more_is_a_complete_delivery(harness: DeliveryHarness, most: int) -> None:
    assert harness.deliver(in_batches_of(3), FOUR, max_calls=most).complete


def test_every_transport_is_closed(harness: DeliveryHarness) -> None:
    destination = in_batches_of(1, concurrency=1)
    harness.deliver(destination, FOUR)
    assert destination.closed == 1


def test_retries_are_counted_separately_from_requests(harness: DeliveryHarness) -> None:
    busy = Judgement(Meaning.RETRY, "HTTP 503", status=503, retry_after=0.0)
    stats = harness.deliver(in_batches_of(2, in_turn(busy, busy)), FOUR)
    assert (stats.requests, stats.retries, stats.delivered) == (4, 2, 4)


# Answers in any order.


def test_the_position_never_runs_ahead_of_an_answer(harness: DeliveryHarness) -> None:
    others_done = threading.Event()
    seen: list[tuple[Range, ...]] = []

    def last_for_ann(users: list[str]) -> Judgement:
        assert users != ["ann"] or others_done.wait(30)
        return DELIVERED

    def watch(stats: DeliveryStats) -> None:
        if stats.delivered == 3:
            seen.append(harness.cursor.ranges)
            others_done.set()

    stats = harness.deliver(in_batches_of(1, last_for_ann, concurrency=4), FOUR, watch=watch)
    assert seen == [(Range("ann", "dan", 1),)]
    assert (stats.delivered, harness.cursor) == (4, DeliveryCursor(id=1, position=1))


def test_answers_that_come_close_together_are_recorded_in_one_transaction(harness: DeliveryHarness) -> None:
    delivered: list[int] = []
    users = [f"u{number:03}" for number in range(120)]
    harness.deliver(in_batches_of(1, concurrency=1), users, watch=lambda stats: delivered.append(stats.delivered))
    assert delivered[-1] == harness.count(delivery_requests) == 120
    assert len(delivered) < 100
    assert max(now - before for before, now in pairwise([0, *delivered])) <= 16


def test_a_stop_keeps_the_answers_to_requests_in_flight(harness: DeliveryHarness) -> None:
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

    stats = harness.deliver(in_batches_of(1, together, concurrency=2), ["ann", "bob"])
    assert counts(stats) == (2, 1, 0, 1)
    assert harness.cursor.ranges == (Range("ann", "bob", 1),)


# Refused calls.


def test_a_refused_call_is_stored_with_its_reason_and_values(harness: DeliveryHarness) -> None:
    harness.deliver(in_batches_of(4, refusing("bob")), {"ann": {"vip": True}, "bob": {"vip": True, "name": "Bø"}})
    assert harness.refusals() == [("bob", "HTTP 400: bad call", 400, 1, 1)]
    assert harness.refused_values() == [("bob", 1, "true", 1), ("bob", 2, '"Bø"', 1)]


def test_a_removed_value_is_stored_as_null(harness: DeliveryHarness) -> None:
    harness.deliver(in_batches_of(4, refusing("bob")), {"bob": {"name": None}})
    assert harness.refused_values() == [("bob", 2, None, 1)]


def test_an_unsendable_call_is_stored_as_refused(harness: DeliveryHarness) -> None:
    stats = harness.deliver(ScriptedDestination(unsendable=["bob"]), FOUR)
    assert counts(stats) == (4, 3, 1, 0)
    assert harness.refusals() == [("bob", "it is too large", None, 1, 1)]


def test_a_refusal_is_deleted_once_the_call_is_accepted(harness: DeliveryHarness) -> None:
    harness.deliver(in_batches_of(4, refusing("bob", "cem")), FOUR)
    harness.next_run()
    harness.deliver(in_batches_of(4), ["bob"])
    assert harness.refusals() == [("cem", "HTTP 400: bad call", 400, 1, 1)]
    assert harness.refused_values() == [("cem", 1, "true", 1)]


def test_a_call_that_is_refused_again_counts_its_attempts(harness: DeliveryHarness) -> None:
    harness.deliver(in_batches_of(4, refusing("bob")), FOUR)
    harness.next_run()
    harness.deliver(in_batches_of(4, refusing("bob")), {"bob": {"vip": False}})
    assert harness.refusals() == [("bob", "HTTP 400: bad call", 400, 2, 2)]
    assert harness.refused_values() == [("bob", 1, "false", 1)]


def test_a_refused_value_that_no_call_carried_stays(harness: DeliveryHarness) -> None:
    harness.deliver(in_batches_of(4, refusing("bob")), {"bob": {"vip": True, "name": "Bob"}})
    harness.next_run()
    harness.deliver(in_batches_of(4), {"bob": {"name": "Bobby"}})
    assert harness.refusals() == [("bob", "HTTP 400: bad call", 400, 1, 1)]
    assert harness.refused_values() == [("bob", 1, "true", 1)]


def test_a_refused_value_stays_next_to_one_that_is_refused_again(harness: DeliveryHarness) -> None:
    harness.deliver(in_batches_of(4, refusing("bob")), {"bob": {"vip": True, "name": "Bob"}})
    harness.next_run()
    harness.deliver(in_batches_of(4, refusing("bob")), {"bob": {"name": "Bobby"}})
    assert harness.refusals() == [("bob", "HTTP 400: bad call", 400, 2, 2)]
    assert harness.refused_values() == [("bob", 1, "true", 1), ("bob", 2, '"Bobby"', 1)]


# The lease, and the end of a run.


class LostAtRequest:
    """A lease that is lost when the second request is about to be sent."""

    def __init__(self, lease: Lease) -> None:
        self.transaction, self.transact, self.renewing = lease.transaction, lease.transact, lease.renewing
        self._left = 1

    def confirm(self) -> None:
        if not self._left:
            raise LeaseLostError("another run has the lease")
        self._left -= 1


def test_a_lease_lost_in_a_sender_ends_the_delivery(harness: DeliveryHarness) -> None:
    destination = in_batches_of(1)
    with pytest.raises(LeaseLostError):
        harness.deliver(destination, FOUR, lease=LostAtRequest(harness.lease))
    assert destination.received == [["ann"]]
    assert harness.cursor == DeliveryCursor(id=1, position=0, attempted_run=1, ranges=(Range("", "ann", 1),))
    assert destination.closed == 1


def test_after_the_lease_is_lost_no_answer_is_recorded(
    harness: DeliveryHarness, acquire_elsewhere: Callable[[], None]
) -> None:
    def lose_lease(users: list[str]) -> Judgement:
        acquire_elsewhere()
        return DELIVERED

    destination = in_batches_of(1, lose_lease)
    with pytest.raises(LeaseLostError):
        harness.deliver(destination, FOUR)
    assert destination.received[0] == ["ann"]
    assert (harness.count(delivery_requests), harness.count(delivered_ranges)) == (0, 0)


@pytest.fixture
def acquire_elsewhere(harness: DeliveryHarness) -> Callable[[], None]:
    def acquire() -> None:
        with harness.store.writing() as connection:
            connection.exec_driver_sql("update lease set token = token + 1")

    return acquire


def test_an_interruption_waits_for_the_requests_in_flight(harness: DeliveryHarness) -> None:
    context = harness.context()

    def interrupted(users: list[str]) -> Judgement:
        context.interrupt()
        return DELIVERED

    job = DeliveryJob(
        name="connect",
        destination_id=1,
        destination=in_batches_of(1, interrupted),
        pending=PendingCalls(cursor=harness.cursor, table=harness.table({u: {"vip": True} for u in FOUR}), calls=4),
    )
    stats = deliver(harness.workspace, context, job)
    assert (counts(stats), stats.error) == ((4, 1, 0, 3), "the run was interrupted")
    assert harness.cursor.ranges == (Range("", "ann", 1),)


def test_after_an_interruption_no_other_delivery_starts(harness: DeliveryHarness) -> None:
    context = harness.context()
    context.interrupt()
    destination = in_batches_of(1)
    job = DeliveryJob(
        name="connect",
        destination_id=1,
        destination=destination,
        pending=PendingCalls(cursor=harness.cursor, table=harness.table({"ann": {"vip": True}}), calls=1),
    )
    stats = deliver(harness.workspace, context, job)
    assert (counts(stats), destination.received) == ((1, 0, 0, 1), [])


# A seeded audience has its own cursor.


def save_seed_cursor(connection: Connection, harness: DeliveryHarness, *ranges: Range) -> DeliveryCursor:
    cursor = save_cursor(connection, 1, DeliveryCursor(seeding="vip"), IDS["vip"])
    return save_ranges(connection, cursor, ranges)


def test_updating_the_users_of_a_seed_does_not_move_the_others(harness: DeliveryHarness) -> None:
    """Bob was not reached by the seed; ann and cem, before and after him, are updated by one request."""
    with harness.lease.transaction() as connection:
        cursor = save_seed_cursor(connection, harness, Range("", "ann", 1), Range("bob", "cem", 1))
    harness.next_run()
    table = harness.table({"ann": {"vip": False}, "cem": {"vip": False}})
    job = DeliveryJob(
        name="connect",
        destination_id=1,
        destination=in_batches_of(9),
        pending=PendingCalls(cursor=cursor, table=table, calls=2, includes_everyone=False),
    )
    stats = deliver(harness.workspace, harness.context(), job)
    assert (stats.delivered, stats.complete) == (2, False)
    assert harness.state.seeds["vip"].ranges == (Range("", "ann", 2), Range("bob", "cem", 2))


def test_after_a_complete_seed_the_main_cursor_delivers_the_audience(harness: DeliveryHarness) -> None:
    with harness.lease.transaction() as connection:
        cursor = save_seed_cursor(connection, harness)
    harness.next_run()
    job = DeliveryJob(
        name="connect",
        destination_id=1,
        destination=in_batches_of(2),
        pending=PendingCalls(cursor=cursor, table=harness.table({"ann": {"vip": True}}), calls=1),
    )
    assert deliver(harness.workspace, harness.context(), job).complete
    assert harness.state.seeds == {}
    assert harness.state.active() == [Subscription(key="vip", since_run=2, backfill=False)]
    assert harness.cursor == DeliveryCursor(id=1, position=0)


# Calls in slices of users: each is made when those before have their answers.


class Slices:
    """Calls in slices of two users, made one after another. ``made``: what the store had answers to by then."""

    def __init__(self, harness: DeliveryHarness, *slices: Sequence[str]) -> None:
        self.harness = harness
        self.slices = slices
        self.made: list[tuple[Range, ...]] = []

    def deliver(self, destination: ScriptedDestination, **options: Any) -> DeliveryStats:
        cursor = self.harness.cursor
        pending = PendingCalls(
            cursor=cursor,
            table=TableName(""),
            calls=sum(map(len, self.slices)),
            slices=[partial(self.make, users) for users in self.slices],
        )
        job = DeliveryJob(
            name="connect", destination_id=DestinationId(1), destination=destination, pending=pending, **options
        )
        return deliver(self.harness.workspace, self.harness.context(), job)

    def make(self, users: Sequence[str], workspace: Workspace) -> PendingCalls:
        self.made.append(self.harness.cursor.ranges)
        table = self.harness.table({user: {"vip": True} for user in users})
        own = workspace.table("slice", f"from {table}")
        return PendingCalls(cursor=self.harness.cursor, table=own, calls=len(users))


@pytest.fixture
def slices(harness: DeliveryHarness) -> Slices:
    return Slices(harness, ("ann", "bob"), ("cem", "dan"), ("eve",))


def test_a_slice_is_made_after_the_answers_to_the_one_before(slices: Slices) -> None:
    destination = in_batches_of(2)
    stats = slices.deliver(destination)
    assert (counts(stats), stats.complete, stats.error) == ((5, 5, 0, 0), True, "")
    assert destination.received == [["ann", "bob"], ["cem", "dan"], ["eve"]]
    assert slices.made == [(), (Range("", "bob", 1),), (Range("", "dan", 1),)]
    assert slices.harness.cursor == DeliveryCursor(id=1, position=1)


def test_the_requests_of_slices_follow_one_another_without_a_gap(slices: Slices) -> None:
    slices.deliver(in_batches_of(4))
    assert slices.harness.requests() == [("", "bob", 2, 0, 1), ("bob", "dan", 2, 0, 1), ("dan", "eve", 1, 0, 1)]


def test_after_a_stop_no_further_slice_is_made(slices: Slices) -> None:
    stats = slices.deliver(in_batches_of(1, in_turn(DELIVERED, DELIVERED, WRONG_KEY)))
    assert (counts(stats), stats.complete, stats.error) == ((5, 2, 0, 3), False, "HTTP 401: the key is not accepted")
    assert len(slices.made) == 2
    assert slices.harness.cursor == DeliveryCursor(id=1, position=0, attempted_run=1, ranges=(Range("", "bob", 1),))


@pytest.mark.parametrize(("most", "made"), [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_a_limit_ends_in_the_slice_that_reaches_it(slices: Slices, most: int, made: int) -> None:
    destination = in_batches_of(2)
    stats = slices.deliver(destination, max_calls=most)
    assert (counts(stats), stats.complete) == ((5, most, 0, 5 - most), most == 5)
    assert [user for request in destination.received for user in request] == ["ann", "bob", "cem", "dan", "eve"][:most]
    assert len(slices.made) == made


def test_the_values_of_suppressed_users_are_kept_of_every_slice_before_the_position_advances(
    harness: DeliveryHarness,
) -> None:
    """The limit is reached by the last call, and the slice after it has suppressed users only."""

    def withhold(workspace: Workspace) -> PendingCalls:
        kept = workspace.table(
            "kept",
            "select 'zoe' as user_id, 'vip' as key, 'true' as value, 1 as run_id, null::varchar as former_names",
        )
        table = workspace.table("slice", f"from {harness.table({'zoe': {}})} limit 0")
        return PendingCalls(cursor=harness.cursor, table=table, calls=0, withheld_table=kept, withheld_users=1)

    slices = Slices(harness, ("ann", "bob"))
    pending = PendingCalls(
        cursor=harness.cursor,
        table=TableName(""),
        calls=2,
        withheld_users=1,
        slices=[partial(slices.make, ("ann", "bob")), withhold],
    )
    job = DeliveryJob(
        name="connect", destination_id=DestinationId(1), destination=in_batches_of(2), pending=pending, max_calls=2
    )
    assert deliver(harness.workspace, harness.context(), job).complete
    assert harness.count(withheld_values) == 1
    assert harness.cursor == DeliveryCursor(id=1, position=1)


def test_refused_calls_of_a_slice_do_not_hold_back_the_next(slices: Slices) -> None:
    stats = slices.deliver(in_batches_of(2, refusing("bob", "eve")))
    assert (counts(stats), stats.complete) == ((5, 3, 2, 0), True)
    assert [refusal[0] for refusal in slices.harness.refusals()] == ["bob", "eve"]


def test_a_call_without_an_answer_stays_pending_and_the_next_slices_are_sent(slices: Slices) -> None:
    others_done = threading.Event()

    def never_for_cem(users: list[str]) -> Judgement:
        if users != ["cem"]:
            others_done.set()
            return DELIVERED
        assert others_done.wait(30)
        return Judgement(Meaning.RETRY, "HTTP 503", status=503, retry_after=0.0)

    stats = slices.deliver(in_batches_of(1, never_for_cem, concurrency=2, give_up_after="20s"))
    assert (counts(stats), stats.complete) == ((5, 4, 0, 1), False)
    assert slices.harness.cursor.ranges == (Range("", "bob", 1), Range("cem", "eve", 1))


def test_all_slices_share_a_rate(slices: Slices) -> None:
    """Five users at a hundred a second. If the rate began again, the first user of each slice would not wait."""
    started = time.monotonic()
    slices.deliver(in_batches_of(1), rate=100)
    assert time.monotonic() - started >= 0.039


def test_fields_are_created_before_the_first_slice_by_the_values_of_all(harness: DeliveryHarness) -> None:
    class WithoutFields(ScriptedDestination):
        has_fields = True
        created: Mapping[str, FieldKind] = {}

        def missing_fields(self, keys: Collection[str]) -> Collection[str]:
            return keys

        def create_fields(self, fields: Mapping[str, FieldKind]) -> None:
            assert self.received == []
            self.created = fields

    values: list[dict[str, Any]] = [{"name": 12, "vip": True}, {"name": None}, {"name": "Cem"}]

    def make(number: int, workspace: Workspace) -> PendingCalls:
        table = harness.table({f"user-{number}": values[number]})
        return PendingCalls(cursor=harness.cursor, table=table, calls=1)

    pending = PendingCalls(
        cursor=harness.cursor, table=TableName(""), calls=3, slices=[partial(make, number) for number in range(3)]
    )
    destination = WithoutFields()
    job = DeliveryJob(name="connect", destination_id=DestinationId(1), destination=destination, pending=pending)
    assert deliver(harness.workspace, harness.context(), job).complete
    assert destination.created == {"name": FieldKind.TEXT, "vip": FieldKind.BOOLEAN}

"""The largest body that a destination accepts is learned once, and grows again slowly."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from audience_sync.delivery.send.batch_sender import BatchSender
from audience_sync.delivery.send.batches import Batch, BatchResult
from audience_sync.delivery.send.body_limit import FORGET_AFTER, GROW_AFTER, BodyLimit
from audience_sync.delivery.send.encode import CallDetails, EncodedCall, encode, part_of
from audience_sync.delivery.send.rate_limiter import AdaptiveRateLimiter
from audience_sync.delivery.send.request_sender import RequestSender
from audience_sync.delivery.send.sender_pool import StallTimer
from audience_sync.destinations.base import Judgement, Meaning, Message
from audience_sync.model import IdentifyCall

from .scripted_destination import (
    DELIVERED,
    UNAVAILABLE,
    Answers,
    Clock,
    ScriptedDestination,
    Stopped,
    identify_call,
    in_turn,
)

TOO_LARGE = Judgement(Meaning.REFUSED, "HTTP 413", status=413)
BAD_GATEWAY = Judgement(Meaning.RETRY, "HTTP 502", status=502)


def count(body_limit: BodyLimit, sizes: Sequence[int]) -> int | None:
    with body_limit.fitting(lambda: sizes) as found:
        return found


def test_there_is_no_limit_before_a_refusal() -> None:
    body_limit = BodyLimit()
    body_limit.record_accepted(10)
    assert count(body_limit, [100] * 50) is None


def test_after_a_refusal_half_of_the_size_is_tried() -> None:
    body_limit = BodyLimit()
    body_limit.record_refused(1_000)
    assert count(body_limit, [100] * 10) == 5


def test_refusals_of_requests_in_flight_lower_the_limit_once() -> None:
    body_limit = BodyLimit()
    for _ in range(4):
        body_limit.record_refused(1_000)
    assert count(body_limit, [100] * 10) == 5


def test_one_call_is_sent_whatever_its_size() -> None:
    body_limit = BodyLimit()
    body_limit.record_refused(1_000)
    assert count(body_limit, [5_000, 10]) == 1


def test_the_limit_grows_half_way_to_the_refused_size_but_does_not_reach_it() -> None:
    body_limit = BodyLimit()
    body_limit.record_refused(1_000)
    found = []
    for _ in range(5):
        found.append(count(body_limit, [10] * 200))
        for _ in range(GROW_AFTER):
            body_limit.record_accepted(int(found[-1] or 0) * 10)
    assert found == [50, 75, 87, 87, 87]


def test_after_a_second_refusal_the_accepted_size_is_the_limit() -> None:
    body_limit = BodyLimit()
    body_limit.record_refused(1_000)
    for _ in range(GROW_AFTER):
        body_limit.record_accepted(500)
    body_limit.record_refused(750)
    assert count(body_limit, [10] * 200) == 50


def test_a_size_refused_long_ago_is_tried_again() -> None:
    body_limit = BodyLimit()
    body_limit.record_refused(1_000)
    body_limit.record_accepted(500)
    body_limit.record_refused(540)
    for _ in range(FORGET_AFTER):
        body_limit.record_accepted(500)
    assert count(body_limit, [10] * 200) == 62


def test_small_requests_do_not_change_the_limit() -> None:
    body_limit = BodyLimit()
    body_limit.record_refused(1_000)
    for _ in range(FORGET_AFTER):
        body_limit.record_accepted(100)
    assert count(body_limit, [10] * 200) == 50


def test_one_sender_tries_a_size_and_the_others_wait_for_the_result() -> None:
    body_limit, others = BodyLimit(), list[int | None]()
    body_limit.record_refused(1_000)
    with body_limit.fitting(lambda: [100] * 10) as tried:
        waiting = threading.Thread(target=lambda: others.append(count(body_limit, [100] * 10)))
        waiting.start()
        assert others == []
        body_limit.record_refused(500)
    waiting.join()
    assert (tried, others) == (5, [1])


def test_senders_do_not_wait_for_each_other_at_an_accepted_size() -> None:
    body_limit = BodyLimit()
    body_limit.record_refused(1_000)
    body_limit.record_accepted(500)
    with body_limit.fitting(lambda: [100] * 10) as one, body_limit.fitting(lambda: [100] * 10) as other:
        assert (one, other) == (5, 5)


# With a sender --------------------------------------------------------------------------------------------------------


def over(most: int, judgement: Judgement) -> Answers:
    """A proxy that gives this answer to every request of more calls."""
    return lambda users: judgement if len(users) > most else DELIVERED


def sent(destination: ScriptedDestination, *batches: int) -> tuple[list[BatchResult], Clock]:
    """Send batches of so many calls, one after the other, by one sender."""
    clock = Clock()
    stall_timer = StallTimer(give_up_after=300.0, clock=clock, stopped=Stopped(clock))
    limiter = AdaptiveRateLimiter(None, clock=clock, wait=stall_timer.stopped.wait)
    requests = RequestSender(destination.open(), limiter, stall_timer, lambda: None, retry_delay=lambda attempt: 1.0)
    sender = BatchSender(requests, BodyLimit(stall_timer.stopped.is_set))
    outcomes = []
    for batch, size in enumerate(batches):
        users = (f"u-{batch:03}-{number:03}" for number in range(size))
        outcomes.append(sender.send(Batch("", tuple(encode(identify_call(user), destination) for user in users))))
    return outcomes, clock


@pytest.mark.parametrize("most", [1, 3, 7, 40, 99])
def test_a_body_limit_is_met_a_few_times_and_not_with_every_batch(most: int) -> None:
    destination = ScriptedDestination(over(most, TOO_LARGE))
    outcomes, _ = sent(destination, *[100] * 10)
    assert all(outcome.answered and outcome.delivered == 100 for outcome in outcomes)
    refused = [users for users in destination.received if len(users) > most]
    assert len(refused) < 10
    assert len(destination.received) - len(refused) <= 2.2 * 1000 / most + 10


@pytest.mark.parametrize("most", [3, 13, 60])
def test_a_server_that_fails_only_at_large_bodies_is_sent_smaller_ones(most: int) -> None:
    destination = ScriptedDestination(over(most, BAD_GATEWAY))
    outcomes, clock = sent(destination, *[100] * 10)
    assert all(outcome.answered and outcome.delivered == 100 for outcome in outcomes)
    assert clock.now < 25  # seconds, of one each after a failed attempt
    assert sum(len(users) > most for users in destination.received[100:]) <= 8


def test_a_failing_call_does_not_lower_the_limit() -> None:
    destination = ScriptedDestination(lambda users: UNAVAILABLE if "u-000-042" in users else DELIVERED)
    outcomes, _ = sent(destination, 100, 100, 100)
    assert [[refusal.call.user_id for refusal in outcome.refusals] for outcome in outcomes] == [["u-000-042"], [], []]
    assert [len(users) for users in destination.received[-2:]] == [100, 100]


# One property that is too large, where the server only fails ----------------------------------------------------------


def large_call(user: str) -> IdentifyCall:
    traits = f'{{"bio":"{"x" * 6_000}","vip":true}}'
    return IdentifyCall(user, traits, f"id-{user}", "2026-03-01T06:00:00.000Z", "bio@1,vip@1")


def halves(destination: ScriptedDestination, call: EncodedCall) -> list[EncodedCall]:
    if call.only is not None:
        return []
    parts = [(keys, encode(part_of(large_call(call.user_id), [keys]), destination)) for keys in ("vip", "bio")]
    return [
        EncodedCall(
            part.message_id, part.body, part.user_id, replace(part.details or CallDetails(), only=frozenset({key}))
        )
        for key, part in parts
    ]


class LimitedByBytes(ScriptedDestination):
    """It fails at every request of more than 5,000 bytes."""

    def answer(self, messages: Sequence[Message]) -> Judgement:
        judgement = super().answer(messages)
        return BAD_GATEWAY if sum(len(message.body) for message in messages) > 5_000 else judgement


def sent_large(destination: ScriptedDestination, *batches: Sequence[str]) -> tuple[list[BatchResult], Clock]:
    clock = Clock()
    stall_timer = StallTimer(give_up_after=60.0, clock=clock, stopped=Stopped(clock))
    limiter = AdaptiveRateLimiter(None, clock=clock, wait=stall_timer.stopped.wait)
    requests = RequestSender(destination.open(), limiter, stall_timer, lambda: None, retry_delay=lambda attempt: 1.0)
    body_limit = BodyLimit(stall_timer.stopped.is_set)
    sender = BatchSender(requests, body_limit, split_call=lambda call: halves(destination, call))
    return [
        sender.send(Batch("", tuple(encode(large_call(user), destination) for user in users))) for users in batches
    ], clock


@pytest.mark.parametrize("users", [["ada"], ["ada", "bob"], ["ada", "bob", "cyd", "dan"]], ids=len)
def test_the_rest_of_a_call_that_fails_for_its_size_is_accepted(users: list[str]) -> None:
    destination = LimitedByBytes()
    [outcome], _ = sent_large(destination, users)
    assert outcome.answered
    assert [(each.call.user_id, each.properties) for each in outcome.refusals] == [
        (user, frozenset({"bio"})) for user in users
    ]
    assert outcome.refusals[0].reason.startswith("HTTP 502, at a message of 6,0")
    assert [call["user"] for call in destination.calls if call["traits"] == {"vip": True}] == users


def test_many_calls_that_fail_for_their_size_need_few_requests_each() -> None:
    destination = LimitedByBytes()
    outcomes, clock = sent_large(destination, *[[f"u-{number:03}"] for number in range(50)])
    assert [len(outcome.refusals) for outcome in outcomes] == [1] * 50
    assert [outcome.requests for outcome in outcomes[3:]] == [3] * 47
    assert clock.now < 30


def test_a_large_call_is_accepted_once_the_server_is_up_again() -> None:
    destination = ScriptedDestination(in_turn(*[UNAVAILABLE] * 20))
    [outcome], _ = sent_large(destination, ["ada"])
    assert (outcome.answered, outcome.refusals, outcome.requests) == (True, [], 22)
    assert {key for call in destination.calls[-2:] for key in call["traits"]} == {"bio", "vip"}


def test_no_part_of_a_large_call_is_refused_while_the_server_is_down() -> None:
    destination = ScriptedDestination(lambda users: UNAVAILABLE)
    [outcome], clock = sent_large(destination, ["ada"])
    assert (outcome.answered, outcome.refusals) == (False, [])
    assert clock.now >= 60


def test_failures_before_an_accepted_larger_size_do_not_count() -> None:
    body_limit = BodyLimit()
    body_limit.record_failed(2_000)
    body_limit.record_failed(2_500)
    body_limit.record_accepted(3_000)
    body_limit.record_failed(2_000)
    assert not body_limit.has_refused(2_000)
    assert count(body_limit, [100] * 100) is None


def test_three_failed_messages_and_none_smaller_make_their_size_the_cause() -> None:
    body_limit = BodyLimit()
    for size in (2_400, 2_000, 2_200):
        body_limit.record_failed(size)
    assert (body_limit.has_refused(2_000), body_limit.has_refused(1_999)) == (True, False)
    assert count(body_limit, [100] * 100) == 10

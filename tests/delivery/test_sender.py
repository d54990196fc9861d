"""The answer to one batch: every call is delivered or refused, or the batch has no answer."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from audience_sync.delivery.send.batches import Batch, BatchResult
from audience_sync.delivery.send.encode import CallDetails, EncodedCall
from audience_sync.destinations.base import Judgement, Meaning, Message
from audience_sync.errors import LeaseLostError

from .scripted_destination import (
    DELIVERED,
    REFUSED,
    UNAVAILABLE,
    WRONG_KEY,
    Answers,
    ScriptedDestination,
    always,
    batch_of,
    identify_call,
    in_turn,
    new_sender,
    refusing,
)

RATE_LIMITED = Judgement(Meaning.SLOW_DOWN, "HTTP 429", status=429, retry_after=20.0)
RATE_LIMITED_WITHOUT_RETRY_AFTER = Judgement(Meaning.SLOW_DOWN, "HTTP 429", status=429)


def sent(destination: ScriptedDestination, *users: str) -> BatchResult:
    return new_sender(destination)[0].send(batch_of(destination, *users))


def refused(outcome: BatchResult) -> dict[str, str]:
    return {refusal.call.user_id: refusal.reason for refusal in outcome.refusals}


def test_an_accepted_batch_needs_one_request() -> None:
    destination = ScriptedDestination()
    outcome = sent(destination, "ann", "bob")
    assert (outcome.answered, outcome.delivered, outcome.requests, outcome.retries) == (True, 2, 1, 0)
    assert destination.received == [["ann", "bob"]]


def test_a_temporary_failure_is_retried_until_it_is_accepted() -> None:
    destination = ScriptedDestination(in_turn(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE))
    outcome = sent(destination, "ann")
    assert (outcome.answered, outcome.delivered, outcome.requests, outcome.retries) == (True, 1, 4, 3)
    assert (outcome.http_status, outcome.reason) == (200, "")


def test_a_retry_sends_the_same_messages() -> None:
    destination = ScriptedDestination(in_turn(UNAVAILABLE))
    sent(destination, "ann")
    assert destination.calls[0] == destination.calls[1]


def test_each_failed_attempt_has_its_own_pause() -> None:
    destination = ScriptedDestination(in_turn(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE))
    sender, _, clock = new_sender(destination, pause=lambda attempt: 2.0**attempt)
    sender.send(batch_of(destination, "ann"))
    assert clock.waited == [2.0, 4.0, 8.0]


def test_every_call_starts_with_the_shortest_pause() -> None:
    destination = ScriptedDestination(in_turn(UNAVAILABLE, UNAVAILABLE, DELIVERED, UNAVAILABLE))
    sender, _, clock = new_sender(destination, pause=lambda attempt: 2.0**attempt)
    sender.send(batch_of(destination, "ann"))
    sender.send(batch_of(destination, "bob"))
    assert clock.waited == [2.0, 4.0, 2.0]


def test_a_retry_waits_for_the_time_of_retry_after() -> None:
    destination = ScriptedDestination(in_turn(Judgement(Meaning.RETRY, "HTTP 503", status=503, retry_after=7.0)))
    sender, _, clock = new_sender(destination)
    sender.send(batch_of(destination, "ann"))
    assert clock.waited == [7.0]


def test_too_many_requests_is_never_a_failed_attempt() -> None:
    destination = ScriptedDestination(in_turn(RATE_LIMITED, RATE_LIMITED, UNAVAILABLE))
    sender, _, clock = new_sender(destination, pause=lambda attempt: 2.0**attempt)
    outcome = sender.send(batch_of(destination, "ann"))
    assert clock.waited == [20.0, 20.0, 2.0]
    assert (outcome.delivered, outcome.requests) == (1, 4)


@pytest.mark.parametrize(("judgement", "seconds"), [(RATE_LIMITED, 20.0), (RATE_LIMITED_WITHOUT_RETRY_AFTER, 0.5)])
def test_too_many_requests_delays_the_next_request(judgement: Judgement, seconds: float) -> None:
    destination = ScriptedDestination(in_turn(judgement))
    sender, _, clock = new_sender(destination)
    sender.send(batch_of(destination, "ann"))
    assert clock.now == seconds


@pytest.mark.parametrize(
    ("answers", "reported"),
    [
        pytest.param([RATE_LIMITED], [(20.0, True)], id="429: no sender sends meanwhile"),
        pytest.param([RATE_LIMITED_WITHOUT_RETRY_AFTER], [], id="half a second"),
        pytest.param([UNAVAILABLE, UNAVAILABLE], [(2.0, False), (4.0, False)], id="503: this sender waits"),
    ],
)
def test_waits_of_a_second_and_more_are_reported(answers: list[Judgement], reported: list[tuple[float, bool]]) -> None:
    destination, waits = ScriptedDestination(in_turn(*answers)), list[tuple[float, bool]]()
    sender, _, _ = new_sender(destination, pause=lambda attempt: 2.0**attempt, waits=waits)
    sender.send(batch_of(destination, "ann"))
    assert waits == reported


def test_a_wrong_key_stops_the_destination() -> None:
    destination = ScriptedDestination(always(WRONG_KEY))
    sender, stall_timer, _ = new_sender(destination)
    outcome = sender.send(batch_of(destination, "ann", "bob"))
    assert (outcome.answered, outcome.requests, outcome.refusals) == (False, 1, [])
    assert stall_timer.reason == "HTTP 401: the key is not accepted"


def test_after_a_stop_nothing_more_is_sent() -> None:
    destination = ScriptedDestination()
    sender, stall_timer, _ = new_sender(destination)
    stall_timer.stop("the run was interrupted")
    assert not sender.send(batch_of(destination, "ann")).answered
    assert destination.received == []


def test_the_first_reason_of_a_stop_stays() -> None:
    _, stall_timer, _ = new_sender(ScriptedDestination())
    stall_timer.stop("the first")
    stall_timer.stop("the second")
    assert stall_timer.reason == "the first"


USERS = ("ann", "bob", "cem", "dan", "eva", "fay", "gus")
HALVINGS: dict[str, tuple[Answers, dict[str, str], list[list[str]]]] = {
    "none": (always(DELIVERED), {}, [list(USERS)]),
    "the first": (
        refusing("ann"),
        {"ann": "HTTP 400: bad call"},
        [list(USERS), ["ann", "bob", "cem"], ["ann"], ["bob", "cem"], ["dan", "eva", "fay", "gus"]],
    ),
    "the last": (
        refusing("gus"),
        {"gus": "HTTP 400: bad call"},
        [
            list(USERS),
            ["ann", "bob", "cem"],
            ["dan", "eva", "fay", "gus"],
            ["dan", "eva"],
            ["fay", "gus"],
            ["fay"],
            ["gus"],
        ],
    ),
    "two": (
        refusing("bob", "cem"),
        {"bob": "HTTP 400: bad call", "cem": "HTTP 400: bad call"},
        [
            list(USERS),
            ["ann", "bob", "cem"],
            ["ann"],
            ["bob", "cem"],
            ["bob"],
            ["cem"],
            ["dan", "eva", "fay", "gus"],
        ],
    ),
}


@pytest.mark.parametrize(("answers", "reasons", "requests"), HALVINGS.values(), ids=HALVINGS.keys())
def test_a_refused_batch_is_halved_until_the_refused_calls_are_found(
    answers: Answers, reasons: dict[str, str], requests: list[list[str]]
) -> None:
    destination = ScriptedDestination(answers)
    outcome = sent(destination, *USERS)
    assert refused(outcome) == reasons
    assert outcome.answered
    assert outcome.delivered == len(USERS) - len(reasons)
    assert destination.received == requests


def failing(*users: str, how: Judgement = UNAVAILABLE) -> Answers:
    """The server fails at every request with one of these users in it."""
    return lambda sent: how if set(sent) & set(users) else DELIVERED


@pytest.mark.parametrize("bad", USERS)
def test_of_a_batch_at_which_a_server_keeps_failing_one_call_is_refused(bad: str) -> None:
    outcome = sent(ScriptedDestination(failing(bad)), *USERS)
    assert refused(outcome) == {bad: "HTTP 503"}
    assert (outcome.answered, outcome.delivered) == (True, len(USERS) - 1)


def test_no_call_is_refused_while_the_server_is_down() -> None:
    outcome = sent(ScriptedDestination(always(UNAVAILABLE)), *USERS)
    assert (outcome.answered, outcome.refusals) == (False, [])


def test_a_failing_call_alone_in_its_batch_stays_pending_while_others_are_accepted() -> None:
    destination = ScriptedDestination(failing("bob"))

    def pause(attempt: int) -> float:
        stall_timer.record_progress()
        return 1.0

    sender, stall_timer, _ = new_sender(destination, pause=pause)
    outcome = sender.send(batch_of(destination, "bob"))
    assert (outcome.answered, outcome.refusals, outcome.requests) == (False, [], 4)
    assert not stall_timer.stopped.is_set()
    assert sender.send(batch_of(destination, "cem")).delivered == 1


@pytest.mark.parametrize("last", [RATE_LIMITED, WRONG_KEY])
def test_a_rate_limit_or_a_wrong_key_after_failures_refuses_no_call(last: Judgement) -> None:
    destination = ScriptedDestination(in_turn(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, last, DELIVERED))
    outcome = sent(destination, "ann", "bob")
    assert destination.received[3:] in ([["ann", "bob"]], [["ann", "bob"]] * 2)
    assert outcome.refusals == []


def test_of_a_delivered_batch_single_calls_may_be_refused() -> None:
    partly = Judgement(Meaning.DELIVERED, status=200, refused={1: "no such user"})
    outcome = sent(ScriptedDestination(always(partly)), "ann", "bob", "cem")
    assert refused(outcome) == {"bob": "no such user"}
    assert (outcome.answered, outcome.delivered, outcome.requests) == (True, 2, 1)


def test_a_call_of_several_messages_is_refused_once_when_any_of_them_is() -> None:
    partly = Judgement(Meaning.DELIVERED, status=200, refused={2: "too old", 3: "too new"})
    outcome = sent(ScriptedDestination(always(partly), parts=2), "ann", "bob")
    assert refused(outcome) == {"bob": "too new"}
    assert outcome.delivered == 1


def test_a_call_of_more_messages_than_a_request_is_sent_in_several_in_order() -> None:
    destination = ScriptedDestination(messages=1, parts=3)
    sender, _, _ = new_sender(destination, limits=destination.limits)
    outcome = sender.send(batch_of(destination, "ann"))
    assert destination.received == [["ann"]] * 3
    assert (outcome.delivered, outcome.requests) == (1, 3)


def test_requests_of_one_call_stay_within_the_bytes_of_a_request() -> None:
    length = len(ScriptedDestination().encode(identify_call("ann"))[0].body)
    destination = ScriptedDestination(request_bytes=2 * (length + 1), parts=5)
    sender, _, _ = new_sender(destination, limits=destination.limits)
    sender.send(batch_of(destination, "ann"))
    assert destination.received == [["ann", "ann"], ["ann", "ann"], ["ann"]]


def test_a_call_whose_second_request_is_refused_is_refused() -> None:
    destination = ScriptedDestination(in_turn(DELIVERED, REFUSED), messages=1, parts=3)
    sender, _, _ = new_sender(destination, limits=destination.limits)
    outcome = sender.send(batch_of(destination, "ann"))
    assert (refused(outcome), len(destination.received)) == ({"ann": "HTTP 400: bad call"}, 2)


def test_a_partly_answered_batch_has_no_answer() -> None:
    destination = ScriptedDestination(in_turn(REFUSED, DELIVERED, WRONG_KEY))
    outcome = sent(destination, "ann", "bob")
    assert destination.received == [["ann", "bob"], ["ann"], ["bob"]]
    assert not outcome.answered


def test_an_unsendable_call_is_refused_without_a_request() -> None:
    destination = ScriptedDestination()
    sender, _, _ = new_sender(destination)
    good = batch_of(destination, "bob").calls
    outcome = sender.send(
        Batch("", (EncodedCall("id-ann", b"", "ann", CallDetails(unsendable="it is too large")), *good))
    )
    assert refused(outcome) == {"ann": "it is too large"}
    assert destination.received == [["bob"]]


def test_a_batch_of_unsendable_calls_is_answered_without_a_request() -> None:
    destination = ScriptedDestination()
    sender, _, _ = new_sender(destination)
    outcome = sender.send(Batch("", (EncodedCall("id-ann", b"", "ann", CallDetails(unsendable="it is too large")),)))
    assert (outcome.answered, outcome.delivered, outcome.requests) == (True, 0, 0)
    assert destination.received == []


def test_without_progress_for_too_long_the_delivery_ends() -> None:
    slow = Judgement(Meaning.RETRY, "HTTP 503", status=503, retry_after=40.0)
    destination = ScriptedDestination(always(slow))
    sender, stall_timer, clock = new_sender(destination, give_up_after=100.0)
    outcome = sender.send(batch_of(destination, "ann"))
    assert not outcome.answered
    assert outcome.requests == 4  # after 0, 40, 80 and 100 seconds
    assert clock.now == 100.0
    assert stall_timer.reason == "no progress for 100 s, last: HTTP 503"


@pytest.mark.parametrize(("asked", "shown"), [(299.0, "299 s"), (300.0, "at least 300 s"), (60.5, "60.5 s")])
def test_a_wait_that_was_cut_is_a_least_wait(asked: float, shown: str) -> None:
    limited = Judgement(Meaning.SLOW_DOWN, "HTTP 429", status=429, retry_after=asked)
    destination = ScriptedDestination(always(limited))
    sender, stall_timer, _ = new_sender(destination, give_up_after=50.0)
    sender.send(batch_of(destination, "ann"))
    assert f"The destination asks to wait {shown}, which is longer than" in stall_timer.reason


def test_a_rate_limit_for_too_long_ends_the_delivery_and_refuses_no_call() -> None:
    destination = ScriptedDestination(always(RATE_LIMITED))
    sender, stall_timer, _ = new_sender(destination, give_up_after=50.0)
    outcome = sender.send(batch_of(destination, "ann"))
    assert (outcome.answered, outcome.refusals) == (False, [])
    assert (
        stall_timer.reason
        == "HTTP 429. The destination asks to wait 20 s, which is longer than `give_up_after: 50s` leaves"
    )
    assert stall_timer.rate_limited
    assert len(destination.received) == 3  # after 0, 20 and 40 seconds; 60 would be too late


def test_a_retry_after_of_a_day_ends_the_delivery_at_once() -> None:
    destination = ScriptedDestination(
        always(Judgement(Meaning.SLOW_DOWN, "HTTP 429", status=429, retry_after=86_400.0))
    )
    sender, stall_timer, clock = new_sender(destination, give_up_after=50.0)
    assert not sender.send(batch_of(destination, "ann")).answered
    assert (clock.now, stall_timer.rate_limited) == (0.0, True)


def test_giving_up_on_an_unavailable_destination_is_not_a_rate_limit() -> None:
    sender, stall_timer, _ = new_sender(ScriptedDestination(always(UNAVAILABLE)), give_up_after=50.0)
    sender.send(batch_of(ScriptedDestination(), "ann"))
    assert not stall_timer.rate_limited


def test_every_final_answer_is_progress() -> None:
    slow = Judgement(Meaning.RETRY, "HTTP 503", status=503, retry_after=40.0)
    destination = ScriptedDestination(in_turn(slow, slow, DELIVERED, slow, slow, DELIVERED))
    sender, stall_timer, clock = new_sender(destination, give_up_after=100.0)
    outcomes = [sender.send(batch_of(destination, user)) for user in ("ann", "bob")]
    assert [outcome.answered for outcome in outcomes] == [True, True]
    assert clock.now == 160.0
    assert stall_timer.reason == ""


def test_the_lease_is_confirmed_before_every_request() -> None:
    asked: list[int] = []
    destination = ScriptedDestination(in_turn(UNAVAILABLE))
    sender, _, _ = new_sender(destination, confirm=lambda: asked.append(len(destination.received)))
    sender.send(batch_of(destination, "ann"))
    assert asked == [0, 1]


def test_without_the_lease_nothing_is_sent() -> None:
    def lost() -> None:
        raise LeaseLostError("another run has the lease")

    destination = ScriptedDestination()
    sender, _, _ = new_sender(destination, confirm=lost)
    with pytest.raises(LeaseLostError, match="another run has the lease"):
        sender.send(batch_of(destination, "ann"))
    assert destination.received == []


def naming(*users: str) -> Answers:
    """Refuse every request with one of these users in it, and name all of them."""

    def answer(sent: list[str]) -> Judgement:
        named = {index: f"{user} has an invalid value" for index, user in enumerate(sent) if user in users}
        return replace(REFUSED, refused=named) if named else DELIVERED

    return answer


def test_the_calls_that_a_refusal_names_are_refused_and_the_others_are_sent_once_more() -> None:
    destination = ScriptedDestination(naming("bob", "gus"))
    outcome = sent(destination, *USERS)
    assert refused(outcome) == {"bob": "bob has an invalid value", "gus": "gus has an invalid value"}
    assert destination.received == [list(USERS), ["ann", "cem", "dan", "eva", "fay"]]
    assert (outcome.answered, outcome.delivered) == (True, 5)


def test_a_refusal_that_names_one_at_a_time_is_halved_after_the_first() -> None:
    def name_the_first(sent: list[str]) -> Judgement:
        bad = [index for index, user in enumerate(sent) if user in ("ann", "bob", "cem")]
        return replace(REFUSED, refused={bad[0]: "an invalid value"}) if bad else DELIVERED

    destination = ScriptedDestination(name_the_first)
    outcome = sent(destination, *USERS)
    assert refused(outcome) == dict.fromkeys(("ann", "bob", "cem"), "an invalid value")
    assert destination.received == [
        list(USERS),
        ["bob", "cem", "dan", "eva", "fay", "gus"],
        ["cem", "dan"],
        ["dan"],
        ["eva", "fay", "gus"],
    ]


def test_a_refusal_that_names_all_of_its_calls_is_not_sent_again() -> None:
    destination = ScriptedDestination(naming("ann", "bob"))
    outcome = sent(destination, "ann", "bob")
    assert (sorted(refused(outcome)), outcome.requests) == (["ann", "bob"], 1)


def test_a_property_that_was_dropped_is_refused_and_the_rest_of_the_call_is_accepted() -> None:
    dropped = replace(DELIVERED, refused_fields={1: {"vip": "there is no such field"}})
    outcome = sent(ScriptedDestination(always(dropped)), "ann", "bob")
    [refusal] = outcome.refusals
    assert (refusal.call.user_id, refusal.reason) == ("bob", "there is no such field")
    assert refusal.properties == frozenset({"vip"})


def test_a_call_that_one_request_refuses_has_no_part_in_the_next_one() -> None:
    destination = ScriptedDestination(in_turn(replace(DELIVERED, refused={0: "an unknown user"})), parts=2)
    calls = [
        EncodedCall(call.message_id, b"", call.user_id, CallDetails(messages=(user, event)))
        for call in batch_of(destination, "ann", "bob").calls
        for user in [Message(f"user-{call.user_id}", call.messages[0].body)]
        for event in [Message(f"event-{call.user_id}", call.messages[0].body)]
    ]
    sender, _, _ = new_sender(destination, parts=lambda messages: [messages[::2], messages[1::2]])
    outcome = sender.send(Batch("", calls))
    assert destination.received == [["ann", "bob"], ["bob"]]
    assert refused(outcome) == {"ann": "an unknown user"}

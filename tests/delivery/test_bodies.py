"""The size of a request's body that a destination takes is learned once, and grows again slowly."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from audience_sync.delivery.bodies import FORGET_AFTER, GROW_AFTER, BodyLimit
from audience_sync.delivery.calls import Batch, encode
from audience_sync.delivery.pace import Pace
from audience_sync.delivery.sender import BatchSender, Outcome, Progress
from audience_sync.destinations.base import Judgement, Meaning

from .doubles import BROKEN, DELIVERED, Answers, Clock, ScriptedDestination, Stopped, a_call

TOO_LARGE = Judgement(Meaning.REFUSED, "HTTP 413", 413)
BAD_GATEWAY = Judgement(Meaning.RETRY, "HTTP 502", 502)


def count(bodies: BodyLimit, sizes: Sequence[int]) -> int | None:
    with bodies.turn(lambda: sizes) as found:
        return found


def test_nothing_is_limited_before_a_refusal() -> None:
    bodies = BodyLimit()
    bodies.passed(10)
    assert count(bodies, [100] * 50) is None


def test_after_a_refusal_half_is_tried() -> None:
    bodies = BodyLimit()
    bodies.refused(1_000)
    assert count(bodies, [100] * 10) == 5


def test_refusals_of_requests_that_were_under_way_say_nothing_new() -> None:
    bodies = BodyLimit()
    for _ in range(4):
        bodies.refused(1_000)
    assert count(bodies, [100] * 10) == 5


def test_one_call_goes_however_large_it_is() -> None:
    bodies = BodyLimit()
    bodies.refused(1_000)
    assert count(bodies, [5_000, 10]) == 1


def test_it_grows_half_way_to_what_was_refused_and_not_quite_there() -> None:
    bodies = BodyLimit()
    bodies.refused(1_000)
    found = []
    for _ in range(5):
        found.append(count(bodies, [10] * 200))
        for _ in range(GROW_AFTER):
            bodies.passed(int(found[-1] or 0) * 10)
    assert found == [50, 75, 87, 87, 87]


def test_a_size_that_is_refused_again_is_left_for_what_went_through() -> None:
    bodies = BodyLimit()
    bodies.refused(1_000)
    for _ in range(GROW_AFTER):
        bodies.passed(500)
    bodies.refused(750)
    assert count(bodies, [10] * 200) == 50


def test_what_was_refused_long_ago_is_tried_again() -> None:
    bodies = BodyLimit()
    bodies.refused(1_000)
    bodies.passed(500)
    bodies.refused(540)
    for _ in range(FORGET_AFTER):
        bodies.passed(500)
    assert count(bodies, [10] * 200) == 62


def test_small_requests_say_nothing_of_the_limit() -> None:
    bodies = BodyLimit()
    bodies.refused(1_000)
    for _ in range(FORGET_AFTER):
        bodies.passed(100)
    assert count(bodies, [10] * 200) == 50


def test_one_sender_tries_a_size_and_the_others_wait_for_what_it_finds() -> None:
    bodies, others = BodyLimit(), list[int | None]()
    bodies.refused(1_000)
    with bodies.turn(lambda: [100] * 10) as tried:
        waiting = threading.Thread(target=lambda: others.append(count(bodies, [100] * 10)))
        waiting.start()
        assert others == []
        bodies.refused(500)
    waiting.join()
    assert (tried, others) == (5, [1])


def test_what_went_through_is_no_trial() -> None:
    bodies = BodyLimit()
    bodies.refused(1_000)
    bodies.passed(500)
    with bodies.turn(lambda: [100] * 10) as one, bodies.turn(lambda: [100] * 10) as other:
        assert (one, other) == (5, 5)


# With a sender --------------------------------------------------------------------------------------------------------


def over(most: int, judgement: Judgement) -> Answers:
    """A proxy that answers so to every request of more calls."""
    return lambda users: judgement if len(users) > most else DELIVERED


def sent(destination: ScriptedDestination, *batches: int) -> tuple[list[Outcome], Clock]:
    """Batches of so many calls, one after the other, by one sender."""
    clock = Clock()
    progress = Progress(300.0, clock, Stopped(clock))
    pace = Pace(None, clock=clock, wait=progress.stopped.wait)
    sender = BatchSender(destination.open(), pace, progress, lambda: None, pause=lambda attempt: 1.0)
    outcomes = []
    for batch, size in enumerate(batches):
        users = (f"u-{batch:03}-{number:03}" for number in range(size))
        outcomes.append(sender.send(Batch("", tuple(encode(a_call(user), destination) for user in users))))
    return outcomes, clock


@pytest.mark.parametrize("most", [1, 3, 7, 40, 99])
def test_a_limit_of_bodies_is_met_a_few_times_and_not_with_every_batch(most: int) -> None:
    destination = ScriptedDestination(over(most, TOO_LARGE))
    outcomes, _ = sent(destination, *[100] * 10)
    assert all(outcome.answered and outcome.delivered == 100 for outcome in outcomes)
    refused = [users for users in destination.received if len(users) > most]
    assert len(refused) < 10
    assert len(destination.received) - len(refused) <= 2.2 * 1000 / most + 10


@pytest.mark.parametrize("most", [3, 13, 60])
def test_a_server_that_fails_at_large_bodies_alone_is_sent_smaller_ones(most: int) -> None:
    destination = ScriptedDestination(over(most, BAD_GATEWAY))
    outcomes, clock = sent(destination, *[100] * 10)
    assert all(outcome.answered and outcome.delivered == 100 for outcome in outcomes)
    assert clock.now < 25  # seconds, of one each after a failed attempt
    assert sum(len(users) > most for users in destination.received[100:]) <= 8


def test_a_call_at_which_a_server_fails_makes_no_request_smaller() -> None:
    destination = ScriptedDestination(lambda users: BROKEN if "u-000-042" in users else DELIVERED)
    outcomes, _ = sent(destination, 100, 100, 100)
    assert [[refusal.call.user_id for refusal in outcome.refusals] for outcome in outcomes] == [["u-000-042"], [], []]
    assert [len(users) for users in destination.received[-2:]] == [100, 100]

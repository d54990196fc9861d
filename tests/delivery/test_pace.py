"""How fast may a destination's senders go? By a clock that moves only when somebody waits."""

from __future__ import annotations

import pytest

from audience_sync.delivery.pace import Pace, backoff


class Clock:
    """Seconds; waiting moves it. ``meanwhile`` happens during the next wait."""

    def __init__(self) -> None:
        self.now = 100.0
        self.meanwhile: list[tuple[float, float | None]] = []
        self.pace: Pace

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        until = self.now + seconds
        while self.meanwhile and self.meanwhile[0][0] <= until:
            self.now, retry_after = self.meanwhile.pop(0)
            self.pace.limited(retry_after)
        self.now = until
        return False


def paced(rate: float | None) -> tuple[Pace, Clock]:
    clock = Clock()
    clock.pace = Pace(rate, clock=clock, wait=clock.wait)
    return clock.pace, clock


def entered(pace: Pace, clock: Clock) -> float:
    pace.enter()
    return round(clock.now, 3)


def test_requests_keep_the_distance_of_the_rate() -> None:
    pace, clock = paced(4)
    assert [entered(pace, clock) for _ in range(4)] == [100.0, 100.25, 100.5, 100.75]


def test_a_pause_earns_no_burst() -> None:
    pace, clock = paced(4)
    pace.enter()
    clock.now = 200.0
    assert [entered(pace, clock) for _ in range(3)] == [200.0, 200.25, 200.5]


def test_without_a_rate_nobody_waits() -> None:
    pace, clock = paced(None)
    assert [entered(pace, clock) for _ in range(3)] == [100.0, 100.0, 100.0]


def test_after_too_many_requests_nobody_goes_before_the_destination_allows() -> None:
    pace, clock = paced(None)
    pace.enter()
    pace.limited(30)
    assert entered(pace, clock) == 130.0


def test_a_destination_that_does_not_say_how_long_gets_a_second() -> None:
    pace, clock = paced(None)
    pace.limited(None)
    assert entered(pace, clock) == 101.0


def test_the_gate_closes_for_a_sender_that_is_already_waiting_for_its_turn() -> None:
    pace, clock = paced(2)
    pace.enter()
    clock.meanwhile = [(100.2, 30.0)]
    assert entered(pace, clock) == 130.2


def test_a_gate_that_closes_for_longer_while_one_waits_holds_for_longer() -> None:
    pace, clock = paced(2)
    pace.enter()
    clock.meanwhile = [(100.2, 30.0), (120.0, 60.0)]
    assert entered(pace, clock) == 180.0


def test_when_the_gate_opens_senders_keep_their_distance() -> None:
    pace, clock = paced(10)
    pace.limited(30)
    assert [entered(pace, clock) for _ in range(3)] == [130.0, 130.125, 130.25]


def test_a_refusal_for_the_rate_takes_a_fifth_off() -> None:
    pace, clock = paced(10)
    pace.limited(0)
    assert [entered(pace, clock) for _ in range(3)] == [100.0, 100.125, 100.25]


def test_several_refusals_for_the_rate_at_once_slow_down_once() -> None:
    pace, clock = paced(10)
    pace.limited(1)
    clock.now = 100.5
    pace.limited(1)
    pace.limited(1)
    assert [entered(pace, clock) for _ in range(3)] == [101.5, 101.625, 101.75]


def test_successes_bring_the_rate_back_and_never_over_the_limit() -> None:
    pace, clock = paced(10)
    pace.limited(0)
    for _ in range(100):
        pace.succeeded()
    assert [entered(pace, clock) for _ in range(3)] == [100.0, 100.1, 100.2]


def test_without_a_rate_a_refusal_sets_one_from_what_was_sent() -> None:
    pace, clock = paced(None)
    for _ in range(100):
        pace.enter()
    clock.now = 110.0  # 100 requests in 10 seconds
    pace.limited(5)
    assert [entered(pace, clock) for _ in range(3)] == [115.0, 115.125, 115.25]


def test_a_stop_ends_the_waiting() -> None:
    pauses: list[float] = []

    def stopped(seconds: float) -> bool:
        pauses.append(seconds)
        return True

    pace = Pace(None, clock=lambda: 100.0, wait=stopped)
    pace.limited(300)
    pace.enter()
    assert pauses == [300.0]


@pytest.mark.parametrize(
    ("attempt", "most"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (50, 60.0), (5000, 60.0)]
)
def test_the_longest_pause_doubles_up_to_a_minute(attempt: int, most: float) -> None:
    assert backoff(attempt, chance=lambda: 1.0) == most


def test_a_pause_is_a_chance_between_nothing_and_the_longest() -> None:
    assert backoff(3, chance=lambda: 0.0) == 0.0
    assert backoff(3, chance=lambda: 0.25) == 0.5

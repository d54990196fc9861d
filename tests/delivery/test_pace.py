"""How fast may a destination's senders go? By a clock that moves only when somebody waits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from audience_sync.delivery.send.rate_limiter import AdaptiveRateLimiter, backoff
from tests.delivery.virtual import (
    SAYS,
    Changing,
    FixedWindow,
    Limit,
    SlidingWindow,
    TokenBucket,
    refused,
    simulate,
    used,
)


class Clock:
    """Seconds; waiting moves it. ``meanwhile`` happens during the next wait."""

    def __init__(self) -> None:
        self.now = 100.0
        self.meanwhile: list[tuple[float, float | None]] = []
        self.pace: AdaptiveRateLimiter

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        until = self.now + seconds
        while self.meanwhile and self.meanwhile[0][0] <= until:
            self.now, retry_after = self.meanwhile.pop(0)
            self.pace.on_rate_limited(retry_after, self.now)
        self.now = until
        return False


def paced(rate: float | None) -> tuple[AdaptiveRateLimiter, Clock]:
    clock = Clock()
    clock.pace = AdaptiveRateLimiter(rate, clock=clock, wait=clock.wait)
    return clock.pace, clock


def entered(pace: AdaptiveRateLimiter, clock: Clock) -> float:
    pace.acquire()
    return round(clock.now, 3)


def test_requests_keep_the_distance_of_the_rate() -> None:
    pace, clock = paced(4)
    assert [entered(pace, clock) for _ in range(4)] == [100.0, 100.25, 100.5, 100.75]


def test_a_long_pause_earns_no_burst() -> None:
    pace, clock = paced(4)
    pace.acquire()
    clock.now = 200.0
    assert [entered(pace, clock) for _ in range(3)] == [200.0, 200.23, 200.48]


def test_a_turn_for_which_no_sender_was_free_in_time_is_made_up_for() -> None:
    pace, clock = paced(100)
    times = []
    for _ in range(10):
        times.append(entered(pace, clock))
        clock.now += 0.005 if len(times) % 2 else 0.014  # an answer, every other later than the next turn
    assert times[-1] == pytest.approx(100.09, abs=0.011)


def test_without_a_rate_nobody_waits() -> None:
    pace, clock = paced(None)
    assert [entered(pace, clock) for _ in range(3)] == [100.0, 100.0, 100.0]


def test_after_too_many_requests_nobody_goes_before_the_destination_allows() -> None:
    pace, clock = paced(None)
    pace.on_rate_limited(30, pace.acquire())
    assert entered(pace, clock) == 130.0


def refuse(
    pace: AdaptiveRateLimiter,
    clock: Clock,
    retry_after: float | None,
    times: int,
    *,
    most: float = 60.0,
    after: float = 1.0,
) -> list[float]:
    """When so many requests entered that are refused one after the other, each so many seconds after it entered."""
    entries = []
    for _ in range(times):
        entries.append(entered(pace, clock))
        clock.now += after
        pace.on_rate_limited(retry_after, entries[-1], most)
    return entries


def test_a_destination_that_does_not_say_how_long_gets_half_a_second_and_then_twice_as_long_each_time() -> None:
    pace, clock = paced(None)
    assert refuse(pace, clock, None, 10) == [100, 101.5, 103.5, 106.5, 111.5, 120.5, 137.5, 170.5, 231.5, 292.5]


def test_a_success_ends_the_doubling_of_the_wait() -> None:
    pace, clock = paced(None)
    refuse(pace, clock, None, 5)
    pace.acquire()
    pace.on_success()
    first, second = refuse(pace, clock, None, 2)
    assert second - first == pytest.approx(1.5)


def test_a_destination_that_says_zero_is_believed_once() -> None:
    pace, clock = paced(None)
    assert refuse(pace, clock, 0, 4) == [100, 101, 103, 106]


def test_a_time_that_the_destination_says_is_never_made_longer() -> None:
    pace, clock = paced(None)
    assert refuse(pace, clock, 0.5, 5) == [100, 101.5, 103, 104.5, 106]


def test_a_wait_of_our_own_is_no_longer_than_the_run_allows() -> None:
    pace, clock = paced(None)
    assert refuse(pace, clock, None, 4, most=1.5) == [100, 101.5, 103.5, 106]


def test_the_gate_closes_for_a_sender_that_is_already_waiting_for_its_turn() -> None:
    pace, clock = paced(2)
    pace.acquire()
    clock.meanwhile = [(100.2, 30.0)]
    assert entered(pace, clock) == 130.2


def test_a_gate_that_closes_for_longer_while_one_waits_holds_for_longer() -> None:
    pace, clock = paced(2)
    pace.acquire()
    clock.meanwhile = [(100.2, 30.0), (120.0, 60.0)]
    assert entered(pace, clock) == 180.0


def test_when_the_gate_opens_senders_keep_their_distance() -> None:
    pace, clock = paced(10)
    pace.on_rate_limited(30, pace.acquire())
    assert [entered(pace, clock) for _ in range(3)] == [130.0, 130.1, 130.2]


def gaps(pace: AdaptiveRateLimiter, clock: Clock, count: int = 3) -> list[float]:
    """Seconds between entries."""
    times = [entered(pace, clock) for _ in range(count + 1)]
    return [round(later - earlier, 4) for earlier, later in pairwise(times)]


def sent(pace: AdaptiveRateLimiter, clock: Clock, count: int, rate: float) -> None:
    """So many successes in a row, at that rate."""
    for _ in range(count):
        pace.acquire()
        clock.now += 1 / rate
        pace.on_success()


def test_a_refusal_for_the_rate_shows_the_rate_and_senders_go_on_below_it() -> None:
    pace, clock = paced(None)
    sent(pace, clock, 300, rate=100)
    pace.on_rate_limited(0, pace.acquire())
    assert gaps(pace, clock)[1] == pytest.approx(1 / 85, rel=0.05)


def test_several_refusals_for_the_rate_at_once_slow_down_once() -> None:
    pace, clock = paced(None)
    sent(pace, clock, 300, rate=100)
    at = pace.acquire()
    for _ in range(20):
        clock.now += 0.01
        pace.on_rate_limited(1, at)
    assert gaps(pace, clock)[1] == pytest.approx(1 / 85, rel=0.05)


def test_refusals_without_a_success_between_say_nothing_about_the_rate() -> None:
    pace, clock = paced(None)
    sent(pace, clock, 300, rate=100)
    refuse(pace, clock, 1, 20, after=0.01)
    assert gaps(pace, clock)[1] == pytest.approx(1 / 85, rel=0.05)


def test_the_rate_comes_back_and_never_over_the_limit() -> None:
    pace, clock = paced(10)
    sent(pace, clock, 100, rate=10)
    pace.on_rate_limited(0, pace.acquire())
    sent(pace, clock, 3000, rate=20)
    assert gaps(pace, clock) == [0.1, 0.1, 0.1]


def test_a_stop_ends_the_waiting() -> None:
    pauses: list[float] = []

    def stopped(seconds: float) -> bool:
        pauses.append(seconds)
        return True

    pace = AdaptiveRateLimiter(None, clock=lambda: 100.0, wait=stopped)
    pace.on_rate_limited(300, 100.0)
    pace.acquire()
    assert pauses == [300.0]


LIMITS: dict[str, Callable[[int], Limit]] = {
    "a full bucket": lambda rate: TokenBucket(rate, rate),
    "a small bucket": lambda rate: TokenBucket(rate, rate / 10),
    "a sliding window": SlidingWindow,
    "a fixed window": FixedWindow,
}


@pytest.mark.parametrize("says", SAYS)
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(("rate", "senders"), [(500, 16), (100, 4), (50, 32)])
def test_a_server_s_allowance_is_used_and_hardly_exceeded(rate: int, senders: int, limit: str, says: str) -> None:
    seconds = 40 if rate == 500 else 90
    seen = simulate(LIMITS[limit](rate), says, senders=senders, seconds=seconds)
    assert used(seen, rate, 0, seconds) >= 0.8
    assert refused(seen) < 0.02


@pytest.mark.parametrize("says", SAYS)
def test_few_senders_use_a_server_that_answers_slowly_as_far_as_they_can(says: str) -> None:
    seen = simulate(SlidingWindow(500), says, senders=4, seconds=20, round_trip=(0.04, 0.06))
    assert used(seen, 4 / 0.05, 0, 20) >= 0.95
    assert not refused(seen)


@pytest.mark.parametrize("rate", [1, 5])
def test_a_slow_server_is_not_hammered(rate: int) -> None:
    seen = simulate(FixedWindow(rate), "whole seconds", senders=4, seconds=600)
    assert used(seen, rate, 0, 600) >= 0.8
    assert refused(seen) < 0.04


@pytest.mark.parametrize("says", ["whole seconds", "a reset time"])
def test_a_quota_by_the_minute_is_used_at_once_and_then_waited_for(says: str) -> None:
    seen = simulate(FixedWindow(100, span=60), says, senders=4, seconds=300)
    assert used(seen, 100 / 60, 0, 300) == pytest.approx(1)
    assert refused(seen) < 0.02


@pytest.mark.parametrize("limit", LIMITS)
def test_a_server_that_takes_less_for_a_while_gets_less_and_then_again_all(limit: str) -> None:
    limits = Changing((0, LIMITS[limit](500)), (15, LIMITS[limit](100)), (35, LIMITS[limit](500)))
    seen = simulate(limits, "whole seconds", senders=16, seconds=100)
    assert used(seen, 100, 17, 35) >= 0.7
    assert used(seen, 500, 85, 100) >= 0.8
    assert refused(seen) < 0.02


class Single:
    """Accepts everything but the requests of these numbers."""

    def __init__(self, *numbers: int) -> None:
        self.numbers, self.count = numbers, 0

    def __call__(self, now: float) -> float:
        self.count += 1
        return 1.0 if self.count in self.numbers else 0.0


#: What four senders reach at a server that answers after 20 to 60 ms (requests a second).
REACHED = 100


@pytest.mark.parametrize(
    "numbers", [(2,), (5, 50), (100, 200), (2, 10, 40, 100), (5, 6, 7, 8), (300, 500)], ids=lambda each: str(each)
)
def test_five_seconds_after_a_refusal_without_retry_after_most_of_the_rate_is_back(numbers: tuple[int, ...]) -> None:
    seen = simulate(Single(*numbers), "nothing", senders=4, seconds=60, round_trip=(0.02, 0.06))
    last = max(request.at for request in seen if not request.taken)
    assert used(seen, REACHED, last + 5, last + 15) >= 0.8


@pytest.mark.parametrize(("rate", "senders"), [(500, 16), (100, 4), (50, 32), (20, 8)])
@pytest.mark.parametrize("limit", LIMITS)
def test_an_allowance_of_a_server_that_says_nothing_is_used_from_the_fifth_second_on(
    rate: int, senders: int, limit: str
) -> None:
    seen = simulate(LIMITS[limit](rate), "nothing", senders=senders, seconds=35)
    assert used(seen, rate, 5, 35) >= 0.8
    assert refused(seen) < 0.05


@pytest.mark.parametrize(("rate", "burst", "senders"), [(10, 1, 8), (20, 2, 8), (100, 2, 4)])
def test_a_bucket_of_hardly_any_burst_that_says_nothing_is_used_from_the_fifth_second_on(
    rate: int, burst: int, senders: int
) -> None:
    seen = simulate(TokenBucket(rate, burst), "nothing", senders=senders, seconds=25)
    assert used(seen, rate, 5, 25) >= 0.8
    assert refused(seen) < 0.1


@pytest.mark.parametrize("senders", [1, 4, 32])
def test_a_server_that_refuses_all_for_a_minute_is_asked_few_times_by_however_many_senders(senders: int) -> None:
    closed = Changing((0, lambda now: 0.0), (10, lambda now: 70 - now), (70, lambda now: 0.0))
    seen = simulate(closed, "nothing", senders=senders, seconds=90, round_trip=(0.02, 0.06))
    assert len([request for request in seen if 11 <= request.at < 70]) <= 7
    assert used(seen, senders * REACHED / 4, 80, 90) >= 0.8 * min(1.0, 250 / (senders * REACHED / 4))


def test_where_the_server_says_when_to_come_back_the_rate_stays_close_to_the_refused_one_for_longer() -> None:
    paces = []
    for retry_after in (None, 0.5):
        pace, clock = paced(None)
        sent(pace, clock, 300, rate=100)
        pace.on_rate_limited(retry_after, pace.acquire())
        clock.now += 0.5 + 6
        sent(pace, clock, 1, rate=100)
        paces.append(sum(gaps(pace, clock, 100)))
    unsaid, said = paces
    assert said == pytest.approx(100 / 97, abs=0.05)
    assert unsaid < 0.25


def test_a_rate_in_the_configuration_is_kept_to_the_request() -> None:
    seen = simulate(SlidingWindow(500), "whole seconds", senders=32, seconds=20, rate=400)
    assert used(seen, 400, 0, 20) == pytest.approx(1, abs=0.01)
    assert not refused(seen)


@pytest.mark.parametrize(
    ("attempt", "most"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (50, 60.0), (5000, 60.0)]
)
def test_the_longest_pause_doubles_up_to_a_minute(attempt: int, most: float) -> None:
    assert backoff(attempt, chance=lambda: 1.0) == most


def test_a_pause_is_a_chance_between_nothing_and_the_longest() -> None:
    assert backoff(3, chance=lambda: 0.0) == 0.0
    assert backoff(3, chance=lambda: 0.25) == 0.5

"""The rate of a destination's senders, by a clock that moves only when a sender waits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from audience_sync.delivery.send.rate_limiter import AdaptiveRateLimiter, backoff

from .virtual_time import (
    RETRY_AFTER,
    ChangingLimit,
    FixedWindow,
    Limit,
    SlidingWindow,
    TokenBucket,
    refused,
    simulate,
    used,
)


class Clock:
    """Seconds; waiting moves it. ``meanwhile``: 429s (time, retry_after) during the next wait."""

    def __init__(self) -> None:
        self.now = 100.0
        self.meanwhile: list[tuple[float, float | None]] = []
        self.limiter: AdaptiveRateLimiter

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        until = self.now + seconds
        while self.meanwhile and self.meanwhile[0][0] <= until:
            self.now, retry_after = self.meanwhile.pop(0)
            self.limiter.on_rate_limited(retry_after, self.now)
        self.now = until
        return False


def new_limiter(rate: float | None) -> tuple[AdaptiveRateLimiter, Clock]:
    clock = Clock()
    clock.limiter = AdaptiveRateLimiter(rate, clock=clock, wait=clock.wait)
    return clock.limiter, clock


def slot_time(limiter: AdaptiveRateLimiter, clock: Clock) -> float:
    limiter.acquire()
    return round(clock.now, 3)


def test_requests_keep_the_distance_of_the_rate() -> None:
    limiter, clock = new_limiter(4)
    assert [slot_time(limiter, clock) for _ in range(4)] == [100.0, 100.25, 100.5, 100.75]


def test_a_long_pause_earns_no_burst() -> None:
    limiter, clock = new_limiter(4)
    limiter.acquire()
    clock.now = 200.0
    assert [slot_time(limiter, clock) for _ in range(3)] == [200.0, 200.23, 200.48]


def test_a_slot_for_which_no_sender_was_free_in_time_is_caught_up() -> None:
    limiter, clock = new_limiter(100)
    times = []
    for _ in range(10):
        times.append(slot_time(limiter, clock))
        clock.now += 0.005 if len(times) % 2 else 0.014  # an answer, every other later than the next turn
    assert times[-1] == pytest.approx(100.09, abs=0.011)


def test_without_a_rate_no_sender_waits() -> None:
    limiter, clock = new_limiter(None)
    assert [slot_time(limiter, clock) for _ in range(3)] == [100.0, 100.0, 100.0]


def test_after_a_429_no_sender_sends_before_retry_after() -> None:
    limiter, clock = new_limiter(None)
    limiter.on_rate_limited(30, limiter.acquire())
    assert slot_time(limiter, clock) == 130.0


def refuse(
    limiter: AdaptiveRateLimiter,
    clock: Clock,
    retry_after: float | None,
    times: int,
    *,
    most: float = 60.0,
    after: float = 1.0,
) -> list[float]:
    """Return the slots of so many requests that are refused one after the other, ``after`` seconds after the slot."""
    entries = []
    for _ in range(times):
        entries.append(slot_time(limiter, clock))
        clock.now += after
        limiter.on_rate_limited(retry_after, entries[-1], most)
    return entries


def test_without_retry_after_the_wait_is_half_a_second_and_then_doubles() -> None:
    limiter, clock = new_limiter(None)
    assert refuse(limiter, clock, None, 10) == [100, 101.5, 103.5, 106.5, 111.5, 120.5, 137.5, 170.5, 231.5, 292.5]


def test_a_success_ends_the_doubling_of_the_wait() -> None:
    limiter, clock = new_limiter(None)
    refuse(limiter, clock, None, 5)
    limiter.acquire()
    limiter.on_success()
    first, second = refuse(limiter, clock, None, 2)
    assert second - first == pytest.approx(1.5)


def test_a_retry_after_of_zero_counts_once() -> None:
    limiter, clock = new_limiter(None)
    assert refuse(limiter, clock, 0, 4) == [100, 101, 103, 106]


def test_a_retry_after_is_never_made_longer() -> None:
    limiter, clock = new_limiter(None)
    assert refuse(limiter, clock, 0.5, 5) == [100, 101.5, 103, 104.5, 106]


def test_a_wait_without_retry_after_is_no_longer_than_the_run_allows() -> None:
    limiter, clock = new_limiter(None)
    assert refuse(limiter, clock, None, 4, most=1.5) == [100, 101.5, 103.5, 106]


def test_a_429_delays_a_sender_that_is_already_waiting() -> None:
    limiter, clock = new_limiter(2)
    limiter.acquire()
    clock.meanwhile = [(100.2, 30.0)]
    assert slot_time(limiter, clock) == 130.2


def test_a_second_429_delays_a_waiting_sender_further() -> None:
    limiter, clock = new_limiter(2)
    limiter.acquire()
    clock.meanwhile = [(100.2, 30.0), (120.0, 60.0)]
    assert slot_time(limiter, clock) == 180.0


def test_after_a_429_senders_keep_their_distance() -> None:
    limiter, clock = new_limiter(10)
    limiter.on_rate_limited(30, limiter.acquire())
    assert [slot_time(limiter, clock) for _ in range(3)] == [130.0, 130.1, 130.2]


def gaps(limiter: AdaptiveRateLimiter, clock: Clock, count: int = 3) -> list[float]:
    """Return the seconds between slots."""
    times = [slot_time(limiter, clock) for _ in range(count + 1)]
    return [round(later - earlier, 4) for earlier, later in pairwise(times)]


def sent(limiter: AdaptiveRateLimiter, clock: Clock, count: int, rate: float) -> None:
    """Record so many successes in a row, at that rate."""
    for _ in range(count):
        limiter.acquire()
        clock.now += 1 / rate
        limiter.on_success()


def test_a_429_shows_the_rate_and_senders_continue_below_it() -> None:
    limiter, clock = new_limiter(None)
    sent(limiter, clock, 300, rate=100)
    limiter.on_rate_limited(0, limiter.acquire())
    assert gaps(limiter, clock)[1] == pytest.approx(1 / 85, rel=0.05)


def test_several_429s_at_once_slow_down_once() -> None:
    limiter, clock = new_limiter(None)
    sent(limiter, clock, 300, rate=100)
    at = limiter.acquire()
    for _ in range(20):
        clock.now += 0.01
        limiter.on_rate_limited(1, at)
    assert gaps(limiter, clock)[1] == pytest.approx(1 / 85, rel=0.05)


def test_429s_without_a_success_between_them_do_not_change_the_rate() -> None:
    limiter, clock = new_limiter(None)
    sent(limiter, clock, 300, rate=100)
    refuse(limiter, clock, 1, 20, after=0.01)
    assert gaps(limiter, clock)[1] == pytest.approx(1 / 85, rel=0.05)


def test_the_rate_recovers_and_never_exceeds_the_configured_one() -> None:
    limiter, clock = new_limiter(10)
    sent(limiter, clock, 100, rate=10)
    limiter.on_rate_limited(0, limiter.acquire())
    sent(limiter, clock, 3000, rate=20)
    assert gaps(limiter, clock) == [0.1, 0.1, 0.1]


def test_a_stop_ends_the_waiting() -> None:
    pauses: list[float] = []

    def stopped(seconds: float) -> bool:
        pauses.append(seconds)
        return True

    limiter = AdaptiveRateLimiter(None, clock=lambda: 100.0, wait=stopped)
    limiter.on_rate_limited(300, 100.0)
    limiter.acquire()
    assert pauses == [300.0]


LIMITS: dict[str, Callable[[int], Limit]] = {
    "a full bucket": lambda rate: TokenBucket(rate, rate),
    "a small bucket": lambda rate: TokenBucket(rate, rate / 10),
    "a sliding window": SlidingWindow,
    "a fixed window": FixedWindow,
}


@pytest.mark.parametrize("answer", RETRY_AFTER)
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(("rate", "senders"), [(500, 16), (100, 4), (50, 32)])
def test_a_server_s_allowance_is_used_and_hardly_exceeded(rate: int, senders: int, limit: str, answer: str) -> None:
    seconds = 40 if rate == 500 else 90
    seen = simulate(LIMITS[limit](rate), answer, senders=senders, seconds=seconds)
    assert used(seen, rate, 0, seconds) >= 0.8
    assert refused(seen) < 0.02


@pytest.mark.parametrize("answer", RETRY_AFTER)
def test_few_senders_use_a_server_that_answers_slowly_as_far_as_they_can(answer: str) -> None:
    seen = simulate(SlidingWindow(500), answer, senders=4, seconds=20, round_trip=(0.04, 0.06))
    assert used(seen, 4 / 0.05, 0, 20) >= 0.95
    assert not refused(seen)


@pytest.mark.parametrize("rate", [1, 5])
def test_a_server_with_a_low_limit_is_sent_few_refused_requests(rate: int) -> None:
    seen = simulate(FixedWindow(rate), "whole seconds", senders=4, seconds=600)
    assert used(seen, rate, 0, 600) >= 0.8
    assert refused(seen) < 0.04


@pytest.mark.parametrize("answer", ["whole seconds", "a reset time"])
def test_a_quota_by_the_minute_is_used_at_once_and_then_senders_wait(answer: str) -> None:
    seen = simulate(FixedWindow(100, span=60), answer, senders=4, seconds=300)
    assert used(seen, 100 / 60, 0, 300) == pytest.approx(1)
    assert refused(seen) < 0.02


@pytest.mark.parametrize("limit", LIMITS)
def test_a_server_that_accepts_less_for_a_while_is_sent_less_and_then_all_again(limit: str) -> None:
    limits = ChangingLimit((0, LIMITS[limit](500)), (15, LIMITS[limit](100)), (35, LIMITS[limit](500)))
    seen = simulate(limits, "whole seconds", senders=16, seconds=100)
    assert used(seen, 100, 17, 35) >= 0.7
    assert used(seen, 500, 85, 100) >= 0.8
    assert refused(seen) < 0.02


class RefusingNumbers:
    """Accepts everything but the requests of these numbers."""

    def __init__(self, *numbers: int) -> None:
        self.numbers, self.count = numbers, 0

    def __call__(self, now: float) -> float:
        self.count += 1
        return 1.0 if self.count in self.numbers else 0.0


#: The requests a second of four senders to a server that answers after 20 to 60 ms.
REACHED = 100


@pytest.mark.parametrize(
    "numbers", [(2,), (5, 50), (100, 200), (2, 10, 40, 100), (5, 6, 7, 8), (300, 500)], ids=lambda each: str(each)
)
def test_five_seconds_after_a_refusal_without_retry_after_most_of_the_rate_is_back(numbers: tuple[int, ...]) -> None:
    seen = simulate(RefusingNumbers(*numbers), "none", senders=4, seconds=60, round_trip=(0.02, 0.06))
    last = max(request.at for request in seen if not request.accepted)
    assert used(seen, REACHED, last + 5, last + 15) >= 0.8


@pytest.mark.parametrize(("rate", "senders"), [(500, 16), (100, 4), (50, 32), (20, 8)])
@pytest.mark.parametrize("limit", LIMITS)
def test_without_retry_after_an_allowance_is_used_after_five_seconds(rate: int, senders: int, limit: str) -> None:
    seen = simulate(LIMITS[limit](rate), "none", senders=senders, seconds=35)
    assert used(seen, rate, 5, 35) >= 0.8
    assert refused(seen) < 0.05


@pytest.mark.parametrize(("rate", "burst", "senders"), [(10, 1, 8), (20, 2, 8), (100, 2, 4)])
def test_without_retry_after_a_bucket_with_a_small_burst_is_used_after_five_seconds(
    rate: int, burst: int, senders: int
) -> None:
    seen = simulate(TokenBucket(rate, burst), "none", senders=senders, seconds=25)
    assert used(seen, rate, 5, 25) >= 0.8
    assert refused(seen) < 0.1


@pytest.mark.parametrize("senders", [1, 4, 32])
def test_a_server_that_refuses_all_for_a_minute_is_sent_few_requests_by_any_number_of_senders(senders: int) -> None:
    closed = ChangingLimit((0, lambda now: 0.0), (10, lambda now: 70 - now), (70, lambda now: 0.0))
    seen = simulate(closed, "none", senders=senders, seconds=90, round_trip=(0.02, 0.06))
    assert len([request for request in seen if 11 <= request.at < 70]) <= 7
    assert used(seen, senders * REACHED / 4, 80, 90) >= 0.8 * min(1.0, 250 / (senders * REACHED / 4))


def test_with_retry_after_the_rate_stays_close_to_the_refused_one_for_longer() -> None:
    durations = []
    for retry_after in (None, 0.5):
        limiter, clock = new_limiter(None)
        sent(limiter, clock, 300, rate=100)
        limiter.on_rate_limited(retry_after, limiter.acquire())
        clock.now += 0.5 + 6
        sent(limiter, clock, 1, rate=100)
        durations.append(sum(gaps(limiter, clock, 100)))
    without_retry_after, with_retry_after = durations
    assert with_retry_after == pytest.approx(100 / 97, abs=0.05)
    assert without_retry_after < 0.25


def test_a_configured_rate_is_kept_exactly() -> None:
    seen = simulate(SlidingWindow(500), "whole seconds", senders=32, seconds=20, rate=400)
    assert used(seen, 400, 0, 20) == pytest.approx(1, abs=0.01)
    assert not refused(seen)


@pytest.mark.parametrize(
    ("attempt", "most"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (50, 60.0), (5000, 60.0)]
)
def test_the_longest_pause_doubles_up_to_a_minute(attempt: int, most: float) -> None:
    assert backoff(attempt, chance=lambda: 1.0) == most


def test_a_pause_is_random_between_zero_and_the_longest() -> None:
    assert backoff(3, chance=lambda: 0.0) == 0.0
    assert backoff(3, chance=lambda: 0.25) == 0.5

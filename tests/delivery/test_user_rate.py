"""A seed stays within its users a second, by a clock that moves only when a sender waits."""

from __future__ import annotations

import pytest

from audience_sync.delivery.send.rate_limiter import UserRate, max_batch_users


class Clock:
    """Seconds; waiting moves it, unless the delivery has stopped."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stopped = False

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        if not self.stopped:
            self.now += seconds
        return self.stopped


def slot_time(rate: UserRate, clock: Clock, users: int) -> float:
    rate.acquire(users)
    return round(clock.now, 2)


@pytest.mark.parametrize(
    ("rate", "users"),
    [(500.0, 500), (10.0, 10), (2.9, 2), (1.0, 1), (0.5, 1), (10 / 3600, 1), (None, None)],
    ids=["500/s", "10/s", "2.9/s", "1/s", "30/m", "10/h", "no rate"],
)
def test_one_request_holds_the_users_of_a_second_at_most(rate: float | None, users: int | None) -> None:
    assert max_batch_users(rate) == users


def test_requests_wait_for_the_users_before_them() -> None:
    clock = Clock()
    rate = UserRate(10, clock=clock, wait=clock.wait)
    assert [slot_time(rate, clock, users) for users in (10, 10, 5, 1)] == [100.0, 101.0, 102.0, 102.5]


def test_a_rate_below_one_user_a_second_waits_between_single_users() -> None:
    clock = Clock()
    rate = UserRate(0.25, clock=clock, wait=clock.wait)
    assert [slot_time(rate, clock, 1) for _ in range(3)] == [100.0, 104.0, 108.0]


def test_a_long_pause_earns_no_burst() -> None:
    clock = Clock()
    rate = UserRate(10, clock=clock, wait=clock.wait)
    rate.acquire(10)
    clock.now = 200.0
    assert [slot_time(rate, clock, 10) for _ in range(3)] == [200.0, 200.98, 201.98]


def test_acquire_returns_whether_there_was_a_wait() -> None:
    clock = Clock()
    rate = UserRate(10, clock=clock, wait=clock.wait)
    assert [rate.acquire(10), rate.acquire(10)] == [False, True]


def test_without_a_rate_no_request_waits() -> None:
    clock = Clock()
    rate = UserRate(None, clock=clock, wait=clock.wait)
    assert [slot_time(rate, clock, 1000) for _ in range(3)] == [100.0, 100.0, 100.0]


def test_a_stop_ends_the_waiting_at_once() -> None:
    clock = Clock()
    rate = UserRate(1, clock=clock, wait=clock.wait)
    rate.acquire(60)
    clock.stopped = True
    assert slot_time(rate, clock, 1) == 100.0

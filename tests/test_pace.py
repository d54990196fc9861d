"""An estimate of the time left is never a guess, never negative, and follows pauses and changes of speed."""

from __future__ import annotations

import pytest

from audience_sync.pace import WINDOW, Pace, Sample, Wait


def steady(*, every: float, step: int, until: float) -> Pace:
    """A count that grows by ``step`` every so many seconds, from 0 on."""
    pace, at, count = Pace.started(0.0), every, step
    while at <= until:
        pace, at, count = pace.counted(at, count), at + every, count + step
    return pace


@pytest.mark.parametrize(
    ("pace", "now"),
    [
        pytest.param(Pace.started(0.0), 0.0, id="nothing has come"),
        pytest.param(Pace.started(0.0), 4.0, id="nothing has come for a while"),
        pytest.param(Pace.started(0.0).counted(3.0, 100), 3.0, id="one answer"),
        pytest.param(Pace.started(0.0).counted(0.5, 100).counted(1.0, 200), 1.0, id="two answers within a second"),
    ],
)
def test_nothing_is_estimated_before_it_can_be_known(pace: Pace, now: float) -> None:
    assert (pace.rate(now), pace.seconds_left(now, 1_000)) == (None, None)


@pytest.mark.parametrize(
    ("now", "left"),
    [
        pytest.param(10.0, 20.0, id="with an answer"),
        pytest.param(10.5, 19.5, id="between two answers it counts down"),
        pytest.param(12.9, 17.1, id="an answer is late"),
        pytest.param(13.1, None, id="an answer is overdue"),
        pytest.param(60.0, None, id="no answer for a minute"),
    ],
)
def test_a_steady_pace_counts_down_and_claims_nothing_when_an_answer_is_overdue(now: float, left: float | None) -> None:
    pace = steady(every=1.0, step=100, until=10.0)
    assert pace.rate(now) == 100
    assert pace.seconds_left(now, 2_000) == (left if left is None else pytest.approx(left))


def test_the_end_is_never_shown_as_reached_while_calls_are_left() -> None:
    pace = steady(every=8.0, step=1_000, until=40.0)
    assert pace.seconds_left(47.5, 1_000) == pytest.approx(0.5)
    assert [pace.seconds_left(now, 1_000) for now in (48.0, 50.0, 60.0, 600.0)] == [None] * 4


def test_a_silence_is_shown_once_it_is_long_for_this_pace() -> None:
    quick, slow = steady(every=1.0, step=100, until=10.0), steady(every=8.0, step=1_000, until=40.0)
    assert [quick.silent(now) for now in (14.0, 16.0)] == [None, 6.0]
    assert [slow.silent(now) for now in (60.0, 70.0)] == [None, 30.0]


def test_before_the_first_answer_a_silence_is_shown_after_five_seconds() -> None:
    assert [Pace.started(0.0).silent(now) for now in (4.0, 6.0)] == [None, 6.0]


def test_the_speed_is_that_of_the_last_half_minute() -> None:
    pace = steady(every=1.0, step=1_000, until=60.0)
    for second in range(61, 61 + int(WINDOW)):
        pace = pace.counted(float(second), 60_000 + 10 * (second - 60))
    assert pace.rate(90.0) == 10
    assert pace.seconds_left(90.0, 100) == 10


def test_a_pause_that_all_senders_make_is_counted_down_and_nothing_else_is_claimed() -> None:
    pace = steady(every=1.0, step=100, until=10.0).waiting(Wait(10.2, 30.2, for_all=True)).counted(10.5, 1_050)
    assert pace.wait_left(10.2) == pytest.approx(20.0)
    assert pace.wait_left(25.2) == pytest.approx(5.0)
    assert (pace.seconds_left(25.2, 100), pace.silent(25.2)) == (None, None)
    assert (pace.wait_left(30.2), pace.rate(30.3), pace.seconds_left(30.3, 100)) == (None, None, None)


def test_a_pause_of_one_sender_ends_with_the_answer_of_another() -> None:
    pace = steady(every=1.0, step=100, until=10.0).waiting(Wait(10.2, 30.2))
    assert pace.wait_left(10.6) == pytest.approx(19.6)
    assert pace.counted(11.0, 1_100).wait_left(11.0) is None


def test_after_a_pause_a_silence_counts_from_its_end() -> None:
    pace = steady(every=1.0, step=100, until=10.0).waiting(Wait(10.0, 30.0, for_all=True))
    assert [pace.silent(now) for now in (31.0, 36.0)] == [None, 6.0]


def test_between_the_pauses_of_an_outage_the_silence_counts_from_the_last_answer() -> None:
    pace = steady(every=1.0, step=100, until=10.0).waiting(Wait(10.5, 12.5)).waiting(Wait(13.0, 17.0))
    assert (pace.wait_left(16.0), pace.silent(16.0)) == (1.0, None)
    assert [pace.silent(17.1), pace.rate(17.1), pace.seconds_left(17.1, 100)] == [pytest.approx(7.1), None, None]


def test_regular_pauses_are_part_of_the_speed() -> None:
    """A destination that takes 100 calls in a second and then asks to wait 9 s takes 10 calls a second."""
    pace = Pace.started(0.0).counted(1.0, 100)
    for number in range(1, 6):
        at = 10.0 * number
        pace = pace.waiting(Wait(at - 9, at, for_all=True)).counted(at + 1, 100 * (number + 1))
    assert pace.rate(51.0) == pytest.approx(10.0)


def test_after_an_outage_the_speed_is_measured_again() -> None:
    pace = steady(every=1.0, step=100, until=10.0)
    for since in (10.0, 40.0, 80.0):
        pace = pace.waiting(Wait(since, since + 30.0))
    back = pace.counted(111.0, 1_100)
    assert back.samples == (Sample(110.0, 1_000), Sample(111.0, 1_100))
    assert back.seconds_left(111.0, 1_000) is None
    assert back.counted(112.0, 1_200).counted(113.0, 1_300).seconds_left(113.0, 1_000) == pytest.approx(10.0)


def test_a_count_that_falls_starts_again() -> None:
    assert steady(every=1.0, step=100, until=10.0).counted(11.0, 50) == Pace.started(11.0, 50)


def test_many_answers_a_second_are_few_samples() -> None:
    assert len(steady(every=0.01, step=1, until=60.0).samples) < 170

"""The lines about what is loaded and sent: no name is cut, and the time left is claimed only where it is known."""

from __future__ import annotations

import pytest

from audience_sync.cli.base.layout import Screen
from audience_sync.cli.views.progress import (
    Sending,
    counts_text,
    loading_text,
    next_sending,
    progress_line,
    sending_text,
)
from audience_sync.delivery.deliver import DeliveryStats
from audience_sync.pace import Pace, Wait

LONG = "audience order_completed_in_the_last_30_days_by_mobile"


@pytest.mark.parametrize(
    ("number", "what", "width", "line"),
    [
        pytest.param(2, "audience vip", 60, "Loading 2: audience vip", id="short"),
        pytest.param(1, LONG, None, f"Loading 1: {LONG}", id="no terminal"),
        pytest.param(1, LONG, 80, f"Loading 1: {LONG}", id="80 columns"),
        pytest.param(1, LONG, 67, f"Loading 1: {LONG}", id="just room enough"),
        pytest.param(1, LONG, 66, "Loading 1", id="one column less"),
        pytest.param(1, LONG, 60, "Loading 1", id="60 columns"),
    ],
)
def test_a_name_is_shown_whole_or_not_at_all(number: int, what: str, width: int | None, line: str) -> None:
    assert loading_text(number, what, Screen(width)) == line


@pytest.mark.parametrize(
    ("name", "width", "shown"),
    [
        ("connect", 80, "Sending to connect"),
        ("connect", 60, "connect"),
        ("production_west", 80, "production_west"),
        ("segment_production_europe", 80, "segment_production\n_europe"),
        ("segment_production_europe", 60, "segment_produc\ntion_europe"),
        ("segment_production_europe", 200, "Sending to segment_production_europe"),
    ],
)
def test_a_destination_with_a_long_name_leaves_room_for_its_counts(name: str, width: int, shown: str) -> None:
    assert sending_text(name, Screen(width)) == shown


def sending(*answers: tuple[float, int], calls: int = 5_000, refused: int = 0, name: str = "connect") -> Sending:
    """Answers at these times, each with the number of all until then; the sending began at 0."""
    pace = Pace.started(0.0)
    for at, count in answers:
        pace = pace.counted(at, count)
    return Sending(name=name, calls=calls, answered=answers[-1][1] if answers else 0, refused=refused, pace=pace)


SECONDS = tuple((float(second), 200 * second) for second in range(1, 8))


@pytest.mark.parametrize(
    ("shown", "now", "text"),
    [
        pytest.param(sending(), 0.0, "0 of 5,000  0 refused", id="start"),
        pytest.param(sending(), 7.0, "0 of 5,000  no answer for 7 s, 0 refused", id="no answer"),
        pytest.param(sending((1.0, 200)), 1.0, "200 of 5,000  0 refused", id="too early"),
        pytest.param(sending(*SECONDS), 7.0, "1,400 of 5,000  200/s, 18 s left, 0 refused", id="known"),
        pytest.param(sending(*SECONDS, refused=12), 7.0, "1,400 of 5,000  200/s, 18 s left, 12 refused", id="refused"),
        pytest.param(sending(*SECONDS), 10.5, "1,400 of 5,000  200/s, 0 refused", id="overdue"),
        pytest.param(sending(*SECONDS), 20.0, "1,400 of 5,000  no answer for 13 s, 0 refused", id="silent"),
        pytest.param(sending(*SECONDS, calls=1_410), 7.0, "1,400 of 1,410  200/s, < 1 s left, 0 refused", id="nearly"),
        pytest.param(
            sending(*SECONDS, calls=40_000), 7.0, "1,400 of 40,000  200/s, 3 min left, 0 refused", id="minutes"
        ),
        pytest.param(sending(*SECONDS, calls=1_400), 7.0, "1,400 of 1,400  done", id="done"),
        pytest.param(sending(*SECONDS, calls=1_400, refused=1), 9.0, "1,400 of 1,400  done, 1 refused", id="done, one"),
        pytest.param(
            sending((60.0, 1), (120.0, 2), (180.0, 3)),
            180.0,
            "3 of 5,000  1/min, 83 h 17 min left, 0 refused",
            id="slow",
        ),
    ],
)
def test_a_destination_shows_its_counts_and_the_time_left_if_it_is_known(shown: Sending, now: float, text: str) -> None:
    assert counts_text(shown, now) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hub", "0 of 5,000  waiting for hub, 20 s, 0 refused"),
        ("segment_production_europe", "0 of 5,000  waiting, 20 s, 0 refused"),
    ],
)
def test_a_pause_is_counted_down(name: str, text: str) -> None:
    stats = DeliveryStats(name=name, calls=5_000, pause=Wait(7.0, 27.0, for_all=True))
    assert counts_text(next_sending(sending(name=name), [stats], 7.0), 7.0) == text


def test_a_line_of_a_log_has_the_same_facts() -> None:
    found = sending(*SECONDS, refused=3)
    assert progress_line(found, 7.0) == "connect: 1,400 of 5,000 calls answered, 3 refused, 200/s, 18 s left"


def test_a_limited_seed_counts_what_it_sends_and_not_what_stays_pending() -> None:
    stats = DeliveryStats(name="connect", calls=614, delivered=99, refused=1, most=100)
    assert counts_text(next_sending(None, [stats], 5.0), 5.0) == "100 of 100  done, 1 refused"


def test_the_deliveries_of_one_destination_add_up() -> None:
    """A seed and the changes of others are sent one after the other: the count does not start again."""
    first, second = DeliveryStats(name="connect", calls=500, delivered=500), DeliveryStats(name="connect", calls=100)
    before = next_sending(None, [first], 5.0)
    assert counts_text(before, 5.0) == "500 of 500  done"
    assert counts_text(next_sending(before, [first, second], 5.5), 5.5) == "500 of 600  0 refused"

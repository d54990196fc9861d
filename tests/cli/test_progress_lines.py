"""The lines about what is loaded and sent: no name is cut, and the time left is claimed only where it is known."""

from __future__ import annotations

import pytest

from audience_sync.cli.base.layout import Screen, width_of
from audience_sync.cli.views.progress_lines import (
    Sending,
    counts_text,
    loading_text,
    next_sending,
    progress_line,
    sending_lines,
)
from audience_sync.delivery.deliver import DeliveryStats
from audience_sync.pace import Pace, Wait
from audience_sync.project.progress import delivering

LONG = "audience order_completed_in_the_last_30_days_by_mobile"


@pytest.mark.parametrize(
    ("of", "what", "width", "line"),
    [
        pytest.param(5, "audience vip", 60, "Loading 2 of 5: audience vip", id="short"),
        pytest.param(0, "audience vip", 60, "Loading 2: audience vip", id="it is not known how many"),
        pytest.param(1, "audience vip", 60, "Loading 2 of 2: audience vip", id="one more than were expected"),
        pytest.param(5, LONG, None, f"Loading 2 of 5: {LONG}", id="no terminal"),
        pytest.param(5, LONG, 71, f"Loading 2 of 5: {LONG}", id="just room enough"),
        pytest.param(5, LONG, 70, "Loading 2 of 5", id="one column less"),
    ],
)
def test_a_name_is_shown_whole_or_not_at_all(of: int, what: str, width: int | None, line: str) -> None:
    assert loading_text(2, of, what, Screen(width)) == line


def sending(*answers: tuple[float, int], calls: int = 5_000, refused: int = 0, name: str = "connect") -> Sending:
    """Answers at these times, each with the number of all until then; the sending began at 0."""
    pace = Pace.started(0.0)
    for at, count in answers:
        pace = pace.counted(at, count)
    return Sending(name=name, calls=calls, answered=answers[-1][1] if answers else 0, refused=refused, pace=pace)


SECONDS = tuple((float(second), 200 * second) for second in range(1, 8))
COUNTS = "1,400 of 5,000  200/s, 18 s left, 0 refused"


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (
            200,
            ["Sending to log      ━━━━━━━━━━━━━━  500 of 500  done", f"Sending to connect  ━━━───────────  {COUNTS}"],
        ),
        (80, ["Sending to log      ━━━━━━━━━━━━━━  500 of 500  done", f"Sending to connect  ━━━───────────  {COUNTS}"]),
        (79, ["log      ━━━━━━━━━━━━━━  500 of 500  done", f"connect  ━━━───────────  {COUNTS}"]),
        (60, ["log      500 of 500  done", f"connect  {COUNTS}"]),
        (50, ["log", "  500 of 500  done", "connect", f"  {COUNTS}"]),
        (30, ["log", "  500 of 500  done", "connect", "  1,400 of 5,000  200/s, 18 s", "  left, 0 refused"]),
    ],
)
def test_the_lines_fit_every_terminal_and_nothing_is_cut(width: int, lines: list[str]) -> None:
    found = [sending((1.0, 500), calls=500, name="log"), sending(*SECONDS)]
    assert sending_lines(found, Screen(width, blocks=True), 7.0) == lines


@pytest.mark.parametrize("width", [*range(24, 90), 200])
@pytest.mark.parametrize("name", ["a", "connect", "segment_production_europe", "größte_日本語"])
def test_a_seed_of_millions_fits_every_terminal(width: int, name: str) -> None:
    each = sending(*((float(at), 12_500 * at) for at in range(1, 80)), calls=12_000_000, refused=1_234, name=name)
    lines = sending_lines([each], Screen(width, blocks=True), 79.0)
    assert [line for line in lines if width_of(line) > max(width, width_of(name))] == []
    shown = " ".join(" ".join(lines).split())
    assert shown.endswith("987,500 of 12,000,000 12,500/s, 15 min left, 1,234 refused")


def test_a_terminal_without_block_characters_gets_a_bar_of_others() -> None:
    (line,) = sending_lines([sending(*SECONDS)], Screen(80), 7.0)
    assert line == f"Sending to connect  ###-----------  {COUNTS}"


def test_the_room_for_counts_does_not_shrink_again() -> None:
    """The lines don't jump to another form and back when the time left gets a digit less."""
    assert sending_lines([sending()], Screen(80), 0.0, room=60) == ["connect  0 of 5,000  0 refused"]


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
    assert counts_text(next_sending(sending(name=name), delivering([stats]), 7.0), 7.0) == text


def test_a_line_of_a_log_has_the_same_facts() -> None:
    found = sending(*SECONDS, refused=3)
    assert progress_line(found, 7.0) == "connect: 1,400 of 5,000 calls answered, 3 refused, 200/s, 18 s left"


def test_a_limited_seed_counts_what_it_sends_and_not_what_stays_pending() -> None:
    stats = DeliveryStats(name="connect", calls=614, delivered=99, refused=1, most=100)
    assert counts_text(next_sending(None, delivering([stats]), 5.0), 5.0) == "100 of 100  done, 1 refused"


def test_the_deliveries_of_one_destination_add_up() -> None:
    """A seed and the changes of others are sent one after the other: the count does not start again."""
    first, second = DeliveryStats(name="connect", calls=500, delivered=500), DeliveryStats(name="connect", calls=100)
    before = next_sending(None, delivering([first]), 5.0)
    assert counts_text(before, 5.0) == "500 of 500  done"
    assert counts_text(next_sending(before, delivering([first, second]), 5.5), 5.5) == "500 of 600  0 refused"

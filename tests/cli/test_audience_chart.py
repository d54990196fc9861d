"""`history KEY` draws members, entered and left over the last runs, with marks, at any width and in plain ASCII."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from audience_sync.cli.base.layout import PIPE, Screen
from audience_sync.cli.base.output import has_blocks
from audience_sync.cli.views.audience_chart import chart_lines
from audience_sync.cli.views.history import audience_lines
from audience_sync.cli.views.sparkline import bars, buckets, sparkline

BLOCKS, ASCII = Screen(80, blocks=True), Screen(80)


def run(number: int, members: int, entered: int = 0, left: int = 0, status: str = "synced") -> Mapping[str, Any]:
    return {"run": number, "members_after": members, "entered": entered, "left": left, "status": status}


#: The newest first, as the history has them.
WEEK = [
    run(7, 830, 40, 10),
    run(6, 800, 0, 0, "unchanged"),
    run(5, 800, 0, 0, "held"),
    run(4, 800, 0, 0, "held"),
    run(3, 800, 20, 40),
    run(2, 820, 30, 10),
    run(1, 800, 800, 0, "created"),
]


def test_members_entered_left_and_marks_stand_under_each_other() -> None:
    assert chart_lines("vip", WEEK, BLOCKS) == [
        "vip: 830 members, +30 since run 1.",
        "",
        "members  ▁▆▁▁▁▁█  800 to 830",
        "entered   ▆▄   █  90 in all",
        "left      ▃█   ▃  60 in all",
        "marked   +  !!",
        "         run 1 to 7",
        "         ! held, + created",
        "",
    ]


def test_a_terminal_without_blocks_gets_ascii() -> None:
    assert chart_lines("vip", WEEK, ASCII)[2:5] == [
        "members  _+____#  800 to 830",
        "entered   +:   #  90 in all",
        "left      -#   -  60 in all",
    ]


def test_more_runs_than_columns_share_them() -> None:
    runs = [run(number, number, 1, 0, "held" if number == 60 else "synced") for number in range(120, 0, -1)]
    found = chart_lines("vip", runs, Screen(60))
    assert max(map(len, found)) <= 60
    assert found[2].startswith("members  ___.")
    assert found[2].endswith("###  1 to 120")
    assert "marked" in found[4]
    assert found[-2] == "         ! held; 4 runs a character"
    assert found[-3].startswith("         run 1 ")
    assert found[-3].endswith(" run 120")


def test_colour_repeats_the_labels_and_no_color_needs_none() -> None:
    coloured = chart_lines("vip", WEEK, Screen(80, colour=True, blocks=True))
    assert "\x1b[31m" in coloured[5]
    assert "\x1b" not in "".join(chart_lines("vip", WEEK, BLOCKS))


@pytest.mark.parametrize(
    ("runs", "screen"),
    [
        pytest.param(WEEK, PIPE, id="a pipe has the table alone"),
        pytest.param(WEEK[:1], BLOCKS, id="one run is no line"),
        pytest.param(WEEK, Screen(20, blocks=True), id="a terminal of 20 columns has no room"),
    ],
)
def test_there_is_no_drawing_without_room_or_runs(runs: list[Mapping[str, Any]], screen: Screen) -> None:
    assert chart_lines("vip", runs, screen) == []


def test_members_that_never_change_are_a_flat_line_in_the_middle() -> None:
    found = chart_lines("vip", [run(2, 5, status="unchanged"), run(1, 5, status="unchanged")], BLOCKS)
    assert found[:3] == ["vip: 5 members, no change since run 1.", "", "members  ▄▄  5"]


def test_every_count_but_zero_is_visible() -> None:
    assert bars([0, 1, 500, 1_000], high=1_000, blocks=True) == " ▁▄█"
    assert bars([0, 1], high=1, blocks=True) == " ▁"


def test_the_lowest_and_the_highest_number_are_the_ends_of_the_scale() -> None:
    assert sparkline([10, 17, 13], low=10, high=17, blocks=True) == "▁█▄"


def test_groups_are_as_equal_as_possible() -> None:
    assert [list(each) for each in buckets([1, 2, 3, 4, 5], 3)] == [[1], [2, 3], [4, 5]]
    assert [list(each) for each in buckets([1, 2], 3)] == [[1], [2]]


@pytest.mark.parametrize(
    ("encoding", "variables", "shown"),
    [
        ("utf-8", {"TERM": "xterm-256color", "LANG": "de_DE.UTF-8"}, True),
        ("utf-8", {"TERM": "xterm", "LC_CTYPE": "C.UTF-8"}, True),
        ("utf-8", {"TERM": "xterm", "LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
        ("utf-8", {"TERM": "xterm", "LC_ALL": "C", "LANG": "de_DE.UTF-8"}, False),
        ("iso8859-1", {"TERM": "xterm", "LANG": "de_DE.UTF-8"}, False),
        ("utf-8", {"TERM": "linux", "LANG": "de_DE.UTF-8"}, False),
        ("utf-8", {"TERM": "dumb", "LANG": "de_DE.UTF-8"}, False),
        ("utf-8", {"LANG": "de_DE.UTF-8"}, False),
        ("utf-8", {"TERM": "xterm"}, False),
    ],
)
def test_blocks_are_drawn_where_terminal_and_locale_have_them(
    encoding: str, variables: dict[str, str], shown: bool
) -> None:
    assert has_blocks(encoding, variables) is shown


def test_a_hold_of_the_past_names_no_command_that_is_too_late() -> None:
    reason = "the new snapshot removes 3 of 5 members (60%), and the limit is 30%"
    remedy = "If this is right: audience-sync approve 2 vip. If not, correct the source, or: audience-sync reject 2 vip"
    error = f"audience 'vip' is held: {reason}. Nothing of it was changed or sent. {remedy}"
    rest = {"started_at": datetime(2026, 3, 2, 6, tzinfo=UTC), "invalid": 0, "absent": 0, "returned": 0, "held_out": 0}
    found = audience_lines("vip", [{**run(2, 5, status="held"), **rest, "error": error}], Screen(80))
    assert found[2:] == [f"     {reason}", "", "One run in full: audience-sync show RUN"]

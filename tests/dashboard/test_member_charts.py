"""The charts of members, sparklines and lanes are drawn from attributes, and mean what their numbers are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from audience_sync.dashboard.charts.lanes import Band, Span, lane_svg
from audience_sync.dashboard.charts.members import ChartEvent, ChartPoint, chart_data, members_svg, round_steps
from audience_sync.dashboard.charts.sparkline import sparkline
from audience_sync.dashboard.charts.time_axis import time_ticks
from audience_sync.dashboard.pages.members_chart import MOST_POINTS, thinned

START = datetime(2026, 3, 1, 6, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def points(count: int, step: timedelta) -> list[ChartPoint]:
    return [
        ChartPoint(run=number + 1, at=START + step * number, members=100 + number, entered=2, left=1)
        for number in range(count)
    ]


class TestManyRuns:
    @pytest.mark.parametrize(
        ("count", "step", "unit"),
        [
            (500, timedelta(minutes=15), "run"),
            (2_000, timedelta(minutes=15), "hour"),
            (10_000, timedelta(hours=1), "day"),
            (10_000, timedelta(days=0.5), "week"),
        ],
    )
    def test_are_put_together_and_no_change_is_lost(self, count: int, step: timedelta, unit: str) -> None:
        every = points(count, step)
        found, name = thinned(every, BERLIN)
        assert name == unit
        assert len(found) <= MOST_POINTS
        assert sum(each.entered for each in found) == 2 * count
        assert sum(each.left for each in found) == count
        assert found[-1].members == every[-1].members

    def test_of_a_day_end_with_it_in_the_configs_zone(self) -> None:
        found, _ = thinned(points(5_000, timedelta(hours=1)), BERLIN)
        local = [each.at.astimezone(BERLIN) for each in found[:-1]]
        assert {each.hour for each in local} == {23}


class TestTicks:
    @pytest.mark.parametrize(
        ("length", "labels"),
        [
            (timedelta(hours=6), ["07:00", "08:00", "09:00", "10:00", "11:00", "12:00", "13:00"]),
            (timedelta(days=4), ["12:00", "00:00", "12:00", "00:00", "12:00", "00:00", "12:00", "00:00"]),
            (timedelta(days=6), ["2 Mar", "3 Mar", "4 Mar", "5 Mar", "6 Mar", "7 Mar"]),
            (timedelta(days=30), ["2 Mar", "9 Mar", "16 Mar", "23 Mar", "30 Mar"]),
            (timedelta(days=150), ["Apr", "May", "Jun", "Jul"]),
        ],
    )
    def test_are_round_in_the_configs_zone(self, length: timedelta, labels: list[str]) -> None:
        assert [each.label for each in time_ticks(START, START + length, BERLIN)] == labels

    @pytest.mark.parametrize("days", [0.01, 1, 8, 9, 40, 63, 64, 200, 400, 3_000, 8_000])
    def test_are_few(self, days: float) -> None:
        assert len(time_ticks(START, START + timedelta(days=days), BERLIN)) <= 10


class TestAChart:
    def test_has_steps_at_runs_and_nothing_between(self) -> None:
        svg = str(members_svg(points(3, timedelta(days=1)), (), BERLIN))
        line = re.search(r'class="line" d="M([^"]+)"', svg)
        assert line is not None
        corners = [tuple(map(float, each.split())) for each in line[1].split("L")]
        assert len(corners) == 5
        assert [x for x, _ in corners] == [0, 500, 500, 1000, 1000]
        assert corners[0][1] == corners[1][1]

    def test_of_one_run_or_of_no_time_is_not_drawn(self) -> None:
        assert members_svg(points(1, timedelta(days=1)), (), BERLIN) == ""
        assert members_svg(points(3, timedelta(0)), (), BERLIN) == ""

    def test_of_an_empty_audience_is_a_line_at_0(self) -> None:
        empty = [ChartPoint(run=run, at=START + timedelta(days=run), members=0, entered=0, left=0) for run in (1, 2)]
        assert "NaN" not in str(members_svg(empty, (), BERLIN))

    def test_of_a_flat_audience_shows_its_changes_on_a_fitted_axis(self) -> None:
        flat = points(3, timedelta(days=1))  # 100, 101, 102 members

        def rise(svg: str) -> float:
            line = re.search(r'class="line" d="M([^"]+)"', svg)
            assert line is not None
            heights = [float(each.split()[1]) for each in line[1].split("L")]
            return heights[0] - heights[-1]

        whole, fitted = (str(members_svg(flat, (), BERLIN, is_fitted=each)) for each in (False, True))
        assert rise(whole) < 5 < 150 < rise(fitted)
        assert ('class="fill"' in whole, 'class="fill"' in fitted) == (True, False)
        assert [each for each in ("100", "101", "102") if f">{each}<" in fitted] == ["100", "101", "102"]
        same = [ChartPoint(run=run, at=START + timedelta(days=run), members=7, entered=0, left=0) for run in (1, 2)]
        assert ">7<" in str(members_svg(same, (), BERLIN, is_fitted=True))

    @pytest.mark.parametrize(
        ("high", "steps"),
        [
            (0, [0]),
            (1, [0, 1]),
            (3, [0, 1, 2, 3]),
            (1505, [0, 500, 1000, 1500]),
            (12, [0, 5, 10]),
            (10_000_000, [0, 2_500_000, 5_000_000, 7_500_000, 10_000_000]),
        ],
    )
    def test_has_round_numbers_on_its_scale(self, high: int, steps: list[int]) -> None:
        assert round_steps(high) == steps

    def test_has_round_numbers_between_two_others(self) -> None:
        assert round_steps(1_080, 903) == [950, 1_000, 1_050]

    @pytest.mark.parametrize(
        "svg",
        [
            members_svg(points(9, timedelta(days=1)), (), BERLIN),
            sparkline([1, None, 3, 3, 9], [1]),
            lane_svg(
                Span(START, START + timedelta(days=9)), BERLIN, [Band(START, START + timedelta(days=1), True, '"<x>')]
            ),
        ],
    )
    def test_has_no_style_and_no_text_of_others_as_markup(self, svg: str) -> None:
        assert "style=" not in svg
        assert "<x>" not in svg


def test_the_hold_of_the_newest_run_is_drawn_at_that_run() -> None:
    """It is stored a moment after the run started."""
    runs = points(3, timedelta(days=1))
    held = [
        ChartEvent(run=run, at=START + timedelta(days=run - 1, seconds=1), icon="held", hue="act", word="held", text="")
        for run in (2, 3)
    ]
    end = round(runs[-1].at.timestamp())
    assert chart_data(runs, held)["events"] == [
        {"t": round(held[0].at.timestamp()), "icon": "held", "cls": "act"},
        {"t": end, "icon": "held", "cls": "act"},
    ]
    assert str(members_svg(runs, held, BERLIN)).count("#i-held") == 2


def test_a_sparkline_begins_where_the_audience_does() -> None:
    assert sparkline([None, None, 5]) == ""
    svg = str(sparkline([None, 5, 7]))
    assert svg.count("L") >= 1
    assert "None" not in svg

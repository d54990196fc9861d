"""Pictures are drawn to scale, with attributes alone, and what is not known is drawn dashed."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from audience_sync.dashboard.charts.strip import Bar, kind_of, strip
from audience_sync.dashboard.charts.timeline import Part, axis, row, second_ticks, tick_label
from audience_sync.dashboard.masks import IdMask
from audience_sync.dashboard.pages.destinations import calls_columns
from audience_sync.dashboard.queries.destinations import RunCalls
from audience_sync.dashboard.queries.progress import RecentRequest, recent_rate
from audience_sync.dashboard.remedies import answer_meaning, remedy
from audience_sync.web.bars import Column, bars, small_bars

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 29, 5, 0, tzinfo=UTC)


def bar(seconds: float | None, *, days: float = 0.0, kind: str = "ok", title: str = "Run 1", **more: Any) -> Bar:
    at = NOW + timedelta(days=days)
    return Bar(at=at, seconds=seconds, kind=kind, href="/runs/1", title=title, **more)


def heights(svg: str, kind: str) -> list[float]:
    return [float(each) for each in re.findall(rf'class="k-{kind}"[^>]* height="([\d.]+)"', svg)]


def test_the_height_of_a_bar_is_its_part_of_the_longest_run() -> None:
    wide = str(strip([bar(2.0), bar(4.0), bar(0.001), bar(None)], BERLIN)).split('class="strip narrow"')[0]
    assert heights(wide, "ok") == [24.0, 48.0, 3.0]
    assert heights(wide, "none") == [16.8]  # not known


def test_a_strip_is_for_eyes_and_escapes_its_titles() -> None:
    wide = str(strip([bar(1.0, title='<b>"', glyph="held", is_capped=True)], BERLIN))
    assert 'aria-hidden="true"' in wide
    assert 'tabindex="-1"' in wide
    assert "<b>" not in wide
    assert "style=" not in wide
    assert heights(wide, "act") == [4.0, 4.0]  # the cap, wide and narrow
    assert strip([], BERLIN) == ""


def test_a_narrow_strip_has_the_newest_runs() -> None:
    both = str(strip([bar(1.0, title=f"Run {number}") for number in range(1, 47)], BERLIN))
    wide, narrow = both.split('class="strip narrow"')
    assert (wide.count("<a "), narrow.count("<a ")) == (46, 20)
    assert "Run 27<" in narrow
    assert "Run 26<" not in narrow


def test_labels_are_weeks_days_or_hours() -> None:
    weeks = str(strip([bar(1.0, days=number / 2) for number in range(40)], BERLIN))
    assert re.findall(r'class="tick"[^>]*>([^<]+)<', weeks)[:3] == ["30 Nov", "7 Dec", "14 Dec"]
    hours = str(strip([bar(1.0, days=number / 24) for number in range(10)], BERLIN))
    assert re.findall(r'class="tick"[^>]*>([^<]+)<', hours)[:2] == ["07:00", "09:00"]


@pytest.mark.parametrize(
    ("status", "refused", "pending", "drawn"),
    [
        ("succeeded", 0, 0, ("ok", "", False)),
        ("partial", 3, 0, ("ok", "refused", True)),
        ("partial", 0, 0, ("ok", "partial", True)),
        ("partial", 3, 12, ("self", "pending", False)),
        ("held", 3, 0, ("act", "held", False)),
        ("failed", 0, 0, ("bad", "failed", False)),
        ("interrupted", 0, 5, ("none", "interrupted", False)),
        ("running", 0, 5, ("self", "running", False)),
    ],
)
def test_a_run_is_drawn_by_the_worst_that_applies(
    status: str, refused: int, pending: int, drawn: tuple[str, str, bool]
) -> None:
    assert kind_of(status, refused=refused, pending=pending) == drawn


@pytest.mark.parametrize(
    ("total", "ticks", "label"),
    [
        (3.7, [0, 1, 2, 3], "1 s"),
        (0.05, [0, 0.01, 0.02, 0.03, 0.04, 0.05], "0.01 s"),
        (1000, [0, 300, 600, 900], "5 min"),
        (30_000, [0, 7200, 14_400, 21_600, 28_800], "2 h"),
        (0, [0], "0"),
    ],
)
def test_a_time_line_has_round_ticks(total: float, ticks: list[float], label: str) -> None:
    found = second_ticks(total)
    assert found == pytest.approx(ticks)
    assert tick_label(found[min(1, len(found) - 1)], total) == label


def test_a_stage_lies_at_its_time_and_is_never_thinner_than_three_pixels() -> None:
    drawn = str(row(4.0, [Part(1.0, 3.0, "ok", "deliver log: 2 s"), Part(9.0, 9.0, "bad", "late")]))
    assert 'x="25.00%" y="5" width="50.00%"' in drawn
    assert 'x="25.00%" y="5" width="3"' in drawn
    assert 'x="99.70%"' in drawn  # beyond the end is at the end
    assert "1 s" in str(axis(4.0))
    assert "deliver log" in str(row(0.0, [Part(0.0, 0.0, "ok", "deliver log")]))


def test_bars_are_stacked_and_one_far_above_the_others_is_cut_and_shows_its_number() -> None:
    even = str(bars([Column([(10, "ok"), (5, "act")], "Run 1", "9 Nov"), Column([(30, "ok")], "Run 2")]))
    assert heights(even, "ok") == pytest.approx([13.3, 40.0], abs=0.05)
    assert heights(even, "act") == pytest.approx([6.7], abs=0.05)
    cut = str(bars([*[Column([(10, "ok")], "")] * 9, Column([(900, "ok"), (1, "act")], "")]))
    assert ">901<" in cut
    assert ">12<" in cut  # the scale
    assert bars([]) == ""
    assert "k-ok" not in str(bars([Column([(0, "ok")], "nothing")]))
    assert heights(str(small_bars([0, 4, 2], "self", ["a", "b", "c"])), "self") == [20.0, 10.0]


@pytest.mark.parametrize(
    ("reason", "status", "words"),
    [
        ("HTTP 400: device token has expired", 400, "Remove the token in the source"),
        ("userId is on the suppression list of this workspace", 400, "suppress the user here, too"),
        ("email address is not deliverable", 422, "Correct the address in the source"),
        ("wrong key", 401, "The key is not valid"),
        ("something else", None, "Correct the data in the source, then retry"),
    ],
)
def test_a_refusal_has_a_remedy(reason: str, status: int | None, words: str) -> None:
    assert words in remedy(reason, status)


def test_an_answer_has_a_meaning_in_a_few_words() -> None:
    assert answer_meaning("sent again", 429) == "slow down; sent again"
    assert answer_meaning("sent again", 400) == "a batch that is halved"
    assert answer_meaning("sent again", 503) == "sent again later"
    assert answer_meaning("accepted", 200) == "accepted"


def test_a_pseudonym_is_stable_and_of_one_program() -> None:
    mask, other = IdMask(), IdMask()
    assert mask.id("C-00617") == mask.id("C-00617") != mask.id("C-00618")
    assert mask.id("C-00617") != other.id("C-00617")
    assert "C-00617" not in mask.id("C-00617") + repr(mask)
    assert mask.text("no profile 'C-00617' of ada@example.org, 12345678") == "no profile '...' of ..., ..."


@pytest.mark.parametrize("column", ["reason", "error", "last_error", "subject", "file"])
def test_a_file_with_masked_ids_has_no_text_that_quotes_one(column: str) -> None:
    assert IdMask().value(column, "no profile 'C-00617'") == "no profile '...'"


def test_a_file_with_masked_ids_has_all_other_values() -> None:
    mask = IdMask()
    assert mask.value("user_id", "C-00617") == mask.id("C-00617")
    assert [mask.value("status", "held"), mask.value("run", 12_345_678), mask.value("error", None)] == [
        "held",
        12_345_678,
        None,
    ]


def test_a_rate_is_that_of_the_newest_requests_and_not_known_after_a_silence() -> None:
    sent = [
        RecentRequest(sent_at=NOW - timedelta(seconds=number), seconds=0.5, users=100, status="accepted")
        for number in range(1, 5)
    ]
    assert recent_rate(sent, NOW) == pytest.approx(100.0)
    slowed = [*(replace(each, status="sent again") for each in sent[:2]), *sent[2:]]
    assert recent_rate(slowed, NOW) == pytest.approx(50.0)
    assert recent_rate(sent, NOW + timedelta(minutes=1)) is None
    assert recent_rate(sent[:1], NOW) is None
    assert recent_rate([], NOW) is None


def run_calls(count: int, apart: timedelta) -> list[RunCalls]:
    """Runs that end at ``NOW``, each with two accepted calls and one refused."""
    first = NOW - apart * (count - 1)
    same = {"destination": "log", "delivered": 2, "refused": 1, "pending": 0, "seconds": 1.0}
    return [RunCalls(run=number + 1, started_at=first + apart * number, **same) for number in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "apart", "span", "columns", "title", "label"),
    [
        (3, timedelta(minutes=15), timedelta(hours=24), 3, "Run 1, Sun 29 Nov 05:30: 2 accepted, 1 refused", "29 Nov"),
        (96, timedelta(minutes=15), timedelta(hours=24), 25, "28 Nov 06:00: 6 accepted, 3 refused", "06:00"),
        (168, timedelta(hours=1), timedelta(days=7), 8, "22 Nov: 34 accepted, 17 refused", "22 Nov"),
    ],
    ids=["each run", "hours of a day", "days of a week"],
)
def test_calls_are_drawn_by_run_by_hour_or_by_day(
    count: int, apart: timedelta, span: timedelta, columns: int, title: str, label: str
) -> None:
    found = calls_columns(run_calls(count, apart), BERLIN, span)
    assert len(found) == columns
    assert (found[0].title, found[0].label) == (title, label)

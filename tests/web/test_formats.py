"""Numbers, durations, times and ids are written as the design has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from audience_sync.web import formats

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 29, 8, 13, 30, tzinfo=UTC)
FAMILY = "\U0001f468‍\U0001f469‍\U0001f467"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0, "0"), (1505, "1,505"), (12_345_678, "12,345,678"), (-34, "−34")]
)
def test_a_count_has_its_thousands_apart(value: int | None, text: str) -> None:
    assert formats.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (9_999_999, "9,999,999"), (12_345_678, "12.3 M"), (1_234_500_000, "1,234.5 M")]
)
def test_a_count_is_short_from_ten_million_on(value: int | None, text: str) -> None:
    assert formats.short_count(value) == text


@pytest.mark.parametrize(("value", "text"), [(72, "+72"), (-34, "−34"), (0, "0"), (None, "–"), (1234, "+1,234")])
def test_a_change_has_its_sign_and_a_real_minus(value: int | None, text: str) -> None:
    assert formats.change(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (369, 805, "46%"),
        (0, 805, "0%"),
        (30, 805, "3.7%"),
        (1, 100_000, "< 0.1%"),
        (804, 805, "> 99%"),
        (805, 805, "100%"),
        (5, 0, "–"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(part: int, whole: int, text: str) -> None:
    assert formats.share(part, whole) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0, "< 1 ms"),
        (0.0004, "< 1 ms"),
        (0.0006, "1 ms"),
        (0.022, "22 ms"),
        (0.9996, "1.0 s"),
        (3.5, "3.5 s"),
        (9.96, "10 s"),
        (48.2, "48 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (720, "12 min"),
        (14_700, "4 h 5 min"),
        (7_200, "2 h"),
        (266_400, "3 d 2 h"),
    ],
)
def test_a_duration_has_one_or_two_units(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.84, "0.8 s"), (48.23, "48.2 s"), (75, "1 min 15 s"), (None, "–")])
def test_runs_are_compared_in_seconds(seconds: float | None, text: str) -> None:
    assert formats.seconds(seconds) == text


def test_a_time_is_in_the_zone_of_the_config_and_has_its_year_if_it_is_another() -> None:
    assert formats.moment(datetime(2026, 11, 29, 5, 0, tzinfo=UTC), BERLIN, NOW) == "Sun 29 Nov 06:00"
    assert formats.moment(datetime(2026, 7, 1, 5, 0, tzinfo=UTC), BERLIN, NOW) == "Wed 1 Jul 07:00"
    assert formats.moment(datetime(2025, 12, 31, 23, 30, tzinfo=UTC), BERLIN, NOW) == "Thu 1 Jan 00:30"
    assert formats.moment(datetime(2025, 12, 31, 22, 30, tzinfo=UTC), BERLIN, NOW) == "Wed 31 Dec 2025 23:30"
    assert formats.moment(None, BERLIN, NOW) == "–"


@pytest.mark.parametrize(
    ("apart", "text"),
    [
        (timedelta(seconds=-20), "just now"),
        (timedelta(minutes=-5), "5 min ago"),
        (timedelta(hours=-15, minutes=-40), "15 h ago"),
        (timedelta(hours=-47, minutes=-59), "47 h ago"),
        (timedelta(hours=-48), ""),
        (timedelta(seconds=20), "in less than a minute"),
        (timedelta(hours=8, minutes=46, seconds=20), "in 8 h 46 min"),
        (timedelta(days=3), ""),
    ],
)
def test_a_relative_time_is_shown_below_two_days(apart: timedelta, text: str) -> None:
    assert formats.relative(NOW + apart, NOW) == text


def test_machines_read_times_in_utc() -> None:
    berlin = datetime(2026, 11, 29, 6, 0, tzinfo=BERLIN)
    assert formats.iso(berlin) == "2026-11-29T05:00:00Z"
    assert formats.iso(berlin.replace(microsecond=250_000)) == "2026-11-29T05:00:00.250Z"
    assert formats.stored_time(berlin) == "2026-11-29 05:00:00"


def test_an_id_is_whole_up_to_80_characters() -> None:
    assert formats.shown_id("C-00617") == formats.ShownId("C-00617")
    assert formats.shown_id("x" * 80) == formats.ShownId("x" * 80)
    assert formats.shown_id("a" * 40 + "b" * 41) == formats.ShownId("a" * 24, "b" * 8, 81)
    assert formats.shown_id("C-00617").is_short
    assert not formats.shown_id("x" * 25).is_short


def test_an_id_is_not_cut_within_a_character_that_has_several_parts() -> None:
    family = formats.shown_id("x" * 22 + FAMILY + "y" * 80)
    assert family.start == "x" * 22
    accent = formats.shown_id("x" * 23 + "e\u0301" + "y" * 80)
    assert accent.start == "x" * 23
    assert formats.shown_id(FAMILY * 40).end.endswith(FAMILY)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>O'Neil</b>", "<b>O'Neil</b>"),
        ("a\nb\x00\x1b[31m", r"a\nb\x00\x1b[31m"),
        ("evil‮gpj.exe", r"evil\u202egpj.exe"),
        ("עברית", "עברית"),
        (FAMILY, FAMILY),
    ],
)
def test_what_can_not_be_seen_is_written_as_an_escape(text: str, shown: str) -> None:
    assert formats.visible(text) == shown

"""Texts for people: durations, shortened lists, and reasons of many users, whose values have different sizes."""

from __future__ import annotations

import pytest

from audience_sync.text import ago, and_more, by_reason, duration, listed, share_of, without_size


@pytest.mark.parametrize(
    ("reason", "shared"),
    [
        (
            "'bio' has 1,024 characters and Braze takes 255 of a text: shorten the value at its source",
            "'bio' has too many characters and Braze takes 255 of a text: shorten the value at its source",
        ),
        (
            "the user id has 151 bytes and Customer.io takes 150",
            "the user id has too many bytes and Customer.io takes 150",
        ),
        (
            "'bio' makes an item of 40,123 bytes and X takes 32,000",
            "'bio' makes an item of too many bytes and X takes 32,000",
        ),
        ("HTTP 413: too large, at a message of 40,123 bytes", "HTTP 413: too large"),
        ("HTTP 400: 12 characters are missing", "HTTP 400: 12 characters are missing"),
        ("HTTP 422: user 4711 does not exist", "HTTP 422: user 4711 does not exist"),
    ],
)
def test_a_shared_reason_has_no_size(reason: str, shared: str) -> None:
    assert without_size(reason) == shared


def test_one_reason_keeps_its_size_and_different_ones_are_grouped() -> None:
    assert by_reason(["'a' has 7 items and X takes 5", "it is gone", "'a' has 9 items and X takes 5"]) == {
        "'a' has too many items and X takes 5": ["'a' has 7 items and X takes 5", "'a' has 9 items and X takes 5"],
        "it is gone": ["it is gone"],
    }
    assert by_reason(["'a' has 7 items and X takes 5"]) == {
        "'a' has 7 items and X takes 5": ["'a' has 7 items and X takes 5"]
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, ""),
        (0.9, "now"),
        (1, "1 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (172_799, "47 h ago"),
        (172_800, ""),
    ],
)
def test_a_time_of_the_last_two_days_is_shown_by_how_long_ago_it_was(seconds: float, text: str) -> None:
    assert ago(seconds) == text


def test_a_shortened_list_counts_what_is_left_out() -> None:
    assert listed(["a", "b", "c"], most=2) == "a, b and 1 more"
    assert listed(["a", "b"], most=2) == "a, b"
    assert listed(["a", "b"], count=1_002) == "a, b and 1,000 more"
    assert (and_more(3, "  "), and_more(0)) == (["  and 3 more"], [])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.5, "< 1 s"),
        (9.4, "9 s"),
        (120, "2 min"),
        (125, "2 min 5 s"),
        (7_200, "2 h"),
        (12_000, "3 h 20 min"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "0%"),
        (1, 101, "< 1%"),
        (1, 100, "1%"),
        (64, 100, "64%"),
        (198, 200, "99%"),
        (199, 200, "> 99%"),
        (999, 1_000, "> 99%"),
    ],
)
def test_a_share_is_none_or_all_only_if_it_is(part: int, whole: int, text: str) -> None:
    assert share_of(part, whole) == text
    assert share_of(whole, whole) == "100%"

"""Reasons of many users, whose values have different sizes."""

from __future__ import annotations

import pytest

from audience_sync.text import by_reason, without_size


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

"""The line about what is loaded never cuts a name."""

from __future__ import annotations

import pytest

from audience_sync.cli.base.layout import Screen
from audience_sync.cli.views.progress import loading_text, sending_text

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

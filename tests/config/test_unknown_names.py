"""An unknown name without a near one is answered with the valid names, under a heading in the plural."""

from __future__ import annotations

import pytest

from audience_sync.text import unknown_name_message


@pytest.mark.parametrize(
    ("what", "heading"),
    [
        ("destination", "Destinations"),
        ("computed trait", "Computed traits"),
        ("audience or trait", "Audiences or traits"),
        ("type of destination", "Types of destination"),
    ],
)
def test_the_heading_is_the_plural(what: str, heading: str) -> None:
    assert unknown_name_message(what, "zzz", ["plan", "email"]) == f"unknown {what} `zzz`. {heading}: email, plan"

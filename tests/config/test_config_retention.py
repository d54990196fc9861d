"""`retention`: which names and durations it accepts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audience_sync.config.sections.guard import Retention


@pytest.mark.parametrize("name", ["invalid_rows", "rejected_rows"])
def test_invalid_rows_may_have_their_former_name(name: str) -> None:
    assert Retention.model_validate({name: "30d"}).invalid_rows == timedelta(days=30)

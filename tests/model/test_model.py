"""Every destination gets the right values, whatever happened before. The command line against a model.

Longer searches: python tests/model/long_search.py --examples 100 --postgresql
                 python tests/model/long_search.py --examples 100 --warehouse
                 python tests/model/long_search.py --examples 100 --bucket
"""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import NewUrl
from hypothesis import settings

from .harness import Harness
from .search import COMMON, search

#: The rules that concern snapshots; the others are played with files.
AT_WAREHOUSES = (
    *("in_spring", "in_summer", "in_autumn", "lists_change", "monday", "a_snapshot_is_wrong", "a_run_is_undone"),
    *("a_user_is_erased", "a_member_is_missing_for_a_moment", "an_audience_is_frozen", "an_audience_is_unfrozen"),
    "audiences_are_a_group",
)


@pytest.mark.parametrize("harness", [("postgresql", None)], indirect=True, ids=["postgresql"])
def test_every_destination_comes_to_believe_the_truth(harness: Harness) -> None:
    """On PostgreSQL; the other histories of this folder are played on SQLite."""
    search(harness, settings(COMMON, max_examples=4, stateful_step_count=12))
    assert harness.done["checks"] >= 4
    assert harness.done["kills"] > 0


def test_so_does_one_whose_audiences_are_compared_in_a_warehouse(tmp_path: Path, new_url: NewUrl) -> None:
    harness = Harness(tmp_path, lambda: new_url("sqlite", with_schema=True), warehouse=new_url("postgresql"))
    try:
        search(harness, settings(COMMON, max_examples=3, stateful_step_count=12), only=AT_WAREHOUSES)
    finally:
        harness.close()
    assert harness.done["checks"] >= 3
    assert harness.done["kills"] > 0

"""Every destination gets the right values, whatever happened before. The command line against a model.

A longer search: python tests/model/long_search.py --examples 100 --postgresql
"""

from __future__ import annotations

import pytest
from hypothesis import settings

from .harness import Harness
from .search import COMMON, search


@pytest.mark.parametrize(
    "harness", [("sqlite", None), ("postgresql", None)], indirect=True, ids=["sqlite", "postgresql"]
)
def test_every_destination_comes_to_believe_the_truth(harness: Harness) -> None:
    search(harness, settings(COMMON, max_examples=5, stateful_step_count=12))
    assert harness.done["checks"] >= 5
    assert harness.done["kills"] > 0

"""Does every destination come to believe the truth, whatever happened before? The command line against a model.

A longer search: python tests/model/search.py --examples 100 --postgresql
"""

from __future__ import annotations

import pytest
from hypothesis import settings

from .house import House
from .searching import COMMON, search


@pytest.mark.parametrize("house", [("sqlite", None), ("postgresql", None)], indirect=True, ids=["sqlite", "postgresql"])
def test_every_destination_comes_to_believe_the_truth(house: House) -> None:
    search(house, settings(COMMON, max_examples=5, stateful_step_count=12))
    assert house.done["checks"] >= 5
    assert house.done["kills"] > 0

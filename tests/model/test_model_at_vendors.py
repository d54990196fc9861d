"""Accounts at vendors get the right values, whatever happened before: refused users, limits, lost answers, kills.

A longer search: python tests/model/long_search.py --examples 100 --types braze hubspot
"""

from __future__ import annotations

import pytest
from hypothesis import settings

from .harness import Harness
from .search import COMMON, search


@pytest.mark.parametrize(
    "harness",
    [("sqlite", None, ("braze", "hubspot")), ("sqlite", None, ("iterable", "segment"))],
    indirect=True,
    ids=["braze and hubspot", "iterable and segment"],
)
def test_every_account_comes_to_have_the_truth(harness: Harness) -> None:
    search(harness, settings(COMMON, max_examples=1, stateful_step_count=8))
    assert harness.done["checks"] >= 1

"""Would the model notice? Each bug that is planted into the command is found.

One is planted in every run of the tests; the others take minutes each:

    AUDIENCE_SYNC_ALL_BUGS=1 pytest tests/model/test_planted_bugs.py
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from hypothesis.errors import Flaky, FlakyFailure

from .bugs import BUGS, approval_is_blind
from .harness import Harness
from .search import COMMON, search

CHOSEN = {
    bug.__name__: rules
    for bug, rules in BUGS.items()
    if bug is approval_is_blind or "AUDIENCE_SYNC_ALL_BUGS" in os.environ
}


@pytest.mark.parametrize(
    ("harness", "rules"),
    [pytest.param(("sqlite", bug), rules, id=bug) for bug, rules in CHOSEN.items()],
    indirect=["harness"],
)
def test_the_model_finds_a_planted_bug(harness: Harness, rules: tuple[str, ...]) -> None:
    with pytest.raises(
        (AssertionError, Flaky)
    ) as found:  # a kill may come a moment later when a history is played again
        search(harness, settings(COMMON, max_examples=40, stateful_step_count=12), only=rules)
    failed = found.value.exceptions if isinstance(found.value, FlakyFailure) else [found.value]
    said = [*harness.failures, *(str(each) for each in failed if isinstance(each, AssertionError))]
    assert any(said), "a failure of the model, not of the program under it"

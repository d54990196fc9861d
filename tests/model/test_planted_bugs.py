"""Would the model notice? Each bug that is planted into the command is found."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.errors import Flaky, FlakyFailure

from .bugs import BUGS
from .machine import House
from .searching import COMMON, search


@pytest.mark.parametrize(
    ("house", "rules"),
    [pytest.param(("sqlite", bug.__name__), rules, id=bug.__name__) for bug, rules in BUGS.items()],
    indirect=["house"],
)
def test_the_model_finds_a_planted_bug(house: House, rules: tuple[str, ...]) -> None:
    with pytest.raises(
        (AssertionError, Flaky)
    ) as found:  # a kill may come a moment later when a history is played again
        search(house, settings(COMMON, max_examples=40, stateful_step_count=12), only=rules)
    failed = found.value.exceptions if isinstance(found.value, FlakyFailure) else [found.value]
    said = [*house.failures, *(str(each) for each in failed if isinstance(each, AssertionError))]
    assert any(said), "a failure of the model, not of the program under it"

"""The model finds each bug that is planted into the command.

One that is found in seconds is searched for in every run of the tests; the others take minutes each:

    nox -s bugs
    AUDIENCE_SYNC_ALL_BUGS=1 pytest -n 0 tests/model/test_planted_bugs.py -k approval_is_blind
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from forks import forks
from hypothesis import settings
from hypothesis.errors import Flaky, FlakyFailure

from .bugs import BUGS, VENDORS, guards_are_asleep
from .harness import Harness
from .project_files import TYPES
from .search import COMMON, search

CHOSEN = {
    bug: rules for bug, rules in BUGS.items() if bug is guards_are_asleep or "AUDIENCE_SYNC_ALL_BUGS" in os.environ
}


@pytest.mark.parametrize("bug", [each.__name__ for each in BUGS])
def test_a_bug_is_planted_into_what_the_program_has(bug: str, tmp_path: Path) -> None:
    code, _, err = forks().run(("--version",), folder=tmp_path, environment={}, prepare=("model.bugs:plant", bug))
    assert code == 0, err.decode()


@pytest.mark.parametrize(
    ("harness", "rules"),
    [
        pytest.param(("sqlite", bug.__name__, VENDORS.get(bug, TYPES)), rules, id=bug.__name__)
        for bug, rules in CHOSEN.items()
    ],
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

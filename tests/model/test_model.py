"""Does every destination come to believe the truth, whatever happened before? The command line against a model.

A longer search: python tests/model/search.py --examples 100 --postgresql
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import NewUrl
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky, FlakyFailure
from hypothesis.stateful import run_state_machine_as_test

from .bugs import BUGS
from .machine import House, Shop

COMMON = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    phases=[Phase.generate],
)


def search(house: House, options: settings) -> None:
    class Here(Shop):
        pass

    Here.house = house
    run_state_machine_as_test(Here, settings=options)


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path, new_url: NewUrl) -> Iterator[House]:
    database, bug = request.param
    opened = House(tmp_path, lambda: new_url(database, with_schema=True), bug)
    yield opened
    opened.close()


@pytest.mark.parametrize("house", [("sqlite", None), ("postgresql", None)], indirect=True, ids=["sqlite", "postgresql"])
def test_every_destination_comes_to_believe_the_truth(house: House) -> None:
    search(house, settings(COMMON, max_examples=8, stateful_step_count=12))
    assert house.done["checks"] >= 8
    assert house.done["kills"] > 0


@pytest.mark.parametrize("house", [("sqlite", bug) for bug in BUGS], indirect=True, ids=list(BUGS))
def test_the_model_finds_a_planted_bug(house: House) -> None:
    with pytest.raises(
        (AssertionError, Flaky)
    ) as found:  # a kill may come a moment later when a history is played again
        search(house, settings(COMMON, max_examples=40, stateful_step_count=12))
    failed = found.value.exceptions if isinstance(found.value, FlakyFailure) else [found.value]
    said = [*house.failures, *(str(each) for each in failed if isinstance(each, AssertionError))]
    assert any(said), "a failure of the model, not of the program under it"

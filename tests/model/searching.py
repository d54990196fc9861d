"""How is the model searched? Random histories, the same ones at every call of a test."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

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
    """Play random histories in this house. Raises what a rule found wrong."""

    class Here(Shop):
        pass

    Here.house = house
    run_state_machine_as_test(Here, settings=options)

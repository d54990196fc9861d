"""Play random histories of the model, the same ones in every call of a test."""

from __future__ import annotations

import inspect
from collections.abc import Collection

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RULE_MARKER, run_state_machine_as_test

from .harness import Harness
from .machine import Shop
from .warehouse_rules import ShopInWarehouse

COMMON = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    phases=[Phase.generate],
)


def search(harness: Harness, options: settings, *, only: Collection[str] = ()) -> None:
    """Play random histories in this harness, of all rules or ``only`` these. Raises what a rule found wrong.

    Each history ends with ``check_everything``.
    """

    machine = machine_in(harness)
    for name, _ in inspect.getmembers(machine, lambda member: hasattr(member, RULE_MARKER)):
        if only and name not in only:
            setattr(machine, name, None)
    run_state_machine_as_test(machine, settings=options)


def machine_in(harness: Harness) -> type[Shop]:
    """A machine of its own, which plays in this harness."""
    kind: type[Shop] = Shop if harness.warehouse is None else ShopInWarehouse
    return type("Here", (kind,), {"harness": harness})

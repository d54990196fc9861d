"""Match the name of a dbt model in the config with the ids that dbt gives its models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

#: The kinds of nodes that have rows, and those that are tests.
KINDS, TESTS = ("model", "seed", "snapshot"), ("test", "unit_test")


def kind_of(unique_id: str) -> str:
    return unique_id.partition(".")[0]


def name_of(unique_id: str) -> str:
    """The name of a node without its package: ``churn_risk``."""
    return _forms_of(unique_id)[0]


def _forms_of(unique_id: str) -> tuple[str, ...]:
    """The texts that name a node, the shortest first: ``churn_risk``, ``churn_risk.v2``, ``shop.churn_risk``, the id.

    An id is ``model.PACKAGE.NAME``, and that of a versioned model ``model.PACKAGE.NAME.v2``.
    """
    _, package, name, *version = unique_id.split(".", 3)
    versioned = ".".join((name, *version))
    return tuple(dict.fromkeys((name, versioned, f"{package}.{versioned}", unique_id)))


def ids_by_name(unique_ids: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """The ids of the nodes with rows that each name of the config means: one, or several if it is ambiguous."""
    found: dict[str, list[str]] = {}
    for unique_id in sorted(unique_ids):
        if kind_of(unique_id) in KINDS:
            for form in _forms_of(unique_id):
                found.setdefault(form, []).append(unique_id)
    return found


def shortest_name(unique_id: str, ids: Mapping[str, Sequence[str]]) -> str:
    """The shortest text that means this node alone, by ``ids_by_name``."""
    return next(form for form in _forms_of(unique_id) if len(ids[form]) == 1)


def parts_of(name: str) -> tuple[str, str, str]:
    """The package, the name and the version that a name of the config gives; empty if it does not.

    A version is the part after ``v``: ``churn_risk.v2``, ``shop.churn_risk.v2``, ``model.shop.churn_risk.v2``. It is a
    number if there is no package: ``shop.vip`` is a model of a package.
    """
    parts = name.split(".")
    if len(parts) >= 3 and parts[0] in KINDS:
        del parts[0]
    elif len(parts) == 1 or (len(parts) == 2 and re.fullmatch(r"v\d+", parts[1])):
        parts.insert(0, "")
    package, model, *version = parts
    return package, model, ".".join(version).removeprefix("v")

"""Match the name of a dbt model in the config with the ids that dbt gives its models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: The kinds of nodes that have rows.
KINDS = ("model", "seed", "snapshot")


def kind_of(unique_id: str) -> str:
    return unique_id.partition(".")[0]


def forms_of(unique_id: str) -> tuple[str, ...]:
    """The texts that name a node, the shortest first: ``churn_risk``, ``churn_risk.v2``, ``shop.churn_risk``, the id.

    An id is ``model.PACKAGE.NAME``, and that of a versioned model ``model.PACKAGE.NAME.v2``.
    """
    _, package, name, *version = unique_id.split(".", 3)
    versioned = ".".join((name, *version))
    return tuple(dict.fromkeys((name, versioned, f"{package}.{versioned}", unique_id)))


def find_ids(name: str, unique_ids: Iterable[str]) -> list[str]:
    """The ids of the nodes with rows that a name of the config means: one, none, or several if it is ambiguous."""
    return [each for each in unique_ids if kind_of(each) in KINDS and name in forms_of(each)]


def shortest_name(unique_id: str, unique_ids: Sequence[str]) -> str:
    """The shortest text that means this node alone."""
    return next(form for form in forms_of(unique_id) if find_ids(form, unique_ids) in ([unique_id], []))


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

"""Match the name of a dbt model in the config with the ids that dbt gives its models."""

from __future__ import annotations

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

"""Count the values that each destination would be sent: by property and value, the number of users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audience_sync.sync.deliver.pending import PendingDelivery
from audience_sync.workspace import Workspace

#: Stands for a value other than true, false and null: each user has their own.
A_VALUE = "a value"


@dataclass(frozen=True, slots=True)
class Sends:
    """The number of users who would be sent a value: ``true``, ``false``, ``null`` or A_VALUE."""

    key: str
    value: str
    users: int


def count_sends(workspace: Workspace, pending: Sequence[PendingDelivery]) -> dict[str, list[Sends]]:
    """By destination, in the order of keys and values; the audiences that are seeded by hand are among them."""
    found: dict[str, list[str]] = {}
    for each in pending:
        found.setdefault(each.state.name, []).append(f"select traits from {each.table}")
    return {name: _count(workspace, " union all ".join(queries)) for name, queries in found.items()}


def _count(workspace: Workspace, calls: str) -> list[Sends]:
    """``calls``: a query with ``traits``, a JSON object."""
    pairs = f"select unnest(map_entries(traits::json::map(varchar, json)), recursive := true) from ({calls})"
    word = f"case when value::varchar in ('true', 'false') then value::varchar else '{A_VALUE}' end"
    query = (
        f"select key, case when value is null then 'null' else {word} end as word, count(*) from ({pairs}) "
        "group by key, word order by key, word desc"
    )
    return [Sends(*row) for row in workspace.all(query)]

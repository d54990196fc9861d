"""Add the current values of the traits by which a destination knows users to its pending calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audience_sync.model import PropertyKind
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.workspace import TableName, Workspace, quote_literal


def add_identifiers(
    workspace: Workspace, calls: TableName, chains: Mapping[str, Chain], keys: Sequence[str]
) -> TableName:
    """Create a table of the calls with a column ``identifiers``: a JSON object with the values that a user has."""
    found = [key for key in keys if key in chains and chains[key].kind is PropertyKind.COMPUTED_TRAIT]
    joins, pairs = [], ["null"]
    for number, key in enumerate(found):
        rows = f"select user_id, {trait_column(key)} as value from ({current_rows_query(chains[key])})"
        joins.append(f"left join ({rows}) i{number} on i{number}.user_id = c.user_id")
        name = quote_literal(f'"{key}":')
        pairs.append(f"{name} || i{number}.value")
    identifiers = f"'{{' || concat_ws(',', {', '.join(pairs)}) || '}}' as identifiers"
    table = workspace.table("calls", f"select c.*, {identifiers} from {calls} c {' '.join(joins)}")
    workspace.run(f"drop table {calls}")
    return table

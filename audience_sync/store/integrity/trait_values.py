"""Check that the table of trait values equals the stored snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, select

from audience_sync.sql import quote_literal
from audience_sync.store.audiences.user_traits import has_values
from audience_sync.store.integrity.result import CheckResult, check_result
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.store.tables import user_traits
from audience_sync.text import pluralize
from audience_sync.workspace import Workspace

REBUILD = "One run with `trait_values_table: false` and another with `true` rebuild it"


def check_trait_values(
    connection: Connection, workspace: Workspace, chains: Mapping[int, Chain], *, kept: bool
) -> CheckResult:
    """Compare the table of trait values with the snapshots.

    ``kept``: the table is filled. ``chains``: the undamaged ones, with their files.
    """
    problems, values = list[str](), 0
    for chain in filter(has_values, chains.values()):
        table = _load_traits(connection, workspace, chain)
        values += _count_values(workspace, chain) if kept else 0
        problems += _table_problems(workspace, chain, table, kept=kept)
        workspace.run(f"drop table {table}")
    good = (
        f"{pluralize(values, 'value')} match the snapshots"
        if kept
        else "the table of trait values is not stored (`trait_values_table`)"
    )
    return check_result("trait values", problems, good, REBUILD)


def _load_traits(connection: Connection, workspace: Workspace, chain: Chain) -> str:
    query = select(user_traits.c.user_id, user_traits.c.traits).where(user_traits.c.chain_id == chain.id)
    result = connection.execute(query.execution_options(yield_per=10_000))
    return workspace.load({"user_id": "varchar", "traits": "varchar"}, result.partitions())


def _count_values(workspace: Workspace, chain: Chain) -> int:
    counts = " + ".join(f"count({trait_column(key)})" for key in chain.keys)
    return int(workspace.one(f"select {counts} from ({current_rows_query(chain)})")[0])


def _table_problems(workspace: Workspace, chain: Chain, table: str, *, kept: bool) -> Iterator[str]:
    """Values are compared one by one: two versions of DuckDB may write the same JSON object differently."""
    keys = ", ".join(chain.keys)
    if not kept:
        if rows := workspace.one(f"select count(*) from {table}")[0]:
            yield f"{keys}: the table should be empty, and has {pluralize(rows, 'user')}"
        return
    differs = " or ".join(
        f"json_extract_string(t.traits, {quote_literal('/' + key)}) is distinct from s.{trait_column(key)}"
        for key in chain.keys
    )
    joined = f"{table} t full join ({current_rows_query(chain)}) s on t.user_id = s.user_id"
    extra, missing, other = workspace.one(
        "select count(*) filter (where s.user_id is null), count(*) filter (where t.user_id is null), "
        f"count(*) filter (where t.user_id is not null and s.user_id is not null and ({differs})) from {joined}"
    )
    if extra or missing or other:
        yield f"{keys}: the table has {extra:,} users too many, lacks {missing:,}, and {other:,} have other values"

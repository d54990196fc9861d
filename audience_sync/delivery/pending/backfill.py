"""Select the values of a stored snapshot that a destination has never been sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.delivery.state.pending_rule import RUN_ID, PendingRule
from audience_sync.model import PropertyKind
from audience_sync.sql import Condition, Expression, Query, TableName, quote_literal
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column


class Backfill(Struct, frozen=True):
    """The pending values of one snapshot: ``rows`` is a query with ``user_id``, ``values`` has SQL for value and run.

    The run is NULL for a key without a pending value.
    """

    rows: Query
    values: Mapping[str, tuple[Expression, Expression]]

    @property
    def users(self) -> Query:
        return Query(
            f"select user_id from ({self.rows}) where coalesce({', '.join(run for _, run in self.values.values())}) > 0"
        )

    @property
    def items(self) -> Query:
        """A query with one row for each user and key: ``user_id``, ``key``, ``value``, ``run_id``."""
        queries = (
            f"select user_id, {quote_literal(key)} as key, {value} as value, {run} as run_id from ({self.rows}) "
            f"where {run} is not null"
            for key, (value, run) in self.values.items()
        )
        return Query(" union all ".join(queries))

    def without(self, table: TableName) -> Backfill:
        return replace(self, rows=Query(f"from ({self.rows}) anti join {table} using (user_id)"))


def backfill_queries(
    chains: Mapping[str, Chain], reached: Expression, rules: Sequence[PendingRule], condition: Condition
) -> list[Backfill]:
    """Build one backfill a snapshot chain, the largest first.

    ``reached``: SQL for the run up to which a user has been sent everything. ``condition`` selects users.
    """
    found: dict[Chain, list[PendingRule]] = {}
    for each in rules:
        found.setdefault(chains[each.subscription.key], []).append(each)
    return [
        Backfill(
            Query(f"from ({current_rows_query(chain)}) where {condition}"),
            {each.subscription.key: _value_and_run(chain, each, reached) for each in members},
        )
        for chain, members in sorted(found.items(), key=lambda pair: -pair[0].user_count)  # the largest is joined first
    ]


def _value_and_run(chain: Chain, rule: PendingRule, reached: Expression) -> tuple[Expression, Expression]:
    """Return SQL for the value and for its run, which is NULL if the value is not pending."""
    value = Expression("'true'") if chain.kind is PropertyKind.AUDIENCE else trait_column(rule.subscription.key)
    is_pending = f"{rule.sends_current_sql(reached)} and {value} is not null"
    run = rule.run_of_current_sql(RUN_ID)
    return value, Expression(f"case when {is_pending} then {run} end")

"""The rule of what is pending, in Python for one user and in SQL for all users."""

from __future__ import annotations

from itertools import product

from audience_sync.delivery.state.cursors import Subscription
from audience_sync.delivery.state.pending_rule import PendingRule, is_pending_sql, rules_table_sql
from audience_sync.workspace import Workspace

RUNS = range(5)
RULES = [
    PendingRule(
        Subscription(
            key="vip", since_run=since_run, backfill=backfill, previously_delivered_run=previously_delivered_run
        ),
        attempted_run,
    )
    for since_run, backfill, previously_delivered_run, attempted_run in product(
        RUNS, (True, False), (None, 0, 2, 3), (None, 1, 3)
    )
]


def test_sql_and_python_give_the_same_answers_for_120_rules_and_25_pairs_of_runs(workspace: Workspace) -> None:
    in_sql = {
        rule: workspace.all(
            f"select run_id, reached, {is_pending_sql('reached')}, {rule.sends_current_sql('reached')}, "
            f"{rule.run_of_current_sql('run_id')} "
            f"from range(5) changes(run_id), range(5) users(reached), {rules_table_sql([rule])} order by all"
        )
        for rule in RULES
    }
    in_python = {
        rule: [
            (run, reached, run > rule.floor(reached), rule.sends_current(reached), rule.run_of_current(run))
            for run, reached in product(RUNS, RUNS)
        ]
        for rule in RULES
    }
    assert in_sql == in_python
    assert len(in_sql) == 120


def test_one_query_finds_the_pending_changes_of_all_subscriptions(workspace: Workspace) -> None:
    backfilled = PendingRule(Subscription(key="backfilled", since_run=2, backfill=True), 1)
    later_only = PendingRule(Subscription(key="later_only", since_run=2, backfill=False), 1)
    resumed = PendingRule(Subscription(key="resumed", since_run=4, backfill=False, previously_delivered_run=2), None)
    pending = workspace.all(
        "select key, run_id from (values ('backfilled'), ('later_only'), ('resumed')) p(key), range(5) c(run_id) "
        f"where exists (from {rules_table_sql([backfilled, later_only, resumed])} "
        f"where rules.key = p.key and {is_pending_sql('1')}) order by all"
    )
    assert pending == [
        ("backfilled", 2),
        ("backfilled", 3),
        ("backfilled", 4),
        ("later_only", 3),
        ("later_only", 4),
        ("resumed", 3),
        ("resumed", 4),
    ]

"""Decide which changes are pending: in Python for one user (`explain`), in SQL for all users (delivery)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from audience_sync.delivery.state.cursors import DeliveryCursor, Subscription
from audience_sync.model import MAX_RUN, RunId
from audience_sync.sql import Condition, Expression, Relation, quote_literal

#: The column with the run of a value.
RUN_ID = Expression("run_id")


class PendingRule(Struct, frozen=True):
    """The rule of one subscription at one cursor, of which it needs the ``attempted_run``.

    ``reached`` is the run up to which a user has been sent everything. For a cursor's lowest one (``low_watermark``) an
    answer is true if it is true for any of its users. The SQL forms take SQL expressions.
    """

    subscription: Subscription
    attempted_run: RunId | None

    @property
    def first_attempt(self) -> RunId | None:
        """The first run that may have sent a call: a user who left after it may have been sent ``true``."""
        attempts = [run for run in (self.attempted_run, self.subscription.previously_delivered_run) if run is not None]
        return min(attempts, default=None)

    def catches_up(self, reached: RunId) -> bool:
        """Return whether changes before the subscription's first run (``since_run``) are pending too."""
        return self.may_catch_up and self.subscription.since_run > reached

    @property
    def may_catch_up(self) -> bool:
        return self.subscription.backfill or self.subscription.previously_delivered_run is not None

    def floor(self, reached: RunId) -> RunId:
        """Return the run after which changes are pending. ``is_pending_sql`` is its form in SQL."""
        return self.lowest_floor if self.catches_up(reached) else max(reached, self.subscription.since_run)

    @property
    def lowest_floor(self) -> RunId:
        return MAX_RUN if self.first_attempt is None else self.first_attempt

    def sends_current(self, reached: RunId) -> bool:
        """Return whether the current value is pending without a change, in a backfill or a resync."""
        return self.subscription.backfill and self.subscription.since_run > reached

    def sends_current_sql(self, reached: Expression) -> Condition:
        return Condition(f"{self.subscription.since_run} > {reached}" if self.subscription.backfill else "false")

    def run_of_current(self, run: RunId) -> RunId:
        """Return the run that a current value is sent with. A resync renews it, so that the message id is new."""
        return run if self.subscription.previously_delivered_run is None else max(run, self.subscription.since_run)

    def run_of_current_sql(self, run: Expression) -> Expression:
        if self.subscription.previously_delivered_run is None:
            return run
        return Expression(f"greatest({run}, {self.subscription.since_run})")


def pending_rules(cursor: DeliveryCursor, subscriptions: Sequence[Subscription]) -> list[PendingRule]:
    return [PendingRule(each, cursor.attempted_run) for each in subscriptions]


def log_floor(cursor: DeliveryCursor, subscriptions: Sequence[Subscription]) -> RunId:
    """Return the run after which the log is needed: no earlier change can be pending. MAX_RUN if none is needed."""
    floors = (each.floor(cursor.low_watermark) for each in pending_rules(cursor, subscriptions))
    return min(floors, default=MAX_RUN)


def rules_table_sql(rules: Sequence[PendingRule]) -> Relation:
    """Return a table of rules (at least one), so that one query finds the pending changes of all subscriptions."""
    rows = ", ".join(
        f"({quote_literal(each.subscription.key)}, {each.subscription.since_run}, "
        f"{str(each.may_catch_up).lower()}, {each.lowest_floor})"
        for each in rules
    )
    return Relation(f"(values {rows}) rules(key, since_run, may_catch_up, lowest_floor)")


def is_pending_sql(reached: Expression) -> Condition:
    """Return a condition on the ``run_id`` of a change, joined with ``rules_table_sql`` by key."""
    return Condition(
        f"run_id > case when may_catch_up and since_run > {reached} then lowest_floor "
        f"else greatest({reached}, since_run) end"
    )

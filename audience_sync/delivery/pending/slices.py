"""Divide users with pending calls into slices, so that the workspace never holds the calls of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from audience_sync.delivery.pending.backfill import backfill_queries
from audience_sync.delivery.pending.inputs import DeliveryInputs
from audience_sync.delivery.pending.values import logged_changes
from audience_sync.delivery.state.cursors import DeliveryCursor, Subscription
from audience_sync.delivery.state.pending_rule import PendingRule, pending_rules
from audience_sync.delivery.state.ranges import delivered_run_sql
from audience_sync.model import UserId
from audience_sync.sql import Condition, Query, quote_literal
from audience_sync.workspace import Workspace

#: Users by whom the end of a slice is found. Its real size is then within a few percent of the wanted one.
SAMPLED_USERS = 1_000


class Slice(Struct, frozen=True):
    """The users greater than ``after``, up to ``through``; None is the last one."""

    after: UserId
    through: UserId | None

    @property
    def users(self) -> Condition:
        """A condition on ``user_id``."""
        end = f" and user_id <= {quote_literal(self.through)}" if self.through is not None else ""
        return Condition(f"user_id > {quote_literal(self.after)}{end}")


def find_slices(
    workspace: Workspace,
    inputs: DeliveryInputs,
    cursor: DeliveryCursor,
    subscriptions: Sequence[Subscription],
    *,
    only_sent: bool,
    size: int,
) -> list[Slice]:
    """Divide the users with pending calls into slices of this size, in the order of their ids.

    ``only_sent``: see ``pending_values``.
    """
    rules = pending_rules(cursor, subscriptions)
    backfilled = [each for each in rules if each.sends_current(cursor.low_watermark)]
    share = max(size // SAMPLED_USERS, 1)
    sample = (
        f"select distinct user_id from ({_users(inputs, cursor, rules, backfilled, only_sent=only_sent)}) "
        f"where hash(user_id) % {share} = 0"
    )
    numbered = f"select user_id, row_number() over (order by user_id) as number from ({sample})"
    last = workspace.all(f"select user_id from ({numbered}) where number % {size // share} = 0 order by user_id")
    ends = [UserId(""), *(UserId(user) for (user,) in last), None]
    return [Slice(after or UserId(""), through) for after, through in pairwise(ends)]


def _users(
    inputs: DeliveryInputs,
    cursor: DeliveryCursor,
    rules: Sequence[PendingRule],
    backfilled: Sequence[PendingRule],
    *,
    only_sent: bool,
) -> Query:
    """Return a query for the users of the log and of the backfills; a user may come several times.

    Users with refused or withheld values alone are few.
    """
    reached = delivered_run_sql(cursor.ranges, cursor.position)
    condition = Condition(f"{reached} > {cursor.position}" if only_sent else "true")
    changed = Query(f"select user_id from ({logged_changes(inputs, rules, reached)}) where {condition}")
    members = [each.users for each in backfill_queries(inputs.chains, reached, backfilled, condition)]
    return Query(" union all ".join([changed, *members]))

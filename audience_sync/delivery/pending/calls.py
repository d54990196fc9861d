"""Merge the values that a destination has yet to be sent into one pending call for each user."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from msgspec import Struct

from audience_sync.delivery.pending.inputs import DeliveryInputs
from audience_sync.delivery.pending.mapped import add_mapping_columns
from audience_sync.delivery.pending.merge import merge_per_user
from audience_sync.delivery.pending.values import PendingOptions, pending_values
from audience_sync.delivery.state.cursors import DeliveryCursor, Subscription
from audience_sync.sql import TableName
from audience_sync.workspace import Workspace


class PendingCalls(Struct, frozen=True, kw_only=True):
    """The pending calls of one cursor: a table in the workspace, and their number.

    ``includes_everyone``: not only users whom the cursor has reached. ``withheld_table``: the values that
    ``withheld_users`` suppressed users are not sent. ``releases``: some calls have values that were withheld before.
    ``retries``: refused values are included. ``is_mapped``: the table has the columns of ``add_mapping_columns``.
    ``slices``: if the calls are too many for one table, its name is empty, and each of these makes the calls of some
    users, in the order of user ids.
    """

    cursor: DeliveryCursor
    table: TableName
    calls: int
    includes_everyone: bool = True
    withheld_table: TableName | None = None
    withheld_users: int = 0
    releases: bool = False
    retries: bool = False
    is_mapped: bool = False
    slices: Sequence[MakeCalls] = ()

    def tables(self, workspace: Workspace) -> Generator[tuple[Workspace, PendingCalls]]:
        """Yield the calls in tables, each with the workspace that has it: all calls at once, or slice by slice.

        A slice is made when it is wanted, and dropped before the next one.
        """
        if not self.slices:
            yield workspace, self
        for make in self.slices:
            with workspace.scratch() as scratch:
                yield scratch, make(scratch)


#: Makes the calls of a slice of users.
MakeCalls = Callable[[Workspace], PendingCalls]


class CallTable(Struct, frozen=True):
    """A table with one row for each user: ``user_id``, ``traits`` (a JSON object), ``versions`` and ``run_id``.

    The rows are in the order of user ids.
    ``versions`` has the run that set each value (``key@run,key@run``); ``run_id`` is the newest of them.
    ``is_mapped``: it also has the columns of ``add_mapping_columns``.
    """

    name: TableName
    is_mapped: bool = False


def pending_calls(
    workspace: Workspace,
    inputs: DeliveryInputs,
    cursor: DeliveryCursor,
    subscriptions: Sequence[Subscription],
    options: PendingOptions,
) -> CallTable:
    """Create the table of pending calls."""
    values = pending_values(workspace, inputs, cursor, subscriptions, options)
    calls = merge_per_user(workspace, values.items, values.backfills)
    workspace.run(f"drop table {values.items}")
    table = add_mapping_columns(
        workspace,
        calls,
        inputs.chains,
        identifiers=options.mapped.identifiers,
        last=options.mapped.last,
        former=values.former,
        repeated=values.repeated,
        reached=values.reached,
    )
    return CallTable(table or calls, is_mapped=table is not None)

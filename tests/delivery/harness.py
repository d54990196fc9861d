"""A store with two properties and one destination, and deliveries to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select

from audience_sync.delivery.deliver import DeliveryContext, DeliveryJob, DeliveryStats, deliver
from audience_sync.delivery.pending.calls import PendingCalls
from audience_sync.delivery.state.cursors import (
    DeliveryCursor,
    DestinationState,
    Subscription,
    read_destination_states,
    save_destination_state,
)
from audience_sync.model import DestinationId, PropertyId, RunId
from audience_sync.sql import TableName, quote_literal
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import Lease
from audience_sync.store.tables import (
    delivery_requests,
    open_refusals,
    properties,
    refused_values,
    runs,
    snapshot_chains,
)
from audience_sync.workspace import Workspace

from .scripted_destination import ScriptedDestination

NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
#: The ids of the two properties.
IDS = {"vip": PropertyId(1), "name": PropertyId(2)}


def add_run(store: Store, number: int) -> RunId:
    row = {"id": number, "command": "sync", "status": "running", "started_at": NOW, "holder": "a test", "version": "0"}
    with store.writing() as connection:
        connection.execute(insert(runs).values(row))
    return RunId(number)


def add_properties(store: Store) -> None:
    with store.writing() as connection:
        for key, number in IDS.items():
            connection.execute(insert(snapshot_chains).values(id=number, kind="audience", user_count=0))
            row = {"id": number, "key": key, "name": key, "chain_id": number, "created_run_id": 1}
            connection.execute(insert(properties).values(kind="audience", **row))


class DeliveryHarness:
    def __init__(self, store: Store, workspace: Workspace, lease: Lease) -> None:
        self.store = store
        self.workspace = workspace
        self.lease = lease
        self._run = add_run(store, 1)
        add_properties(store)
        with lease.transaction() as connection:
            new = DestinationState(name="connect", subscriptions={"vip": Subscription(key="vip", since_run=RunId(1))})
            save_destination_state(connection, new, IDS, {"type": "scripted", "created_at": NOW})

    @property
    def state(self) -> DestinationState:
        with self.store.reading() as connection:
            return read_destination_states(connection, ["connect"])["connect"]

    @property
    def cursor(self) -> DeliveryCursor:
        return self.state.cursor

    def next_run(self) -> None:
        self._run = add_run(self.store, self._run + 1)

    def table(self, calls: Mapping[str, Mapping[str, Any]]) -> TableName:
        """``calls``: the properties by user, all of run 1."""
        table = self.workspace.name("pending")
        self.workspace.run(f"create table {table} (user_id varchar, traits varchar, versions varchar, run_id integer)")
        for user, traits in calls.items():
            versions = ",".join(f"{key}@1" for key in sorted(traits))
            text = json.dumps(traits, sort_keys=True, separators=(",", ":"))
            self.workspace.run(
                f"insert into {table} values ({quote_literal(user)}, {quote_literal(text)}, '{versions}', 1)"
            )
        return table

    def deliver(
        self,
        destination: ScriptedDestination,
        calls: Mapping[str, Mapping[str, Any]] | Sequence[str],
        *,
        lease: Any = None,
        watch: Callable[[DeliveryStats], None] = lambda stats: None,
        **options: Any,
    ) -> DeliveryStats:
        """``calls``: the properties by user; for a list of users, ``vip: true``."""
        traits = calls if isinstance(calls, Mapping) else {user: {"vip": True} for user in calls}
        context = self.context(lease=lease, watch=watch)
        job = DeliveryJob(
            name="connect",
            destination_id=DestinationId(1),
            destination=destination,
            pending=PendingCalls(cursor=self.cursor, table=self.table(traits), calls=len(traits)),
            **options,
        )
        return deliver(self.workspace, context, job)

    def context(
        self, *, lease: Any = None, watch: Callable[[DeliveryStats], None] = lambda stats: None
    ) -> DeliveryContext:
        return DeliveryContext(
            lease=lease or self.lease,
            run=self._run,
            installation="here",
            times={RunId(1): "2026-03-01T06:00:00.000Z"},
            property_ids=IDS,
            progress=watch,
        )

    def requests(self) -> list[tuple[Any, ...]]:
        columns = delivery_requests.c
        query = select(columns.after_user, columns.through_user, columns.calls, columns.refused, columns.run_id)
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(columns.after_user, columns.id))]

    def refusals(self) -> list[tuple[Any, ...]]:
        columns = open_refusals.c
        query = select(columns.user_id, columns.reason, columns.http_status, columns.attempts, columns.run_id)
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(columns.user_id))]

    def refused_values(self) -> list[tuple[Any, ...]]:
        columns = refused_values.c
        query = select(columns.user_id, columns.property_id, columns.value, columns.run_id)
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(columns.user_id, columns.property_id))]

    def count(self, table: Any) -> int:
        with self.store.reading() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

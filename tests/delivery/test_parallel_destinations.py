"""A delivery reads on connections of its own, because other destinations read at the same time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest
from destinations.vendors import vendor

from audience_sync.delivery.fields import require_fields
from audience_sync.delivery.mapping import mapping_of
from audience_sync.delivery.pending.calls import PendingCalls
from audience_sync.delivery.send.calls import CallReader
from audience_sync.delivery.state.cursors import DeliveryCursor
from audience_sync.destinations.base import FieldKind
from audience_sync.model import RunId
from audience_sync.sql import TableName
from audience_sync.workspace import Workspace

from .scripted_destination import ScriptedDestination


class SharedConnection:
    """The connection of all destinations: a thread may only open one of its own."""

    def __init__(self, connection: Any) -> None:
        self.cursor = connection.cursor


@pytest.fixture
def calls(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> TableName:
    table = workspace.table(
        "calls",
        """select 'ana@example.com' as user_id, '{"vip":true}' as traits, 'vip@1' as versions, 1 as run_id, """
        """'{"email":"ana@example.com"}' as identifiers, '[["vip","is_vip"]]' as former, null::varchar as repeated""",
    )
    monkeypatch.setattr(workspace, "connection", SharedConnection(workspace.connection))
    return table


class WithoutFields(ScriptedDestination):
    """A destination that has no field yet. ``created``: the kind of each that it was asked for."""

    has_fields = True

    def missing_fields(self, keys: Collection[str]) -> Collection[str]:
        return keys

    def create_fields(self, fields: Mapping[str, FieldKind]) -> None:
        self.created = fields


def test_calls_with_former_names_are_encoded(workspace: Workspace, calls: TableName) -> None:
    destination = vendor("posthog", identifiers=["email"], rename={"vip": "is_buyer"})
    reader = CallReader(
        workspace=workspace,
        table=calls,
        installation="here",
        destination="posthog",
        times={RunId(1): "2026-11-23T20:51:29.084Z"},
        mapping=mapping_of(destination),
        is_mapped=True,
    )
    ((call,),) = reader.encoded(destination)
    assert b'"$set":{"email":"ana@example.com","is_buyer":true,"is_vip":false}' in call.messages[0].body


def test_fields_are_created(workspace: Workspace, calls: TableName) -> None:
    destination = WithoutFields(identifiers=["email"])
    pending = PendingCalls(cursor=DeliveryCursor(), table=calls, calls=1)
    assert require_fields(workspace, pending, destination, mapping_of(destination)) is None
    assert destination.created == {"email": FieldKind.TEXT, "vip": FieldKind.BOOLEAN}

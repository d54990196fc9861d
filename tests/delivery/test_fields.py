"""The kind of a missing field is that of all values which the pending calls have."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from destinations.vendors import ABOUT, REQUIRED

from audience_sync.delivery.fields import require_fields
from audience_sync.delivery.mapping import mapping_of
from audience_sync.delivery.pending.calls import PendingCalls
from audience_sync.delivery.state.cursors import DeliveryCursor
from audience_sync.destinations.base import FieldKind
from audience_sync.destinations.hubspot import HubSpotDestination, HubSpotOptions
from audience_sync.sql import TableName
from audience_sync.workspace import Workspace


class Account(HubSpotDestination):
    """An account without any property, which records those that are created."""

    created: Mapping[str, FieldKind]

    def missing_fields(self, keys: Collection[str]) -> Collection[str]:
        return [*keys, *self.own_fields()]

    def create_fields(self, fields: Mapping[str, FieldKind]) -> None:
        self.created = fields


def kinds(*calls: dict[str, Any], **options: Any) -> Mapping[str, FieldKind]:
    """The fields that are created for pending calls with these properties."""
    account = Account(HubSpotOptions.model_validate({**REQUIRED["hubspot"], **options}), ABOUT)
    with Workspace(600_000_000, ["/"]) as workspace:
        rows = ", ".join("(?::json)" for _ in calls)
        workspace.run(f"create table calls as select * from (values {rows}) rows(traits)", list(map(json.dumps, calls)))
        pending = PendingCalls(cursor=DeliveryCursor(), table=TableName("calls"), calls=len(calls))
        assert require_fields(workspace, pending, account, mapping_of(account)) is None
    return account.created


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, False], FieldKind.BOOLEAN),
        ([None, 3, 12.5, -1], FieldKind.NUMBER),
        ([12345678901234567890123], FieldKind.NUMBER),
        (["2026-11-23", None, "1999-01-01"], FieldKind.DATE),
        (["2026-11-23T00:00:00.000Z", "2026-11-23"], FieldKind.DATE),
        (["2026-11-23", "2026-11-23T20:51:29.084Z"], FieldKind.DATETIME),
        (["2026-11-23T20:51:29+02:00"], FieldKind.DATETIME),
        (["2026-11-23", "soon"], FieldKind.TEXT),
        ([3, "many"], FieldKind.TEXT),
        ([True, 1], FieldKind.TEXT),
        ([["a"]], FieldKind.TEXT),
        ([None, None], FieldKind.TEXT),
    ],
)
def test_a_field_has_the_kind_of_all_its_values(values: list[Any], kind: FieldKind) -> None:
    assert kinds(*({"x": value} for value in values)) == {"x": kind}


def test_the_field_of_the_user_id_is_a_text() -> None:
    assert kinds({"vip": True}, id_property="customer_id") == {"vip": FieldKind.BOOLEAN, "customer_id": FieldKind.TEXT}

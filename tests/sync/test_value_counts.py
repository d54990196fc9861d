"""A preview counts the users that would be sent each value."""

from __future__ import annotations

from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState
from audience_sync.model import RunId
from audience_sync.sync.deliver.pending import PendingDelivery
from audience_sync.sync.preview.plan import Sends, count_sends
from audience_sync.workspace import Workspace


def pending(workspace: Workspace, destination: str, *traits: str) -> PendingDelivery:
    table = workspace.load({"traits": "varchar"}, [[(each,) for each in traits]])
    return PendingDelivery(
        state=DestinationState(name=destination),
        cursor=DeliveryCursor(id=None, position=RunId(0)),
        table=table,
        calls=len(traits),
    )


def test_users_are_counted_by_destination_key_and_value(workspace: Workspace) -> None:
    shares = [
        pending(workspace, "connect", '{"vip":true,"city":"true"}', '{"vip":false}', '{"vip":true,"city":null}'),
        pending(workspace, "connect", '{"wave":true}'),
        pending(workspace, "log", '{"vip":true,"city":12}', '{"city":"Oslo"}'),
        pending(workspace, "nothing"),
    ]
    assert count_sends(workspace, shares) == {
        "connect": [
            Sends("city", "null", 1),
            Sends("city", "a value", 1),
            Sends("vip", "true", 2),
            Sends("vip", "false", 1),
            Sends("wave", "true", 1),
        ],
        "log": [Sends("city", "a value", 2), Sends("vip", "true", 1)],
        "nothing": [],
    }

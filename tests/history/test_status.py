"""The delivery state of a property of a user, derived from the calls and the cursors."""

from __future__ import annotations

import pytest

from audience_sync.delivery.state.cursors import DeliveryCursor
from audience_sync.delivery.state.subscription_history import SubscriptionVersion
from audience_sync.history.explain.calls import Request
from audience_sync.history.explain.replay import ReplayInput
from audience_sync.history.explain.status import DeliveryState, delivery_status
from audience_sync.history.explain.value_history import ValueHistory
from audience_sync.model import MAX_RUN

from .test_replay import LEAVER, MEMBER, REFUSAL, audience, replay_of, request, version

NEVER_MEMBER = audience(None)
ENDED = [version(), version(2, since_run=1, ended_run=2)]

#: By name: the values of the user, the versions of the subscription, the requests, the cursor, the expected state.
CASES: dict[
    str, tuple[ValueHistory, list[SubscriptionVersion], list[Request], DeliveryCursor, tuple[DeliveryState, str | None]]
] = {
    "sent": (MEMBER, [version()], [request(1)], DeliveryCursor(id=1, position=9), (DeliveryState.SENT, None)),
    "sent, and the request was deleted": (
        MEMBER,
        [version()],
        [],
        DeliveryCursor(id=1, position=9),
        (DeliveryState.SENT, None),
    ),
    "pending": (MEMBER, [version()], [], DeliveryCursor(id=1, position=0), (DeliveryState.PENDING, "true")),
    "pending change": (
        LEAVER,
        [version()],
        [request(1)],
        DeliveryCursor(id=1, position=2),
        (DeliveryState.PENDING, "false"),
    ),
    "nothing for a user who left before the first call": (
        LEAVER,
        [version()],
        [],
        DeliveryCursor(id=1, position=0),
        (DeliveryState.NOTHING, None),
    ),
    "pending false for a user who may have been sent true": (
        LEAVER,
        [version()],
        [],
        DeliveryCursor(id=1, position=0, attempted_run=1),
        (DeliveryState.PENDING, "false"),
    ),
    "refused": (
        MEMBER,
        [version()],
        [request(1, unaccepted=REFUSAL)],
        DeliveryCursor(id=1, position=9),
        (DeliveryState.REFUSED, "true"),
    ),
    "pending with an earlier refused value": (
        LEAVER,
        [version()],
        [request(1, unaccepted=REFUSAL)],
        DeliveryCursor(id=1, position=2),
        (DeliveryState.PENDING, "false"),
    ),
    "waiting for a seed": (
        MEMBER,
        [version(seeding=True)],
        [],
        DeliveryCursor(id=2, position=0, seeding="vip"),
        (DeliveryState.WAITING, "true"),
    ),
    "recorded without sending": (
        MEMBER,
        [version(backfill=False)],
        [],
        DeliveryCursor(id=1, position=9),
        (DeliveryState.BASELINE, None),
    ),
    "not subscribed": (
        MEMBER,
        [version(key="other")],
        [],
        DeliveryCursor(id=1, position=9),
        (DeliveryState.NOT_SUBSCRIBED, None),
    ),
    "ended": (LEAVER, ENDED, [request(1)], DeliveryCursor(id=1, position=9), (DeliveryState.ENDED, None)),
    "nothing for a user without a value": (
        NEVER_MEMBER,
        [version()],
        [],
        DeliveryCursor(id=1, position=9),
        (DeliveryState.NOTHING, None),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_property_has_the_status(name: str) -> None:
    values, versions, requests, cursor, expected = CASES[name]
    inputs = ReplayInput(versions={"vip": values}, subscriptions={versions[0].key: versions})
    cursors = {cursor.seeding: cursor}
    (line,) = delivery_status(
        inputs.versions, inputs.subscriptions, replay_of(inputs, *requests), cursors, MAX_RUN, suppressed=False
    )
    assert (line.state, line.pending and line.pending.value) == expected


def test_all_pending_values_of_a_suppressed_user_are_withheld() -> None:
    inputs = ReplayInput(versions={"vip": LEAVER}, subscriptions={"vip": [version()]})
    lines = delivery_status(
        inputs.versions,
        inputs.subscriptions,
        replay_of(inputs, request(1)),
        {None: DeliveryCursor(id=1, position=2)},
        MAX_RUN,
        suppressed=True,
    )
    assert [(line.state, line.pending and line.pending.value) for line in lines] == [(DeliveryState.WITHHELD, "false")]

"""How does a destination stand with one user? Worked out of the calls, and of how far its feeds have got."""

from __future__ import annotations

import pytest

from audience_sync.delivery.state.cursors import DeliveryCursor
from audience_sync.delivery.state.pending_rule import MAX_RUN
from audience_sync.delivery.state.subscription_history import SubscriptionVersion
from audience_sync.history.explain.replay import ReplayInput, Request
from audience_sync.history.explain.status import DeliveryState, delivery_status
from audience_sync.history.explain.value_history import ValueHistory

from .test_telling import LEAVER, MEMBER, REFUSED, audience, played, request, terms

NOBODY = audience(None)
ENDED = [terms(), terms(2, since_run=1, ended_run=2)]

#: Name -> what the user had, on which terms, in which requests they were, how far the feed is; and how it stands.
CASES: dict[
    str, tuple[ValueHistory, list[SubscriptionVersion], list[Request], DeliveryCursor, tuple[DeliveryState, str | None]]
] = {
    "told": (MEMBER, [terms()], [request(1)], DeliveryCursor(id=1, position=9), (DeliveryState.SENT, None)),
    "told, and the request is no longer kept": (
        MEMBER,
        [terms()],
        [],
        DeliveryCursor(id=1, position=9),
        (DeliveryState.SENT, None),
    ),
    "owed": (MEMBER, [terms()], [], DeliveryCursor(id=1, position=0), (DeliveryState.PENDING, "true")),
    "owed the change": (
        LEAVER,
        [terms()],
        [request(1)],
        DeliveryCursor(id=1, position=2),
        (DeliveryState.PENDING, "false"),
    ),
    "owed nothing who left before anything was sent": (
        LEAVER,
        [terms()],
        [],
        DeliveryCursor(id=1, position=0),
        (DeliveryState.NOTHING, None),
    ),
    "owed false who may have been told true": (
        LEAVER,
        [terms()],
        [],
        DeliveryCursor(id=1, position=0, attempted_run=1),
        (DeliveryState.PENDING, "false"),
    ),
    "refused": (
        MEMBER,
        [terms()],
        [request(1, rejection=REFUSED)],
        DeliveryCursor(id=1, position=9),
        (DeliveryState.REFUSED, "true"),
    ),
    "owed with what it refused before": (
        LEAVER,
        [terms()],
        [request(1, rejection=REFUSED)],
        DeliveryCursor(id=1, position=2),
        (DeliveryState.PENDING, "false"),
    ),
    "waiting for a seed": (
        MEMBER,
        [terms(seeding=True)],
        [],
        DeliveryCursor(id=2, position=0, seeding="vip"),
        (DeliveryState.WAITING, "true"),
    ),
    "recorded without sending": (
        MEMBER,
        [terms(backfill=False)],
        [],
        DeliveryCursor(id=1, position=9),
        (DeliveryState.BASELINE, None),
    ),
    "not told of": (
        MEMBER,
        [terms(key="other")],
        [],
        DeliveryCursor(id=1, position=9),
        (DeliveryState.NOT_SUBSCRIBED, None),
    ),
    "told of no longer": (LEAVER, ENDED, [request(1)], DeliveryCursor(id=1, position=9), (DeliveryState.ENDED, None)),
    "told nothing, as there was nothing": (
        NOBODY,
        [terms()],
        [],
        DeliveryCursor(id=1, position=9),
        (DeliveryState.NOTHING, None),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_property_is(name: str) -> None:
    versions, history, requests, feed, expected = CASES[name]
    story = ReplayInput(versions={"vip": versions}, subscriptions={history[0].key: history})
    feeds = {feed.seeding: feed}
    (line,) = delivery_status(
        story.versions, story.subscriptions, played(story, *requests), feeds, MAX_RUN, suppressed=False
    )
    assert (line.state, line.pending and line.pending.value) == expected


def test_all_that_is_due_is_withheld_from_a_suppressed_user() -> None:
    story = ReplayInput(versions={"vip": LEAVER}, subscriptions={"vip": [terms()]})
    lines = delivery_status(
        story.versions,
        story.subscriptions,
        played(story, request(1)),
        {None: DeliveryCursor(id=1, position=2)},
        MAX_RUN,
        suppressed=True,
    )
    assert [(line.state, line.pending and line.pending.value) for line in lines] == [(DeliveryState.WITHHELD, "false")]

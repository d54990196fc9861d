"""Subscriptions and cursors of a destination, and how they are stored."""

from __future__ import annotations

import pytest

from audience_sync.delivery.state.cursors import (
    DeliveryCursor,
    DestinationState,
    Subscription,
    advance_position,
    end_seeding,
    mark_in_flight,
    read_destination_states,
    save_cursor,
    save_destination_state,
    save_ranges,
)
from audience_sync.delivery.state.ranges import Range
from audience_sync.delivery.state.subscriptions import resync, subscribe

from .harness import IDS, NOW, DeliveryHarness

BACKFILLED = DestinationState(
    name="connect",
    id=1,
    cursor=DeliveryCursor(id=1, position=7),
    subscriptions={"vip": Subscription(key="vip", since_run=1)},
)
#: A subscription that ended before its backfill was complete.
ENDED = DestinationState(
    name="connect",
    id=1,
    cursor=DeliveryCursor(id=1, position=9),
    subscriptions={"vip": Subscription(key="vip", since_run=1, backfill=True, previously_delivered_run=7, ended_run=8)},
)

# Subscriptions, from the config.


def test_a_wanted_property_is_subscribed_from_this_run() -> None:
    state = subscribe(DestinationState(name="connect"), {"vip": True, "name": False}, run=3)
    assert state.subscriptions == {
        "vip": Subscription(key="vip", since_run=3, backfill=True),
        "name": Subscription(key="name", since_run=3, backfill=False),
    }


def test_a_wanted_subscription_stays_unchanged() -> None:
    first = subscribe(DestinationState(name="connect"), {"vip": True}, run=3)
    assert subscribe(first, {"vip": False}, run=4) == first


def test_an_unwanted_subscription_ends() -> None:
    ended = subscribe(BACKFILLED, {}, run=8)
    assert ended.subscriptions == {
        "vip": Subscription(key="vip", since_run=1, backfill=False, previously_delivered_run=7, ended_run=8)
    }
    assert ended.active() == []


def test_an_ended_subscription_stays_unchanged() -> None:
    assert subscribe(ENDED, {}, run=10) == ENDED


def test_a_subscription_resumed_after_its_backfill_sends_only_the_changes_since() -> None:
    back = subscribe(subscribe(BACKFILLED, {}, run=8), {"vip": True}, run=10)
    assert back.subscriptions == {
        "vip": Subscription(key="vip", since_run=10, backfill=False, previously_delivered_run=7)
    }


def test_a_subscription_resumed_before_its_backfill_was_complete_is_backfilled() -> None:
    assert subscribe(ENDED, {"vip": True}, run=10).subscriptions == {
        "vip": Subscription(key="vip", since_run=10, backfill=True, previously_delivered_run=7)
    }


def test_a_seeded_audience_is_not_sent_by_the_main_cursor() -> None:
    subscriptions = {"vip": Subscription(key="vip", since_run=1), "name": Subscription(key="name", since_run=1)}
    state = DestinationState(
        name="connect",
        id=1,
        cursor=DeliveryCursor(id=1, position=0),
        seeds={"vip": DeliveryCursor(id=2, position=0, seeding="vip")},
        subscriptions=subscriptions,
    )
    assert state.active() == [Subscription(key="name", since_run=1)]


def test_a_resync_goes_back_to_the_first_send() -> None:
    subscriptions = {"vip": Subscription(key="vip", since_run=4), "name": Subscription(key="name", since_run=1)}
    state = resync(
        DestinationState(name="connect", id=1, cursor=DeliveryCursor(id=1, position=9), subscriptions=subscriptions),
        {"vip": 4},
        run=10,
    )
    assert state.subscriptions == {
        "vip": Subscription(key="vip", since_run=10, previously_delivered_run=4),
        "name": Subscription(key="name", since_run=1),
    }


def test_a_resync_leaves_an_ended_subscription_unchanged() -> None:
    assert resync(ENDED, {"vip": 1}, run=10) == ENDED


@pytest.mark.parametrize(
    ("cursor", "expected"),
    [
        pytest.param(
            DeliveryCursor(id=1, position=3),
            Subscription(key="vip", since_run=10, previously_delivered_run=10),
            id="nothing was sent",
        ),
        pytest.param(
            DeliveryCursor(id=1, position=3, attempted_run=4),
            Subscription(key="vip", since_run=10, previously_delivered_run=4),
            id="a call may have been sent",
        ),
    ],
)
def test_a_resync_of_an_unsent_property_gives_new_message_ids(cursor: DeliveryCursor, expected: Subscription) -> None:
    """The store may be a restored backup, and the receiver drops calls whose message ids it has seen."""
    state = DestinationState(
        name="connect", id=1, cursor=cursor, subscriptions={"vip": Subscription(key="vip", since_run=4)}
    )
    assert resync(state, {"vip": 4}, run=10).subscriptions == {"vip": expected}


@pytest.mark.parametrize(
    ("cursor", "lowest"),
    [
        pytest.param(DeliveryCursor(id=1, position=3), 3, id="no delivery in progress"),
        pytest.param(
            DeliveryCursor(id=1, position=3, attempted_run=5, ranges=(Range("", "m", 5),)),
            3,
            id="some are further",
        ),
    ],
)
def test_the_low_watermark_is_the_lowest_run_of_all_users(cursor: DeliveryCursor, lowest: int) -> None:
    assert cursor.low_watermark == lowest


# The stored state.


def test_a_destination_that_is_not_stored_has_an_empty_state(harness: DeliveryHarness) -> None:
    with harness.store.reading() as connection:
        assert read_destination_states(connection, ["segment"]) == {"segment": DestinationState(name="segment")}


def test_only_the_requested_states_are_read(harness: DeliveryHarness) -> None:
    with harness.store.reading() as connection:
        assert list(read_destination_states(connection, ["connect"])) == ["connect"]
        assert read_destination_states(connection, []) == {}


def test_a_saved_state_is_read_back_equal(harness: DeliveryHarness) -> None:
    subscriptions = {
        "vip": Subscription(key="vip", since_run=2, backfill=False, previously_delivered_run=1, ended_run=3),
        "name": Subscription(key="name", since_run=4),
    }
    with harness.lease.transaction() as connection:
        new = DestinationState(name="segment", subscriptions=subscriptions)
        saved = save_destination_state(connection, new, IDS, {"type": "segment", "created_at": NOW})
    with harness.store.reading() as connection:
        assert read_destination_states(connection, ["segment"]) == {"segment": saved}


def test_saving_a_state_again_replaces_its_subscriptions(harness: DeliveryHarness) -> None:
    with harness.lease.transaction() as connection:
        save_destination_state(connection, subscribe(harness.state, {"name": True}, run=2), IDS, {})
    assert harness.state.subscriptions == {
        "vip": Subscription(key="vip", since_run=1, previously_delivered_run=None, ended_run=2),
        "name": Subscription(key="name", since_run=2),
    }


def test_the_first_attempted_run_is_kept(harness: DeliveryHarness) -> None:
    with harness.lease.transaction() as connection:
        marked = mark_in_flight(connection, harness.cursor, run=4)
        again = mark_in_flight(connection, marked, run=5)
    assert harness.cursor == marked == again == DeliveryCursor(id=1, position=0, attempted_run=4)


def test_ranges_are_in_the_order_of_bytes_on_both_databases(harness: DeliveryHarness) -> None:
    """PostgreSQL's own order would put é before z, and a before Z."""
    ranges = (Range("", "Z", 1), Range("a", "z", 2), Range("é", "日本", 3), Range("日本", "😀", 4))
    with harness.lease.transaction() as connection:
        save_ranges(connection, harness.cursor, ranges)
    assert harness.cursor.ranges == ranges


def test_a_complete_delivery_leaves_only_the_position(harness: DeliveryHarness) -> None:
    with harness.lease.transaction() as connection:
        cursor = save_ranges(connection, mark_in_flight(connection, harness.cursor, run=4), [Range("", "m", 4)])
        assert advance_position(connection, cursor, run=5) == DeliveryCursor(id=1, position=5)
    assert harness.cursor == DeliveryCursor(id=1, position=5)


def test_a_seed_has_its_own_cursor(harness: DeliveryHarness) -> None:
    with harness.lease.transaction() as connection:
        seed = save_cursor(connection, 1, DeliveryCursor(seeding="vip"), IDS["vip"])
        save_ranges(connection, seed, [Range("", "m", 1)])
    assert harness.cursor == DeliveryCursor(id=1, position=0)
    assert harness.state.seeds == {
        "vip": DeliveryCursor(id=2, position=0, attempted_run=None, ranges=(Range("", "m", 1),), seeding="vip")
    }


def test_a_complete_seed_leaves_its_audience_to_the_main_cursor(harness: DeliveryHarness) -> None:
    with harness.lease.transaction() as connection:
        seed = save_cursor(connection, 1, DeliveryCursor(seeding="vip"), IDS["vip"])
        save_ranges(connection, seed, [Range("", "m", 1)])
        end_seeding(connection, seed, run=6)
    assert harness.state == DestinationState(
        name="connect",
        id=1,
        cursor=DeliveryCursor(id=1, position=0),
        seeds={},
        subscriptions={"vip": Subscription(key="vip", since_run=6, backfill=False)},
    )

"""What has each destination been told, and of which properties is it told? Read back as it was written."""

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

from .house import IDS, NOW, House

# What a destination is told of, by the config.


def test_what_is_wanted_is_told_from_this_run_on() -> None:
    ledger = subscribe(DestinationState(name="connect"), {"vip": True, "name": False}, run=3)
    assert ledger.subscriptions == {
        "vip": Subscription(key="vip", since_run=3, backfill=True),
        "name": Subscription(key="name", since_run=3, backfill=False),
    }


def test_a_subscription_stays_as_it_is_while_it_is_wanted() -> None:
    first = subscribe(DestinationState(name="connect"), {"vip": True}, run=3)
    assert subscribe(first, {"vip": False}, run=4) == first


def test_what_is_no_longer_wanted_ends_and_is_not_told() -> None:
    told = DestinationState(
        name="connect",
        id=1,
        cursor=DeliveryCursor(id=1, position=7),
        subscriptions={"vip": Subscription(key="vip", since_run=1)},
    )
    ended = subscribe(told, {}, run=8)
    assert ended.subscriptions == {
        "vip": Subscription(key="vip", since_run=1, backfill=False, sent_through=7, ended_run=8)
    }
    assert ended.active() == []


def test_what_has_ended_stays_as_it_ended() -> None:
    ended = DestinationState(
        name="connect",
        id=1,
        cursor=DeliveryCursor(id=1, position=9),
        subscriptions={"vip": Subscription(key="vip", since_run=1, backfill=True, sent_through=7, ended_run=8)},
    )
    assert subscribe(ended, {}, run=10) == ended


def test_what_comes_back_after_everyone_was_told_brings_only_the_changes_since() -> None:
    told = DestinationState(
        name="connect",
        id=1,
        cursor=DeliveryCursor(id=1, position=7),
        subscriptions={"vip": Subscription(key="vip", since_run=1)},
    )
    back = subscribe(subscribe(told, {}, run=8), {"vip": True}, run=10)
    assert back.subscriptions == {"vip": Subscription(key="vip", since_run=10, backfill=False, sent_through=7)}


def test_what_comes_back_before_everyone_was_told_is_told_to_everyone() -> None:
    ended = DestinationState(
        name="connect",
        id=1,
        cursor=DeliveryCursor(id=1, position=9),
        subscriptions={"vip": Subscription(key="vip", since_run=1, backfill=True, sent_through=7, ended_run=8)},
    )
    assert subscribe(ended, {"vip": True}, run=10).subscriptions == {
        "vip": Subscription(key="vip", since_run=10, backfill=True, sent_through=7)
    }


def test_an_audience_that_is_being_seeded_is_not_told_with_the_others() -> None:
    subscriptions = {"vip": Subscription(key="vip", since_run=1), "name": Subscription(key="name", since_run=1)}
    ledger = DestinationState(
        name="connect",
        id=1,
        cursor=DeliveryCursor(id=1, position=0),
        seeds={"vip": DeliveryCursor(id=2, position=0, seeding="vip")},
        subscriptions=subscriptions,
    )
    assert ledger.active() == [Subscription(key="name", since_run=1)]


def test_what_is_to_be_told_again_starts_where_it_was_first_told() -> None:
    subscriptions = {"vip": Subscription(key="vip", since_run=4), "name": Subscription(key="name", since_run=1)}
    ledger = resync(
        DestinationState(name="connect", id=1, cursor=DeliveryCursor(id=1, position=9), subscriptions=subscriptions),
        {"vip": 4},
        run=10,
    )
    assert ledger.subscriptions == {
        "vip": Subscription(key="vip", since_run=10, sent_through=4),
        "name": Subscription(key="name", since_run=1),
    }


def test_what_has_ended_is_not_told_again() -> None:
    ended = DestinationState(
        name="connect",
        id=1,
        cursor=DeliveryCursor(id=1, position=9),
        subscriptions={"vip": Subscription(key="vip", since_run=1, backfill=True, sent_through=7, ended_run=8)},
    )
    assert resync(ended, {"vip": 1}, run=10) == ended


@pytest.mark.parametrize(
    ("feed", "told"),
    [
        pytest.param(
            DeliveryCursor(id=1, position=3),
            Subscription(key="vip", since_run=10, sent_through=10),
            id="nothing was ever sent",
        ),
        pytest.param(
            DeliveryCursor(id=1, position=3, attempted_run=4),
            Subscription(key="vip", since_run=10, sent_through=4),
            id="a call may have been sent",
        ),
    ],
)
def test_what_was_never_told_is_a_change_of_the_resync(feed: DeliveryCursor, told: Subscription) -> None:
    """With message ids of its own: the store may be a restored backup, and the receiver knows the old ones."""
    ledger = DestinationState(
        name="connect", id=1, cursor=feed, subscriptions={"vip": Subscription(key="vip", since_run=4)}
    )
    assert resync(ledger, {"vip": 4}, run=10).subscriptions == {"vip": told}


@pytest.mark.parametrize(
    ("feed", "lowest"),
    [
        pytest.param(DeliveryCursor(id=1, position=3), 3, id="nothing under way"),
        pytest.param(
            DeliveryCursor(id=1, position=3, attempted_run=5, ranges=(Range("", "m", 5),)), 3, id="some are further"
        ),
    ],
)
def test_everyone_has_been_told_up_to_the_lowest_run(feed: DeliveryCursor, lowest: int) -> None:
    assert feed.low_watermark == lowest


# What the store keeps of it.


def test_a_destination_that_nobody_knows_has_been_told_nothing(house: House) -> None:
    with house.store.reading() as connection:
        assert read_destination_states(connection, ["segment"]) == {"segment": DestinationState(name="segment")}


def test_only_the_ledgers_that_are_asked_for_are_read(house: House) -> None:
    with house.store.reading() as connection:
        assert list(read_destination_states(connection, ["connect"])) == ["connect"]
        assert read_destination_states(connection, []) == {}


def test_a_ledger_is_read_back_as_it_was_saved(house: House) -> None:
    subscriptions = {
        "vip": Subscription(key="vip", since_run=2, backfill=False, sent_through=1, ended_run=3),
        "name": Subscription(key="name", since_run=4),
    }
    with house.lease.transaction() as connection:
        new = DestinationState(name="segment", subscriptions=subscriptions)
        saved = save_destination_state(connection, new, IDS, {"type": "segment", "created_at": NOW})
    with house.store.reading() as connection:
        assert read_destination_states(connection, ["segment"]) == {"segment": saved}


def test_saving_a_ledger_again_replaces_its_subscriptions(house: House) -> None:
    with house.lease.transaction() as connection:
        save_destination_state(connection, subscribe(house.ledger, {"name": True}, run=2), IDS, {})
    assert house.ledger.subscriptions == {
        "vip": Subscription(key="vip", since_run=1, sent_through=None, ended_run=2),
        "name": Subscription(key="name", since_run=2),
    }


def test_the_first_attempt_is_kept(house: House) -> None:
    with house.lease.transaction() as connection:
        begun = mark_in_flight(connection, house.feed, run=4)
        again = mark_in_flight(connection, begun, run=5)
    assert house.feed == begun == again == DeliveryCursor(id=1, position=0, attempted_run=4)


def test_users_keep_their_place_in_the_order_of_bytes_on_both_databases(house: House) -> None:
    """PostgreSQL's own order would put é before z, and a before Z."""
    ranges = (Range("", "Z", 1), Range("a", "z", 2), Range("é", "日本", 3), Range("日本", "😀", 4))
    with house.lease.transaction() as connection:
        save_ranges(connection, house.feed, ranges)
    assert house.feed.ranges == ranges


def test_when_everyone_has_been_told_only_the_position_is_left(house: House) -> None:
    with house.lease.transaction() as connection:
        feed = save_ranges(connection, mark_in_flight(connection, house.feed, run=4), [Range("", "m", 4)])
        assert advance_position(connection, feed, run=5) == DeliveryCursor(id=1, position=5)
    assert house.feed == DeliveryCursor(id=1, position=5)


def test_a_seed_has_a_feed_of_its_own(house: House) -> None:
    with house.lease.transaction() as connection:
        seed = save_cursor(connection, 1, DeliveryCursor(id=None, position=0, seeding="vip"), IDS["vip"])
        save_ranges(connection, seed, [Range("", "m", 1)])
    assert house.feed == DeliveryCursor(id=1, position=0)
    assert house.ledger.seeds == {
        "vip": DeliveryCursor(id=2, position=0, attempted_run=None, ranges=(Range("", "m", 1),), seeding="vip")
    }


def test_a_seed_that_is_complete_leaves_its_audience_to_the_main_feed(house: House) -> None:
    with house.lease.transaction() as connection:
        seed = save_cursor(connection, 1, DeliveryCursor(id=None, position=0, seeding="vip"), IDS["vip"])
        save_ranges(connection, seed, [Range("", "m", 1)])
        end_seeding(connection, seed, run=6)
    assert house.ledger == DestinationState(
        name="connect",
        id=1,
        cursor=DeliveryCursor(id=1, position=0),
        seeds={},
        subscriptions={"vip": Subscription(key="vip", since_run=6, backfill=False)},
    )

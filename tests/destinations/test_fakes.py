"""Each vendor's account becomes what the snapshots contain, also if the vendor fails in its own way.

A fake keeps the account, and the commands run as people run them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .fakes import FAKES
from .fakes.server import FakeServer
from .fakes.shop import Shop
from .fakes.state import StoredEvent

NewShop = Callable[..., Shop]
#: Those that name single users in an answer.
NAMING = ("amplitude", "braze", "customerio", "hubspot", "iterable", "onesignal")
MERGING = ("braze", "customerio", "iterable", "mixpanel", "posthog")
NOT_MERGING = ("amplitude", "hubspot", "onesignal")
WITH_EVENTS = ("amplitude", "braze", "customerio", "iterable", "mixpanel", "onesignal", "posthog")
#: The bytes of a request that a proxy allows: with some of four users, but not with all.
SMALL = {
    "amplitude": 650,
    "braze": 200,
    "customerio": 500,
    "hubspot": 500,
    "iterable": 250,
    "mixpanel": 400,
    "posthog": 800,
}
#: The members of a first run, and what is stored of them.
FIRST: dict[str, dict[str, Any]] = {
    "ann": {"vip": True, "plan": "gold", "revenue": 5},
    "bob": {"vip": True, "plan": "blue", "revenue": 0},
    "cyd": {"vip": True, "plan": "gold", "revenue": 1},
    "dan": {"vip": True, "revenue": 2.5},
}
REST = {"bob": FIRST["bob"], "cyd": FIRST["cyd"], "dan": FIRST["dan"]}


@pytest.fixture
def new_shop(tmp_path: Path, sqlite_schema: Path) -> Iterator[NewShop]:
    """``new_shop("braze")``: four VIPs, and nothing is sent yet."""
    with FakeServer(*FAKES) as server:

        def made(*vendors: str, bug: str | None = None) -> Shop:
            shop = Shop(tmp_path, server, vendors, bug)
            shutil.copy(sqlite_schema, shop.store)
            shop.write_members("vip.csv", "ann", "bob", "cyd", "dan")
            shop.customers("user_id,plan,revenue", "ann,gold,5", "bob,blue,0", "cyd,gold,1", "dan,,2.5")
            shop.aliases()
            shop.connect("plan", "revenue")
            return shop

        yield made


def first_run_and_changes(shop: Shop) -> None:
    """Four users enter; then one leaves, one loses a value, and one gets a value."""
    assert shop.calls("sync") == dict.fromkeys(shop.vendors, (4, 0, 0))
    assert shop.users() == dict.fromkeys(shop.vendors, FIRST)
    shop.write_members("vip.csv", "ann", "cyd", "dan")
    shop.customers("user_id,plan,revenue", "ann,,5", "bob,blue,0", "cyd,gold,1", "dan,silver,2.5")
    assert shop.calls("sync") == dict.fromkeys(shop.vendors, (3, 0, 0))
    changed = {
        "ann": {"vip": True, "plan": None, "revenue": 5},
        "bob": {"vip": False, "plan": "blue", "revenue": 0},
        "cyd": {"vip": True, "plan": "gold", "revenue": 1},
        "dan": {"vip": True, "plan": "silver", "revenue": 2.5},
    }
    assert shop.users() == dict.fromkeys(shop.vendors, changed)
    assert shop.calls("sync") == dict.fromkeys(shop.vendors, (0, 0, 0))


def refusal_by_item(shop: Shop) -> None:
    """One user is refused with a reason, the others are accepted, and a later retry is accepted."""
    shop.meet(blocked=frozenset({"ann"}))
    assert shop.calls("sync") == dict.fromkeys(shop.vendors, (3, 1, 0))
    assert shop.users() == dict.fromkeys(shop.vendors, REST)
    assert {vendor: set(shop.refusals(vendor)) for vendor in shop.vendors} == {key: {"ann"} for key in shop.vendors}
    shop.meet(blocked=frozenset())
    assert shop.calls("retry") == dict.fromkeys(shop.vendors, (1, 0, 0))
    assert shop.users() == dict.fromkeys(shop.vendors, FIRST)


def too_large_requests(shop: Shop) -> None:
    """A proxy allows fewer bytes than the vendor: each batch is divided, and every user arrives."""
    for vendor in shop.vendors:
        shop.server.change(vendor, most_bytes=SMALL[vendor])
    assert shop.calls("sync") == dict.fromkeys(shop.vendors, (4, 0, 0))
    assert {vendor for vendor, status in shop.server.answers if status == 413} == set(shop.vendors)
    assert shop.users() == dict.fromkeys(shop.vendors, FIRST)


def test_every_account_becomes_what_the_snapshots_contain(new_shop: NewShop) -> None:
    first_run_and_changes(new_shop(*FAKES))


def test_a_user_that_the_vendor_names_is_refused_alone(new_shop: NewShop) -> None:
    refusal_by_item(new_shop(*NAMING))


def test_a_request_that_is_too_large_is_divided_and_no_user_is_lost(new_shop: NewShop) -> None:
    too_large_requests(new_shop(*SMALL))


def test_a_user_who_enters_or_leaves_after_the_first_run_is_an_event(new_shop: NewShop) -> None:
    shop = new_shop(*WITH_EVENTS)
    assert shop.sync().code == 0
    shop.write_members("vip.csv", "ann", "cyd", "dan", "eve")
    assert shop.sync().code == 0
    events = [
        StoredEvent("bob", "Audience Exited", "vip", False),
        StoredEvent("eve", "Audience Entered", "vip", True),
    ]
    assert shop.events() == dict.fromkeys(WITH_EVENTS, events)


def test_the_event_of_a_refused_user_comes_with_the_retry(new_shop: NewShop) -> None:
    vendors = ("amplitude", "braze", "customerio", "iterable", "onesignal")
    shop = new_shop(*vendors)
    assert shop.sync().code == 0
    shop.write_members("vip.csv", "ann", "cyd", "eve")
    shop.meet(blocked=frozenset({"bob"}))
    assert shop.calls("sync") == dict.fromkeys(vendors, (2, 1, 0))
    exits = [StoredEvent("dan", "Audience Exited", "vip", False), StoredEvent("eve", "Audience Entered", "vip", True)]
    assert shop.events() == dict.fromkeys(vendors, exits)
    shop.meet(blocked=frozenset())
    assert shop.calls("retry") == dict.fromkeys(vendors, (1, 0, 0))
    exits = [StoredEvent("bob", "Audience Exited", "vip", False), *exits]
    assert shop.events() == dict.fromkeys(vendors, exits)


def test_events_of_hubspot_are_of_contacts_with_an_address(new_shop: NewShop) -> None:
    shop = new_shop("hubspot")
    shop.write_members("vip.csv", "ann@example.com", "bob@example.com")
    names = {"entered": "pe1_audience_entered", "exited": "pe1_audience_left"}
    shop.connect(id_property="email", user_id="user_id", events=names)
    assert shop.sync().code == 0
    shop.write_members("vip.csv", "ann@example.com", "eve@example.com")
    assert shop.sync().code == 0
    assert shop.events()["hubspot"] == [
        StoredEvent("bob@example.com", "pe1_audience_left", "vip", False),
        StoredEvent("eve@example.com", "pe1_audience_entered", "vip", True),
    ]
    assert shop.users()["hubspot"] == {
        "ann@example.com": {"vip": True},
        "bob@example.com": {"vip": False},
        "eve@example.com": {"vip": True},
    }


# Previous ids


def with_another_id_of_ann(shop: Shop) -> None:
    assert shop.sync().code == 0
    shop.aliases("ann,ann-2")
    shop.write_members("vip.csv", "ann-2", "bob", "cyd", "dan")
    shop.customers("user_id,plan,revenue", "ann-2,gold,6", "bob,blue,0", "cyd,gold,1", "dan,,2.5")
    assert shop.sync().code == 0


def test_a_previous_id_is_merged_and_its_values_are_kept(new_shop: NewShop) -> None:
    shop = new_shop(*MERGING)
    with_another_id_of_ann(shop)
    assert {vendor: shop.state(vendor).merged for vendor in MERGING} == {key: {"ann": "ann-2"} for key in MERGING}
    merged = {"ann-2": {"vip": True, "plan": "gold", "revenue": 6}, **REST}
    assert shop.users() == dict.fromkeys(MERGING, merged)


def test_without_merges_a_previous_id_leaves_and_the_new_one_gets_every_value(new_shop: NewShop) -> None:
    shop = new_shop(*NOT_MERGING)
    with_another_id_of_ann(shop)
    both = {
        "ann": {"vip": False, "plan": None, "revenue": None},
        "ann-2": {"vip": True, "plan": "gold", "revenue": 6},
        **REST,
    }
    assert shop.users() == dict.fromkeys(NOT_MERGING, both)


def test_a_value_that_is_lost_when_ids_are_merged_does_not_come_back(new_shop: NewShop) -> None:
    shop = new_shop(*MERGING)
    assert shop.sync().code == 0
    shop.aliases("ann,ann-2")
    shop.write_members("vip.csv", "bob", "cyd", "dan")
    shop.customers("user_id,plan,revenue", "ann-2,,6", "bob,blue,0", "cyd,gold,1", "dan,,2.5")
    assert shop.sync().code == 0
    lost = {"ann-2": {"vip": False, "plan": None, "revenue": 6}, **REST}
    assert shop.users() == dict.fromkeys(MERGING, lost)


def test_the_merge_of_an_id_that_the_vendor_never_had_is_no_refusal(new_shop: NewShop) -> None:
    shop = new_shop(*MERGING)
    shop.aliases("nan,ann")
    assert shop.calls("sync") == dict.fromkeys(MERGING, (4, 0, 0))
    assert shop.users() == dict.fromkeys(MERGING, FIRST)


# Mappings


def test_an_exit_reaches_every_vendor_that_knows_users_by_their_address(new_shop: NewShop) -> None:
    shop = new_shop(*FAKES)
    shop.customers("user_id,email,plan", "ann,ann@example.com,gold", "bob,bob@example.com,blue", "cyd,,gold")
    shop.connect("email", "plan", user_id="email", traits=["plan"], rename={"plan": "tier"})
    shop.write_members("vip.csv", "ann", "bob", "cyd")
    assert shop.calls("sync") == dict.fromkeys(FAKES, (2, 1, 0))
    shop.write_members("vip.csv", "ann", "cyd")
    assert shop.calls("sync") == dict.fromkeys(FAKES, (1, 0, 0))
    stored = {
        "ann@example.com": {"vip": True, "tier": "gold"},
        "bob@example.com": {"vip": False, "tier": "blue"},
    }
    assert shop.users() == dict.fromkeys(FAKES, stored)


# Keys, limits and quotas


def test_a_wrong_key_stops_with_its_reason_and_loses_nothing(new_shop: NewShop) -> None:
    vendors = [vendor for vendor in FAKES if vendor != "mixpanel"]
    shop = new_shop(*vendors)
    shop.meet(key="another-key")
    stopped = shop.sync()
    assert stopped.code == 3
    for vendor in vendors:
        assert "is not accepted" in stopped.destination(vendor)["error"]
        assert (stopped.destination(vendor)["refused"], stopped.destination(vendor)["pending"]) == (0, 4)
        shop.server.change(vendor, key=FAKES[vendor].key)
    assert shop.users() == {key: {} for key in vendors}
    assert shop.calls("sync") == dict.fromkeys(vendors, (4, 0, 0))
    assert shop.users() == dict.fromkeys(vendors, FIRST)


def test_a_malformed_token_of_mixpanel_is_refused_though_its_status_is_200(new_shop: NewShop) -> None:
    shop = new_shop("mixpanel")
    shop.connect("plan", "revenue", token="not-a-token")
    assert shop.sync().code != 0
    assert shop.users()["mixpanel"] == {}
    shop.connect("plan", "revenue")
    assert shop.run("retry", "--json").code == 0
    assert shop.sync().code == 0
    assert shop.users()["mixpanel"] == FIRST


def test_a_rate_limit_is_waited_for_or_left_to_the_next_run(new_shop: NewShop) -> None:
    shop = new_shop(*FAKES)
    shop.connect("plan", "revenue", give_up_after="2s", batch_size=2)
    shop.meet(limited=1)
    limited = shop.calls("sync")
    assert {vendor: sum(found) for vendor, found in limited.items()} == dict.fromkeys(FAKES, 4)
    assert {vendor: found[1] for vendor, found in limited.items()} == dict.fromkeys(FAKES, 0)
    assert {vendor for vendor, status in shop.server.answers if status == 429} == set(FAKES)
    assert shop.sync().code == 0
    assert shop.users() == dict.fromkeys(FAKES, FIRST)


def test_the_daily_quota_of_hubspot_leaves_the_rest_pending(new_shop: NewShop) -> None:
    shop = new_shop("hubspot")
    shop.connect("plan", "revenue", batch_size=1, concurrency=1)
    shop.meet(quota=6)  # a list of the properties, three properties, two contacts
    assert "the account's daily quota is used up until midnight" in shop.error("hubspot")
    assert shop.users()["hubspot"] == {"ann": FIRST["ann"], "bob": FIRST["bob"]}
    shop.meet(quota=None)
    assert shop.calls("sync") == {"hubspot": (2, 0, 0)}
    assert shop.users()["hubspot"] == FIRST


def test_the_daily_quota_of_one_user_at_amplitude_holds_no_other_up(new_shop: NewShop) -> None:
    shop = new_shop("amplitude")
    shop.meet(quota=0, blocked=frozenset({"ann"}))
    assert shop.calls("sync") == {"amplitude": (3, 1, 0)}
    assert shop.users()["amplitude"] == REST
    assert "the daily quota of this user is used up" in shop.refusals("amplitude")["ann"]


# Successes that stored nothing, and values that a vendor drops


def test_a_field_that_iterable_does_not_store_is_refused_by_name(new_shop: NewShop) -> None:
    shop = new_shop("iterable")
    shop.meet(creates_fields=False, types={"vip": "boolean", "revenue": "number"})
    assert shop.calls("sync") == {"iterable": (1, 3, 0)}
    assert shop.users()["iterable"]["ann"] == {"vip": True, "revenue": 5}
    assert set(shop.refusals("iterable")) == {"ann", "bob", "cyd"}
    assert "Iterable has no such field and creates none" in shop.refusals("iterable")["ann"]
    shop.meet(types={"vip": "boolean", "revenue": "number", "plan": "string"})
    assert shop.calls("retry") == {"iterable": (3, 0, 0)}
    assert shop.users()["iterable"] == FIRST


def test_a_value_of_another_type_than_iterables_field_is_refused_for_its_users(new_shop: NewShop) -> None:
    shop = new_shop("iterable")
    shop.meet(types={"plan": "number"})
    assert shop.calls("sync") == {"iterable": (1, 3, 0)}
    assert shop.users()["iterable"] == {"dan": FIRST["dan"]}
    assert "a property has another type than Iterable's field" in shop.refusals("iterable")["ann"]


def test_an_id_that_iterable_can_not_have_is_refused_alone(new_shop: NewShop) -> None:
    shop = new_shop("iterable")
    shop.connect()
    shop.write_members("vip.csv", "ann", "x" * 53, "zoë")
    assert shop.calls("sync") == {"iterable": (1, 2, 0)}
    assert shop.users()["iterable"] == {"ann": {"vip": True}}
    assert set(shop.refusals("iterable")) == {"x" * 53, "zoë"}


def test_a_success_of_hubspot_that_wrote_nothing_is_sent_again(new_shop: NewShop) -> None:
    shop = new_shop("hubspot")
    shop.meet(silent=1)
    assert shop.calls("sync") == {"hubspot": (4, 0, 0)}
    assert shop.users()["hubspot"] == FIRST


def test_a_contact_that_hubspot_never_writes_is_refused_with_that_reason(new_shop: NewShop) -> None:
    shop = new_shop("hubspot")
    shop.connect("plan", "revenue", batch_size=1)
    shop.meet(silent=4)
    assert shop.calls("sync") == {"hubspot": (0, 4, 0)}
    assert "HubSpot answered with a success and wrote nothing" in shop.refusals("hubspot")["ann"]
    assert shop.calls("retry") == {"hubspot": (4, 0, 0)}
    assert shop.users()["hubspot"] == FIRST


def test_properties_that_can_not_be_created_stop_hubspot_before_the_first_contact(new_shop: NewShop) -> None:
    shop = new_shop("hubspot")
    shop.meet(creates_fields=False)
    assert "can't be created" in shop.error("hubspot")
    assert shop.users()["hubspot"] == {}


def test_ids_under_five_characters_arrive_at_amplitude(new_shop: NewShop) -> None:
    shop = new_shop("amplitude")
    shop.connect()
    shop.write_members("vip.csv", "a", "b1", "null", "long-enough")
    assert shop.calls("sync") == {"amplitude": (3, 1, 0)}
    assert shop.users()["amplitude"] == {"a": {"vip": True}, "b1": {"vip": True}, "long-enough": {"vip": True}}
    assert "the user id 'null' means no user at Amplitude" in shop.refusals("amplitude")["null"]


def test_a_value_over_the_vendors_limit_is_refused_and_the_other_values_arrive(new_shop: NewShop) -> None:
    reasons = {
        "amplitude": "'note' has 2,000 characters and Amplitude takes 1,024 of a text",
        "braze": "'note' has 2,000 characters and Braze takes 255 of a text",
        "customerio": "'note' has 2,000 bytes and Customer.io takes 1,000 of a value",
        "mixpanel": "'note' has 2,000 bytes and Mixpanel takes 255 of a value",
    }
    shop = new_shop(*FAKES)
    shop.connect("note", "plan")
    shop.write_members("vip.csv", "ann", "bob")
    shop.customers("user_id,note,plan", f"ann,{'n' * 2_000},gold", "bob,short,blue")
    assert shop.sync().code == 1
    for vendor, users in shop.users().items():
        note = {} if vendor in reasons else {"note": "n" * 2_000}
        assert users["ann"] == {"vip": True, "plan": "gold", **note}
        assert users["bob"] == {"vip": True, "plan": "blue", "note": "short"}
        assert reasons.get(vendor, "") in shop.refusals(vendor).get("ann", "")


@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        ("braze", "external_id"),
        ("customerio", "cio_id"),
        ("mixpanel", "bucket"),
        ("iterable", "devices"),
        ("hubspot", "hs_object_id"),
    ],
)
def test_a_trait_with_a_name_of_the_vendor_is_refused_and_the_others_arrive(
    new_shop: NewShop, vendor: str, name: str
) -> None:
    shop = new_shop(vendor)
    shop.connect(name, "plan")
    shop.write_members("vip.csv", "ann", "bob")
    shop.customers(f"user_id,{name},plan", "ann,x,gold", "bob,,blue")
    assert shop.sync().code == 1
    assert shop.users()[vendor] == {"ann": {"vip": True, "plan": "gold"}, "bob": {"vip": True, "plan": "blue"}}
    assert f"'{name}' has a name that" in shop.refusals(vendor)["ann"]


# The fakes find faults


@pytest.mark.parametrize(
    ("bug", "vendor", "play"),
    [
        ("refusals_by_item_are_ignored", "braze", refusal_by_item),
        ("refusals_by_item_are_ignored", "customerio", refusal_by_item),
        ("half_of_a_divided_batch_is_dropped", "customerio", too_large_requests),
        ("a_text_stays_a_boolean", "hubspot", first_run_and_changes),
        ("a_text_stays_a_boolean", "onesignal", first_run_and_changes),
    ],
)
def test_the_fakes_find_a_planted_bug(new_shop: NewShop, bug: str, vendor: str, play: Callable[[Shop], None]) -> None:
    with pytest.raises(AssertionError):
        play(new_shop(vendor, bug=bug))

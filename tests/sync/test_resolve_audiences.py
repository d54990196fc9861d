"""Each audience of the config is matched with one of the store. A stored key never changes."""

from __future__ import annotations

from typing import Any

import pytest

from audience_sync.config.models import AudienceConfig
from audience_sync.errors import ConfigError
from audience_sync.model import PropertyId, PropertyKind, RunId
from audience_sync.store.audiences.properties import Property
from audience_sync.sync.load.resolve_audiences import resolve_audiences, source_hash


def config(name: str | None = None, *, file: str = "buyers.csv", **options: Any) -> AudienceConfig:
    return AudienceConfig(name=name, source="shop", file=file, **options)


def stored(key: str, name: str, **options: Any) -> Property:
    loaded_from = source_hash(config(name, file=options.pop("file", f"{key}.csv")))
    values: dict[str, Any] = {"kind": PropertyKind.AUDIENCE, "origin": None, "retired": False} | options
    return Property(
        id=PropertyId(1), key=key, name=name, definition=loaded_from, chain_id=1, created_run=RunId(1), **values
    )


def known(*properties: Property) -> dict[str, Property]:
    return {each.key: each for each in properties}


def keys(audiences: list[AudienceConfig], *properties: Property) -> list[str]:
    return [target.key for target in resolve_audiences(audiences, known(*properties))]


def refused(audiences: list[AudienceConfig], *properties: Property) -> list[str]:
    with pytest.raises(ConfigError) as error:
        resolve_audiences(audiences, known(*properties))
    return [str(problem) for problem in error.value.problems]


BUYERS = stored("order_completed", "Order Completed", file="buyers.csv")


@pytest.mark.parametrize(
    ("audience", "key"),
    [
        pytest.param(config("Order Completed Last 30days"), "order_completed_last_30days", id="from the name"),
        pytest.param(config("Order Completed", key="buyers"), "buyers", id="an explicit one wins"),
        pytest.param(config("購入者", key="buyers"), "buyers", id="an explicit one for a name without a key"),
    ],
)
def test_a_new_audience_gets_its_key(audience: AudienceConfig, key: str) -> None:
    assert keys([audience]) == [key]
    assert resolve_audiences([audience], {})[0].stored is None


def test_a_stored_audience_is_found_by_its_name() -> None:
    [target] = resolve_audiences([config("Order Completed", file="other.csv")], known(BUYERS))
    assert (target.key, target.stored) == ("order_completed", BUYERS)


def test_a_stored_key_is_never_derived_again() -> None:
    """An older rule, or an explicit key that has since been taken out of the config."""
    assert keys([config("Order Completed")], stored("ordercompleted", "Order Completed")) == ["ordercompleted"]


def test_a_renamed_audience_keeps_its_key() -> None:
    [target] = resolve_audiences([config("Recent Buyers")], known(BUYERS))
    assert (target.key, target.name, target.stored) == ("order_completed", "Recent Buyers", BUYERS)


def test_another_query_with_other_spaces_is_the_same_audience() -> None:
    loaded_from = source_hash(AudienceConfig(name="x", source="shop", query="select  user_id\nfrom buyers"))
    assert source_hash(AudienceConfig(name="y", source="shop", query="select user_id from buyers")) == loaded_from


@pytest.mark.parametrize(
    "audience",
    [
        pytest.param(config("Recent Buyers", file="other.csv"), id="another file"),
        pytest.param(config("Recent Buyers", user_id="customer_id"), id="another column"),
    ],
)
def test_a_new_name_and_another_place_is_another_audience(audience: AudienceConfig) -> None:
    assert keys([audience], BUYERS) == ["recent_buyers"]


def test_a_second_audience_from_the_same_place_is_new() -> None:
    assert keys([config("Order Completed"), config("Recent Buyers")], BUYERS) == ["order_completed", "recent_buyers"]
    assert keys([config("Recent Buyers"), config("Order Completed")], BUYERS) == ["recent_buyers", "order_completed"]


def test_of_two_renamed_audiences_from_one_place_only_the_first_keeps_the_key() -> None:
    assert keys([config("Recent Buyers"), config("Old Buyers")], BUYERS) == ["order_completed", "old_buyers"]


def test_an_explicit_key_is_another_audience_even_from_the_same_place() -> None:
    audiences = [config("Recent Buyers", key="recent"), config("Order Completed")]
    assert keys(audiences, BUYERS) == ["recent", "order_completed"]


def test_a_new_key_for_an_audience_that_the_config_has_no_more_is_refused() -> None:
    assert refused([config("Recent Buyers", key="recent")], BUYERS) == [
        "audiences[0]: audience 'order_completed' was removed from config.yaml, and 'recent' reads the same source. "
        "Nothing was changed or sent.\n"
        "    To rename the key order_completed to recent:         "
        "audience-sync sync --move-key order_completed=recent\n"
        "    To set order_completed to false, then start recent:  audience-sync retire order_completed\n"
        "    To keep the key order_completed:                     add `key: order_completed` to the audience"
    ]


def test_an_explicit_key_finds_the_stored_audience_under_any_name() -> None:
    [target] = resolve_audiences([config("Recent Buyers", key="order_completed", file="other.csv")], known(BUYERS))
    assert (target.key, target.stored) == ("order_completed", BUYERS)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(stored("gone", "Gone", file="buyers.csv", retired=True), id="a retired audience"),
        pytest.param(stored("gone", "Gone", file="buyers.csv", origin="shop:audience"), id="one of names_from"),
        pytest.param(stored("gone", "Gone", file="buyers.csv", kind=PropertyKind.COMPUTED_TRAIT), id="a trait"),
    ],
)
def test_only_a_living_audience_of_its_own_can_have_been_renamed(other: Property) -> None:
    assert keys([config("Recent Buyers")], other) == ["recent_buyers"]


TRAIT = "audiences[0]: the key 'order_completed' is a computed trait's. Give the audience another `key:`"


@pytest.mark.parametrize("audience", [config("Order Completed"), config("Buyers", key="order_completed")])
def test_the_key_of_a_trait_is_refused(audience: AudienceConfig) -> None:
    assert refused([audience], stored("order_completed", "Orders", kind=PropertyKind.COMPUTED_TRAIT)) == [TRAIT]


@pytest.mark.parametrize("audience", [config("Order Completed"), config("Buyers", key="order_completed")])
@pytest.mark.parametrize("kind", list(PropertyKind))
def test_an_entry_whose_key_is_retired_is_left_out(audience: AudienceConfig, kind: PropertyKind) -> None:
    retired = stored("order_completed", "Order Completed", retired=True, kind=kind)
    assert keys([audience, config("Big Spenders")], retired) == ["big_spenders"]


def test_two_audiences_with_one_key_are_refused() -> None:
    audiences = [config("Order Completed"), config("Big Spenders"), config("order completed", file="b.csv")]
    assert refused(audiences) == [
        "audiences[2]: 'order completed' and 'Order Completed' both have the key 'order_completed'; give one a `key:`"
    ]


def test_all_refused_keys_are_named_at_once() -> None:
    audiences = [config("Order Completed"), config("Vip"), config("VIP")]
    problems = refused(audiences, stored("order_completed", "Orders", kind=PropertyKind.COMPUTED_TRAIT))
    assert problems == [
        TRAIT,
        "audiences[2]: 'VIP' and 'Vip' both have the key 'vip'; give one a `key:`",
    ]


def test_an_entry_of_names_from_has_no_key_of_its_own() -> None:
    assert keys([AudienceConfig(source="shop", file="members.csv", names_from="audience")]) == []

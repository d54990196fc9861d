"""In the personas envelope Segment gets a message for each property."""

from __future__ import annotations

import json
from typing import Any

from audience_sync.destinations.base import Audiencing

from .examples import ABOUT, a_call, segment


def sent(traits: dict[str, Any], about: Audiencing = ABOUT) -> list[dict[str, Any]]:
    messages = segment(about, envelope="personas").encode(a_call(traits=traits))
    return [json.loads(message.body) for message in messages]


def test_each_property_is_a_message_of_its_own() -> None:
    entered, left, revenue = sent({"vip": True, "big_spenders": False, "total_revenue": 129.95})
    assert entered["traits"] == {"vip": True}
    assert left["traits"] == {"big_spenders": False}
    assert revenue["traits"] == {"total_revenue": 129.95}


def test_an_audience_says_so() -> None:
    (entered,) = sent({"vip": True})
    assert entered["context"]["personas"] == {
        "computation_class": "audience",
        "computation_id": "aud_kMmTjmpZbgQAT1sf5JZ2msNgAdb",
        "computation_key": "vip",
        "namespace": "spa_LIZQ6BNwIRJsZPfYN4voPc",
        "space_id": "spa_LIZQ6BNwIRJsZPfYN4voPc",
    }


def test_a_computed_trait_says_so() -> None:
    (revenue,) = sent({"total_revenue": None})
    personas = revenue["context"]["personas"]
    assert (personas["computation_class"], personas["computation_id"][:4]) == ("trait", "tra_")
    assert personas["computation_key"] == "total_revenue"


def test_a_boolean_trait_is_no_audience() -> None:
    (message,) = sent({"newsletter": True}, Audiencing("i", frozenset(), frozenset({"newsletter"})))
    assert message["context"]["personas"]["computation_class"] == "trait"


def test_an_audience_that_left_the_config_is_still_one() -> None:
    (message,) = sent({"newsletter": False}, Audiencing("i"))
    assert message["context"]["personas"]["computation_class"] == "audience"


def test_what_is_an_audience_now_is_no_trait_although_it_was_one() -> None:
    (message,) = sent({"vip": True}, Audiencing("i", frozenset({"vip"}), frozenset({"vip"})))
    assert message["context"]["personas"]["computation_class"] == "audience"


def test_long_ids_that_differ_at_their_end_stay_different() -> None:
    (one,) = segment(envelope="personas").encode(a_call(message_id="x" * 99 + "1"))
    (two,) = segment(envelope="personas").encode(a_call(message_id="x" * 99 + "2"))
    assert one.message_id != two.message_id


def test_ids_differ_between_keys_and_between_installations() -> None:
    here = sent({"vip": True, "big_spenders": True}, ABOUT)
    there = sent({"vip": True, "big_spenders": True}, Audiencing("another", ABOUT.audience_keys))
    ids = {message["context"]["personas"]["computation_id"] for message in here + there}
    assert len(ids) == 4


def test_message_ids_are_stable_distinct_and_made_from_the_calls_own() -> None:
    destination = segment(envelope="personas")
    ids = [message.message_id for message in destination.encode(a_call(traits={"vip": True, "x": 1}))]
    again = [message.message_id for message in destination.encode(a_call(traits={"x": 2, "vip": True}))]
    other = [message.message_id for message in destination.encode(a_call(traits={"vip": True}, message_id="a1b2c4"))]
    assert ids == again[::-1]
    assert len({*ids, *other}) == 3
    assert [json.loads(m.body)["messageId"] for m in destination.encode(a_call(traits={"vip": True}))] == ids[:1]

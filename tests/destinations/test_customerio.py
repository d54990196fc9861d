"""What Customer.io takes, refuses and answers, besides its recorded cases; see docs/destinations/customerio.md."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from audience_sync.destinations.base import Meaning
from audience_sync.errors import UnsendableError
from audience_sync.model import Alias, AudienceEvent, UserId

from .test_vendors import judged
from .vendors import TIMESTAMP, call, refused_properties, vendor


def alias(previous: str) -> Alias:
    return Alias(UserId(previous), "a-1", TIMESTAMP)


@pytest.mark.parametrize(
    ("name", "size"), [("n" * 151, "151"), ("é" * 76, "152"), ("名" * 51, "153")], ids=["ascii", "accents", "Chinese"]
)
def test_a_name_over_150_bytes_is_refused_alone(name: str, size: str) -> None:
    assert refused_properties(vendor("customerio"), **{name: 1, "vip": True}) == {
        name: f"'{name}' has a name of {size} bytes and Customer.io takes 150"
    }


@pytest.mark.parametrize("name", ["n" * 150, "é" * 75, "名" * 50], ids=["ascii", "accents", "Chinese"])
def test_a_name_of_150_bytes_is_sent(name: str) -> None:
    [message] = vendor("customerio").encode(call(**cast(Any, {name: 1})))
    assert json.loads(message.body)["attributes"] == {name: 1}


@pytest.mark.parametrize(
    ("options", "identifiers"),
    [
        ({}, {"id": "C-00001"}),
        ({"id": "cio_id"}, {"cio_id": "C-00001"}),
        ({"user_id": "email"}, {"email": "C-00001"}),
        ({"user_id": "phone"}, {"phone": "C-00001"}),
        ({"user_id": "crm_id"}, {"id": "C-00001"}),
        ({"user_id": "email", "id": "id"}, {"id": "C-00001"}),
    ],
)
def test_a_person_is_known_by_one_identifier(options: dict[str, Any], identifiers: dict[str, str]) -> None:
    [message] = vendor("customerio", **options).encode(call())
    assert json.loads(message.body)["identifiers"] == identifiers


def test_people_known_by_phone_are_not_merged_and_check_says_so() -> None:
    assert vendor("customerio").has_alias
    assert vendor("customerio", id="email").has_alias
    assert not vendor("customerio", id="phone").has_alias
    assert vendor("customerio", id="phone").remarks == (
        "Customer.io merges no people by phone: previous ids are not sent",
    )


@pytest.mark.parametrize(
    ("previous", "reason"),
    [
        ("x" * 151, "has 151 bytes and Customer.io takes 150"),
        ("é" * 100, "has 200 bytes and Customer.io takes 150"),
        ("", "is empty"),
    ],
    ids=["too long", "too many bytes", "empty"],
)
def test_a_previous_id_that_can_not_be_there_is_refused_without_the_rest(previous: str, reason: str) -> None:
    with pytest.raises(UnsendableError) as caught:
        vendor("customerio").encode_alias("new", alias(previous))
    assert caught.value.properties == {"$alias": f"the previous id '{previous}' can't be merged: the user id {reason}"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_names_the_region(status: int) -> None:
    judgement = judged(vendor("customerio"), status, "")
    assert judgement.meaning is Meaning.STOP
    assert judgement.reason.startswith(
        f"HTTP {status}: the account is in the other region: correct `destinations.NAME.region`"
    )


def test_two_errors_of_one_person_are_one_reason_and_those_of_strangers_none() -> None:
    body = {
        "errors": [
            {"batch_index": 1, "reason": "invalid", "field": "attributes", "message": "too long"},
            {"batch_index": 1, "reason": "required", "field": "identifiers"},
            {"batch_index": 9, "reason": "invalid"},
            {"batch_index": True, "reason": "invalid"},
            {"reason": "invalid"},
        ]
    }
    judgement = judged(vendor("customerio"), 207, body, "ann", "bob", "cy")
    assert judgement.meaning is Meaning.DELIVERED
    assert judgement.refused == {1: "HTTP 207: invalid: attributes: too long; required: identifiers"}


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, {}, Meaning.DELIVERED),
        (400, {"meta": {"error": "name cannot be blank"}}, Meaning.REFUSED),
        (401, {"meta": {"error": "Unauthorized"}}, Meaning.STOP),
        (413, {}, Meaning.REFUSED),
        (429, {}, Meaning.SLOW_DOWN),
        (503, {}, Meaning.RETRY),
    ],
)
def test_a_status_has_a_meaning(status: int, body: Any, meaning: Meaning) -> None:
    judgement = judged(vendor("customerio"), status, body)
    assert (judgement.meaning, judgement.retry_after) == (meaning, None)


@pytest.mark.parametrize(
    "events", [{"entered": "e" * 101}, {"exited": "é" * 51}, {"entered": "ok", "exited": "e" * 120}]
)
def test_an_event_name_over_100_bytes_is_an_error_of_the_config(events: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="bytes, and the service takes 100: shorten it in `events`"):
        vendor("customerio", events=events)


def test_identifiers_travel_with_an_event() -> None:
    event = AudienceEvent("vip", False, "m-1", TIMESTAMP, '{"email":"ann@example.com","phone":"+4930123"}')
    assert json.loads(vendor("customerio").encode_event("ann", event).body)["attributes"] == {
        "audience_key": "vip",
        "vip": False,
        "email": "ann@example.com",
        "phone": "+4930123",
    }


def test_update_only_counts_as_an_attribute_and_a_large_call_is_split() -> None:
    traits: Any = {f"trait_{number}": number for number in range(299)}
    [message] = vendor("customerio", update_only=True).encode(call(**traits))
    assert len(json.loads(message.body)["attributes"]) == 300
    parts = vendor("customerio", update_only=True).encode(call(**traits, one_more=1))
    assert [json.loads(part.body)["attributes"]["_update"] for part in parts] == [True, True]
    assert [len(json.loads(part.body)["attributes"]) for part in parts] == [300, 2]


@pytest.mark.parametrize(
    ("properties", "sizes"),
    [(298, [299]), (299, [299, 2]), (596, [299, 299]), (597, [299, 299, 2])],
)
def test_each_part_of_a_large_call_has_the_identifiers(properties: int, sizes: list[int]) -> None:
    traits: Any = {f"trait_{number}": number for number in range(properties)}
    large = call(email="ada@example.com", **traits)._replace(identifiers='{"email":"ada@example.com"}')
    parts = vendor("customerio").encode(large)
    written = [json.loads(part.body)["attributes"] for part in parts]
    assert [len(each) for each in written] == sizes
    assert [each["email"] for each in written] == ["ada@example.com"] * len(sizes)
    assert {key: value for each in written for key, value in each.items()} == {**traits, "email": "ada@example.com"}
    assert len({part.message_id for part in parts}) == len(sizes)


def test_each_part_of_a_call_with_too_many_bytes_has_the_identifiers_and_is_within_the_limit() -> None:
    traits: Any = {f"trait_{number}": "x" * 999 for number in range(60)}
    large = call(email="ada@example.com", **traits)._replace(identifiers='{"email":"ada@example.com"}')
    parts = vendor("customerio").encode(large)
    assert [json.loads(part.body)["attributes"]["email"] for part in parts] == ["ada@example.com"] * 2
    assert max(len(part.body) for part in parts) <= 32_000

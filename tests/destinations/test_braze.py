"""What Braze takes, refuses and answers, besides its recorded cases; see docs/destinations/braze.md."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from audience_sync.destinations.base import Answer, Meaning, Message
from audience_sync.model import Alias, AudienceEvent, UserId

from .test_vendors import judged
from .vendors import TIMESTAMP, call, refused_properties, users, vendor

ENTERED = AudienceEvent("vip", True, "e-1", TIMESTAMP)


@pytest.mark.parametrize(
    ("options", "identifier"),
    [
        ({}, {"external_id": "ann@example.com"}),
        ({"user_id": "email"}, {"email": "ann@example.com"}),
        ({"id": "phone"}, {"phone": "ann@example.com"}),
        ({"user_id": "crm_id"}, {"external_id": "ann@example.com"}),
    ],
)
def test_users_and_events_have_the_same_identifier(options: dict[str, Any], identifier: dict[str, str]) -> None:
    braze = vendor("braze", **options)
    [message] = braze.encode(call("ann@example.com"))
    event = json.loads(braze.encode_event("ann@example.com", ENTERED).body)
    assert json.loads(message.body) == {**identifier, "vip": True}
    assert event == {
        **identifier,
        "name": "Audience Entered",
        "time": TIMESTAMP,
        "properties": {"audience_key": "vip", "vip": True},
    }


@pytest.mark.parametrize("field", ["email", "phone"])
def test_the_trait_by_which_users_are_known_is_in_an_object_once(field: str) -> None:
    [message] = vendor("braze", user_id=field).encode(call("the id", **cast(Any, {field: "the id", "vip": True})))
    assert message.body == b'{"%s":"the id","vip":true}' % field.encode()


@pytest.mark.parametrize("identifier", ["email", "phone"])
def test_users_known_by_an_address_are_not_merged_and_check_says_so(identifier: str) -> None:
    assert vendor("braze").has_alias
    assert vendor("braze", id="alias", alias_label="crm").has_alias
    assert not vendor("braze", id=identifier).has_alias
    assert vendor("braze", id=identifier).remarks[1].startswith("previous ids are sent only with `id: external_id`")


def test_users_known_by_alias_are_merged_by_alias() -> None:
    merge = vendor("braze", id="alias", alias_label="crm").encode_alias("new", Alias(UserId("old"), "a", TIMESTAMP))
    assert json.loads(merge.body) == {
        "identifier_to_merge": {"user_alias": {"alias_name": "old", "alias_label": "crm"}},
        "identifier_to_keep": {"user_alias": {"alias_name": "new", "alias_label": "crm"}},
    }


@pytest.mark.parametrize("name", ["$add", "$ref", "$"])
def test_a_name_that_begins_with_a_dollar_is_refused_alone(name: str) -> None:
    assert refused_properties(vendor("braze"), **{name: 1, "vip": True}) == {
        name: f"'{name}' has a name that Braze uses itself: rename the property"
    }


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (
            ["a"] * 501,
            "'x' has 501 items and Braze takes 500 of a list: shorten the value at its source",
        ),
        (
            ["a", "b" * 256],
            "'x' has a text of 256 characters and Braze takes 255 of a text: shorten the value at its source",
        ),
        ([{"a": 1}, {"b": None}], "'x' has an object with null, which Braze drops whole"),
        ({"a": [{"b": {"c": None}}]}, "'x' has an object with null, which Braze drops whole"),
        ({"$update": []}, "'x' is an object that Braze would read as an operation on the stored value"),
    ],
)
def test_a_list_or_an_object_that_braze_would_cut_or_drop_is_refused_alone(value: Any, reason: str) -> None:
    assert refused_properties(vendor("braze"), x=value, vip=True) == {"x": reason}


@pytest.mark.parametrize("value", [["a"] * 500, [{"a": 1}], {"a": {"b": 1}}, ["b" * 255], [None]])
def test_a_list_or_an_object_within_the_limits_is_sent(value: Any) -> None:
    [message] = vendor("braze").encode(call(x=value))
    assert json.loads(message.body)["x"] == value


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, {"message": "success"}, Meaning.DELIVERED),
        (201, {"message": "success", "errors": ["minor error message"]}, Meaning.DELIVERED),
        (202, {"message": "queued"}, Meaning.DELIVERED),
        (201, {"message": "Valid data must be provided", "errors": ["no user"]}, Meaning.REFUSED),
        (401, {"message": "Valid data must be provided in the 'attributes' field."}, Meaning.REFUSED),
        (401, {"message": "Invalid API key"}, Meaning.STOP),
        (403, {"message": "Forbidden"}, Meaning.STOP),
        (404, {"message": "Unknown REST API Key"}, Meaning.STOP),
        (400, {"message": "Max Input Length Exceeded"}, Meaning.REFUSED),
        (500, {"message": "error"}, Meaning.RETRY),
    ],
)
def test_a_status_and_a_message_have_a_meaning(status: int, body: Any, meaning: Meaning) -> None:
    assert judged(vendor("braze"), status, body).meaning is meaning


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": "1795467099", "date": "Mon, 23 Nov 2026 20:51:29 GMT"}, 10),
        ({"x-ratelimit-retry-after": "4"}, 4),
        ({"x-ratelimit-reset": "1795470689", "date": "Mon, 23 Nov 2026 20:51:29 GMT"}, 300),  # an hourly limit
        ({}, None),
    ],
)
def test_a_429_waits_until_the_reset(headers: dict[str, str], seconds: float | None) -> None:
    judgement = judged(vendor("braze"), 429, {"message": "Rate limited"}, **headers)
    assert (judgement.meaning, judgement.retry_after) == (Meaning.SLOW_DOWN, seconds)


def test_a_request_has_75_objects_at_most_and_50_merges() -> None:
    braze = vendor("braze")
    people: list[Message] = users(braze, *(f"u-{number}" for number in range(50)))
    events = [braze.encode_event(f"u-{number}", ENTERED) for number in range(50)]
    merges = [braze.encode_alias("new", Alias(UserId(str(number)), str(number), TIMESTAMP)) for number in range(60)]
    assert [len(part) for part in braze.parts([*people, *events, *merges])] == [75, 25, 50, 10]
    assert (braze.limits.messages, vendor("braze", batch_size=50).limits.messages) == (75, 50)


def test_a_single_object_has_no_header_of_a_batch() -> None:
    braze = vendor("braze")
    assert "X-Braze-Batch" not in braze.request(users(braze, "ann")).headers
    assert braze.request(users(braze, "ann", "bob")).headers["X-Braze-Batch"] == "true"


def test_update_only_holds_for_users_and_events_of_an_alias() -> None:
    braze = vendor("braze", id="alias", alias_label="crm", update_only=True)
    assert json.loads(braze.encode(call())[0].body)["_update_existing_only"] is True
    assert json.loads(braze.encode_event("ann", ENTERED).body)["_update_existing_only"] is True


def test_two_errors_of_one_user_are_one_reason() -> None:
    braze = vendor("braze")
    errors = [
        {"type": "the email is invalid", "input_array": "attributes", "index": 1},
        {"type": "the phone is invalid", "input_array": "attributes", "index": 1},
        {"type": "no such array", "input_array": "purchases", "index": 0},
    ]
    answer = Answer(201, json.dumps({"message": "success", "errors": errors}).encode())
    judgement = braze.judge(answer, users(braze, "ann", "bob"))
    assert judgement.refused == {1: "HTTP 201: the email is invalid; the phone is invalid"}

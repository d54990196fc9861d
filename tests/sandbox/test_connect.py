"""Zendesk Connect's protocol: keys, users, events, tokens, and the answers of the service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audience_sync.sandbox.values import ListChange, Service

from .support import DEVELOPMENT, PRODUCTION, codes, connect, received

USER = {"user_id": "C-1", "first_name": "Ana", "email": "ana@example.com", "attributes": {"vip": True}}


def error(text: bytes) -> tuple[int, str]:
    found = json.loads(text)["error"]
    return found["Code"], found["Message"]


def test_a_user_is_answered_with_200_and_an_empty_body() -> None:
    found = received(connect(USER))
    assert (found.service, found.destination) == (Service.CONNECT, "connect")
    assert (found.answer.status, found.answer.body) == (200, b"")
    (call,) = found.calls
    assert (call.type, call.user_id) == ("identify", "C-1")
    assert call.sets == {"first_name": "Ana", "email": "ana@example.com", "vip": True}


def test_each_environment_has_its_pair_of_keys() -> None:
    assert received(connect(USER, key=PRODUCTION.private)).destination == "connect production"
    unknown = received(connect(USER, key="0" * 32))
    assert unknown.answer.status == 200
    assert unknown.destination.startswith("connect (key ")


@pytest.mark.parametrize("key", ["", "x", "5a4d", "g" * 32, "0" * 31, "0" * 33, "pub-" + "0" * 31])
def test_a_key_that_is_missing_or_not_of_32_hex_digits_is_a_401(key: str) -> None:
    found = received(connect(USER, key=key))
    assert found.answer.status == 401
    assert error(found.answer.body) == (401, "Unauthorized")
    assert codes(found) == (["malformed_key"] if key else ["no_key"])


def test_the_public_key_is_for_browsers_and_phones() -> None:
    public = DEVELOPMENT.public
    assert codes(received(connect(USER, key=public))) == ["public_key"]
    assert received(connect(USER, key=public)).answer.status == 401
    for headers in ({"origin": "https://shop.example"}, {"x_outbound_client": "ios/2.0"}):
        assert received(connect(USER, key=public, **headers)).answer.status == 200
    assert received(connect(USER, key=f"pub-{public}", origin="https://shop.example")).destination == "connect"


def test_the_private_key_is_no_public_key() -> None:
    found = received(connect(USER, key=f"pub-{DEVELOPMENT.private}", origin="https://shop.example"))
    assert (found.answer.status, found.destination[:12]) == (200, "connect (key")


def test_tokens_of_a_user_are_added_to_those_that_are_registered() -> None:
    (call,) = received(connect({**USER, "apns": ["t1", "t2"], "fcm": []})).calls
    assert (call.type, call.lists) == ("identify", (ListChange("apns", True, ("t1", "t2")),))


def test_the_private_key_in_a_browser_is_a_warning() -> None:
    found = received(connect(USER, origin="https://shop.example"))
    assert (found.answer.status, codes(found)) == (200, ["private_key_in_browser"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"user_id": None}, "user_id_required"),
        ({"user_id": ""}, "user_id_empty"),
        ({"user_id": True}, "user_id_type"),
        ({"user_id": ["C-1"]}, "user_id_type"),
        ({"attributes": []}, "attributes_not_object"),
        ({"email": 7}, "not_text"),
        ({"apns": "token"}, "tokens_not_list"),
        ({"fcm": [7]}, "token_not_text"),
        ({"gcm": [""]}, "token_empty"),
        ({"group_id": True}, "id_type"),
        ({"previous_id": {}}, "id_type"),
    ],
)
def test_a_wrong_field_is_a_400_that_names_it(change: dict[str, Any], code: str) -> None:
    found = received(connect({**USER, **change}))
    assert found.answer.status == 400
    assert codes(found.calls[0]) == [code]
    assert error(found.answer.body) == (400, found.calls[0].problems[0].text)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"plan": "pro"}, "unknown_field"),
        ({"email": "ana"}, "email_malformed"),
        ({"timezone": "Berlin"}, "unknown_timezone"),
        ({"attributes": {"email": True}}, "attribute_is_field"),
        ({"attributes": {"seen_at": "2026-11-30T01:00:00"}}, "date_without_zone"),
        ({"apns": ["a b"]}, "token_malformed"),
    ],
)
def test_what_the_service_ignores_is_a_warning(change: dict[str, Any], code: str) -> None:
    found = received(connect({**USER, **change}))
    assert found.answer.status == 200
    assert codes(found.calls[0]) == [code]


def test_a_number_and_its_text_are_one_user() -> None:
    assert [received(connect({"user_id": each})).calls[0].user_id for each in (1, "1")] == ["1", "1"]


def test_a_body_that_is_not_json_is_a_500() -> None:
    found = received(connect(b"{"))
    assert (found.answer.status, codes(found)) == (500, ["invalid_json"])


@pytest.mark.parametrize(
    ("document", "status", "code"),
    [
        ([USER] * 100, 200, None),
        ([USER] * 101, 400, "batch_too_long"),
        ([], 400, "empty_batch"),
        (USER, 400, "batch_not_list"),
        ([USER, {"attributes": {}}], 400, "batch_refused"),
    ],
)
def test_a_batch_has_up_to_100_users_and_is_accepted_or_refused_whole(
    document: Any, status: int, code: str | None
) -> None:
    found = received(connect(document, "/v2/identify/batch"))
    assert found.answer.status == status
    assert codes(found) == ([code] if code else [])


def test_events_have_a_name_of_up_to_200_characters_and_a_time_in_seconds() -> None:
    event = {"user_id": "C-1", "event": "Paid", "properties": {"total": 12.5}, "timestamp": 1795467089}
    (call,) = received(connect(event, "/v2/track")).calls
    assert (call.type, call.event, call.properties, call.problems) == ("track", "Paid", {"total": 12.5}, ())
    for change, code in (
        ({"event": ""}, "event_required"),
        ({"event": "x" * 201}, "event_too_long"),
        ({"timestamp": "2026-11-30T01:00:00Z"}, "timestamp_not_number"),
        ({"properties": []}, "properties_not_object"),
    ):
        found = received(connect({**event, **change}, "/v2/track"))
        assert (found.answer.status, codes(found.calls[0])) == (400, [code])
    milliseconds = received(connect({**event, "timestamp": 1795467089084}, "/v2/track"))
    assert (milliseconds.answer.status, codes(milliseconds.calls[0])) == (200, [])
    future = received(connect({**event, "timestamp": 1895467089}, "/v2/track"))
    assert (future.answer.status, codes(future.calls[0])) == (200, ["timestamp_in_future"])


def test_devices_and_subscriptions_change_lists_of_the_user() -> None:
    def lists(path: str, **fields: Any) -> tuple[ListChange, ...]:
        return received(connect({"user_id": "C-1", **fields}, path)).calls[0].lists

    assert lists("/v2/fcm/register", token="t") == (ListChange("fcm", True, ("t",)),)
    assert lists("/v2/gcm/register", token="t", replace="s") == (
        ListChange("gcm", False, ("s",)),
        ListChange("gcm", True, ("t",)),
    )
    assert lists("/v2/apns/disable", token="t") == (ListChange("apns", False, ("t",)),)
    assert lists("/v2/apns/disable", all=True) == (ListChange("apns", False),)
    assert lists("/v2/unsubscribe/all") == (ListChange("unsubscribed", True, ("all",)),)
    assert lists("/v2/subscribe/campaigns", campaign_ids=[4]) == (ListChange("unsubscribed", False, (4,)),)
    refused = received(connect({"user_id": "C-1", "campaign_ids": []}, "/v2/unsubscribe/campaigns"))
    assert (refused.answer.status, codes(refused.calls[0])) == (400, ["campaigns_required"])


def test_an_alias_is_a_user_with_a_previous_id_alone() -> None:
    (call,) = received(connect({"user_id": "C-1", "previous_id": "anon"})).calls
    assert (call.type, call.previous_id) == ("alias", "anon")


def test_the_guid_of_a_request_names_it() -> None:
    assert received(connect(USER, x_outbound_guid="g-1")).request_id == "g-1"
    assert received(connect(USER, "/v2/nothing")).answer.status == 404

"""Segment's and RudderStack's protocol: what is accepted, what is wrong, and how each of them answers."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from audience_sync.sandbox.keys import RUDDERSTACK_KEY
from audience_sync.sandbox.values import Service

from .support import basic, codes, received, segment

VIP = {"type": "identify", "userId": "C-1", "messageId": "m-1", "traits": {"vip": True}}


def test_a_batch_of_segment_is_answered_with_success_and_has_its_calls() -> None:
    found = received(segment({"batch": [VIP]}))
    assert (found.service, found.destination, found.answer.status) == (Service.SEGMENT, "segment", 200)
    assert found.answer.body == b'{"success": true}'
    (call,) = found.calls
    assert (call.type, call.user_id, call.message_id, call.sets, call.problems) == (
        "identify",
        "C-1",
        "m-1",
        {"vip": True},
        (),
    )


@pytest.mark.parametrize(
    ("path", "item", "kind", "event"),
    [
        ("/v1/identify", {"userId": "u", "traits": {}}, "identify", ""),
        ("/v1/i", {"anonymousId": "a"}, "identify", ""),
        ("/v1/track", {"userId": "u", "event": "Paid"}, "track", "Paid"),
        ("/v1/t", {"userId": "u", "event": "Paid"}, "track", "Paid"),
        ("/v1/page", {"userId": "u", "name": "Home"}, "page", "Viewed Home Page"),
        ("/v1/p", {"userId": "u"}, "page", "Viewed a Page"),
        ("/v1/screen", {"userId": "u", "name": "Start"}, "screen", "Viewed Start Screen"),
        ("/v1/group", {"userId": "u", "groupId": "g"}, "group", ""),
        ("/v1/alias", {"userId": "u", "previousId": "a"}, "alias", ""),
    ],
)
def test_each_address_has_its_type(path: str, item: dict[str, Any], kind: str, event: str) -> None:
    (call,) = received(segment(item, path)).calls
    assert (call.type, call.event, call.problems) == (kind, event, ())


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({**VIP, "userId": None}, "no_user_anon_id"),
        ({**VIP, "userId": 7}, "id_not_string"),
        ({**VIP, "userId": ""}, "id_not_string"),
        ({**VIP, "traits": []}, "traits_not_object"),
        ({**VIP, "traits": {f"t{number}": 1 for number in range(300)}}, "too_many_traits"),
        ({**VIP, "messageId": "m" * 101}, "message_id_too_long"),
        ({**VIP, "type": "identity"}, "unknown_type"),
        ({**VIP, "type": None}, "unknown_type"),
        ({**VIP, "traits": {"bio": "x" * 33_000}}, "message_too_large"),
        ({**VIP, "context": "web"}, "context_not_object"),
        ({"type": "track", "userId": "u"}, "event_required"),
        ({"type": "group", "userId": "u"}, "group_id_required"),
        ({"type": "alias", "userId": "u"}, "previous_id_required"),
        ("not an object", "not_an_object"),
    ],
)
def test_segment_answers_200_and_drops_a_wrong_call_but_not_its_neighbours(item: Any, code: str) -> None:
    found = received(segment({"batch": [item, VIP]}))
    assert found.answer.status == 200
    assert codes(found.calls[0]) == [code]
    assert [call.is_usable for call in found.calls] == [False, True]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"timestamp": "2026-11-30T01:00:00"}, "timestamp_without_zone"),
        ({"timestamp": "yesterday"}, "timestamp_invalid"),
        ({"timestamp": "2026-02-30T01:00:00Z"}, "timestamp_invalid"),
        ({"timestamp": 1795467089}, "timestamp_not_text"),
        ({"timestamp": "2027-11-30T01:00:00Z"}, "timestamp_in_future"),
        ({"messageId": 5}, "message_id_not_text"),
        ({"traits": {"timezone": "Berlin"}}, "unknown_timezone"),
        ({"context": {"timezone": "Berlin"}}, "unknown_timezone"),
        ({"traits": {"seen_at": "2026-11-30T01:00:00"}}, "date_without_zone"),
        ({"traits": {"device_token": "abc"}}, "half_a_device"),
        ({"context": {"device": {"token": "abc"}}}, "device_without_type"),
    ],
)
def test_what_only_loses_its_meaning_is_a_warning(change: dict[str, Any], code: str) -> None:
    (call,) = received(segment({"batch": [{**VIP, **change}]})).calls
    assert codes(call) == [code]
    assert call.is_usable


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (segment(b"{"), "invalid_json"),
        (segment(b""), "invalid_json"),
        (segment(b"\xff\xfe"), "invalid_json"),
        (segment(b'{"batch": [{"userId": "u", "traits": {"n": NaN}}]}'), "invalid_json"),
        (segment(b'{"batch": [{"userId": "u", "traits": {"n": 1e999}}]}'), "invalid_json"),
        (segment(b'{"batch": [' + b"[" * 100 + b"]" * 100 + b"]}"), "invalid_json"),
        (segment({"batch": [VIP]}, key=""), "invalid_write_key"),
        (segment({"batch": [VIP]}, key="abc"), "invalid_write_key"),
        (segment([VIP]), "not_an_object"),
        (segment({"messages": []}), "batch_missing"),
        (segment({"batch": {}}), "batch_not_list"),
        (segment({"batch": [{**VIP, "traits": {"x": "y" * 520_000}}]}), "body_too_large"),
        (segment({**VIP, "traits": {"x": "y" * 33_000}}, "/v1/identify"), "message_too_large"),
    ],
)
def test_segment_answers_400_in_plain_text(request_: Any, code: str) -> None:
    found = received(request_)
    assert (found.answer.status, found.answer.body) == (400, b"Bad Request")
    assert code in codes(found)


def test_a_batch_of_more_than_2500_is_answered_with_200_and_dropped_whole() -> None:
    found = received(segment({"batch": [{"type": "identify", "userId": str(number)} for number in range(2_501)]}))
    assert found.answer.status == 200
    assert codes(found) == ["batch_too_long"]


def test_the_write_key_may_be_in_the_body_or_in_the_address_of_a_beacon() -> None:
    in_body = segment({"batch": [VIP], "writeKey": "another-key"}, key="")
    assert received(in_body).destination.startswith("segment (key ")
    assert "another-key" not in received(in_body).destination
    (call,) = received(segment({**VIP, "writeKey": "another-key"}, "/v1/identify", key="")).calls
    assert "another-key" not in call.message


def test_a_beacon_sends_plain_text_and_a_client_may_compress() -> None:
    text = segment({"batch": [VIP]}, **{"content-type": "text/plain;charset=UTF-8"})
    assert (received(text).answer.status, codes(received(text))) == (200, [])
    packed = segment(gzip.compress(json.dumps({"batch": [VIP]}).encode()), **{"content-encoding": "gzip"})
    assert len(received(packed).calls) == 1
    cut = segment(gzip.compress(json.dumps({"batch": [VIP]}).encode())[:-6], **{"content-encoding": "gzip"})
    assert (received(cut).answer.status, codes(received(cut))) == (400, ["encoding"])


def test_integers_over_64_bits_and_half_a_surrogate_pair_are_json() -> None:
    found = received(
        segment(b'{"batch": [{"type": "identify", "userId": "\\ud800", "traits": {"n": 123456789012345678901}}]}')
    )
    (call,) = found.calls
    assert (found.answer.status, call.user_id, call.sets) == (200, "\\ud800", {"n": 123456789012345678901})
    (call,) = received(segment(b'{"userId": "\xc3\xa9", "traits": {"n": 123456789012345678901}}', "/v1/identify")).calls
    assert call.message == '{"userId":"é","traits":{"n":123456789012345678901}}'


def test_rudderstack_is_recognised_by_its_key_its_header_its_client_or_the_address() -> None:
    for request in (
        segment({"batch": [VIP]}, key=RUDDERSTACK_KEY),
        segment({"batch": [VIP]}, anonymousid="YQ=="),
        segment({"batch": [VIP]}, **{"user-agent": "RudderLabs Analytics Python/2.1"}),
        segment({"batch": [VIP]}, "/rudderstack/v1/batch"),
    ):
        found = received(request)
        assert (found.service, found.answer.status, found.answer.body) == (Service.RUDDERSTACK, 200, b"ok\n")


@pytest.mark.parametrize(
    ("document", "status", "text"),
    [
        ({"batch": [VIP, {"type": "identify"}]}, 400, b"request neither has anonymousId nor userId\n"),
        ({"batch": []}, 400, b"empty batch payload\n"),
        (b"{", 400, b"invalid json\n"),
        ({"batch": [{**VIP, "traits": {"x": "y" * 4_200_000}}]}, 413, b"request size exceeds max limit\n"),
    ],
)
def test_rudderstack_refuses_a_batch_with_one_wrong_call(document: Any, status: int, text: bytes) -> None:
    found = received(segment(document, key=RUDDERSTACK_KEY))
    assert (found.answer.status, found.answer.body) == (status, text)


def test_rudderstack_reads_traits_from_the_context_and_needs_a_key() -> None:
    item = {"type": "identify", "userId": "u", "context": {"traits": {"vip": True}}}
    (call,) = received(segment({"batch": [item]}, key=RUDDERSTACK_KEY)).calls
    assert call.sets == {"vip": True}
    in_body = segment({"batch": [item], "writeKey": "a-key"}, "/rudderstack/v1/batch", key="")
    assert received(in_body).answer.status == 401
    without = segment({"batch": [item]}, "/rudderstack/v1/batch", key="")
    assert received(without).answer.status == 401
    assert basic("") == {"authorization": "Basic Og=="}


def test_an_address_that_the_service_has_not_is_a_404() -> None:
    found = received(segment({}, "/v1/nothing"))
    assert (found.answer.status, codes(found)) == (404, ["unknown_address"])

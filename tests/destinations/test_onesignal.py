"""One user in a request, texts, events and wrong keys at OneSignal. See docs/destinations/onesignal.md."""

from __future__ import annotations

from typing import Any

import pytest

from audience_sync.destinations.base import Meaning
from audience_sync.errors import UnsendableError

from .receiver import Receiver, Reply
from .vendors import call, entered, judged, sent, users, vendor


def test_an_event_names_its_user_and_has_a_key_by_which_repeats_are_dropped() -> None:
    onesignal = vendor("onesignal")
    event = onesignal.encode_event("C-00001", entered())
    assert onesignal.request([event]).url == "https://api.onesignal.com/apps/app-1/custom_events"
    [body] = sent(onesignal, event)["events"]
    assert body == {
        "name": "Audience Entered",
        "external_id": "C-00001",
        "timestamp": "2026-11-23T20:51:29.084Z",
        "idempotency_key": body["idempotency_key"],
        "payload": {"audience_key": "vip", "vip": True},
    }
    [other] = sent(onesignal, onesignal.encode_event("C-00001", entered("e-2")))["events"]
    assert body["idempotency_key"] != other["idempotency_key"]
    assert onesignal.encode_event("C-00001", entered()) == event


def test_a_202_that_names_an_event_is_a_refusal() -> None:
    onesignal = vendor("onesignal")
    error = {"code": "not found", "title": "failed to find a onesignal_id for user_id C-00001"}
    body = {"errors": [{"event_user_id": "C-00001", "event_id": "1", "error": error}]}
    judgement = judged(onesignal, 202, body, [onesignal.encode_event("C-00001", entered())])
    assert judgement.meaning is Meaning.REFUSED
    assert judgement.reason.startswith("HTTP 202: OneSignal answered with a success and did not accept this")


@pytest.mark.parametrize("body", [{"errors": []}, {}, b""])
def test_a_202_without_an_error_is_a_success(body: Any) -> None:
    assert judged(vendor("onesignal"), 202, body, users(vendor("onesignal"), "ann")).meaning is Meaning.DELIVERED


@pytest.mark.parametrize(
    ("status", "errors"),
    [
        (400, ["Request is malformed: Failed to parse app_id from request"]),
        (400, ["Missing or invalid Authorization key"]),
        (400, [{"code": "auth-1", "title": "This operation requires a header"}]),
        (401, ["Access denied.  Please include an 'Authorization: ...' header with a valid API key."]),
        (403, ["You do not have permission"]),
        (404, ["App not found"]),
    ],
)
@pytest.mark.parametrize("update_only", [False, True])
def test_a_wrong_key_or_app_stops_onesignal_whatever_its_status(status: int, errors: Any, update_only: bool) -> None:
    onesignal = vendor("onesignal", update_only=update_only)
    assert judged(onesignal, status, {"errors": errors}, users(onesignal, "ann")).meaning is Meaning.STOP


@pytest.mark.parametrize(
    ("status", "errors"),
    [
        (400, [{"code": "request-1", "title": "Invalid UUID"}]),
        (403, [{"code": "entitlements-tag-limit", "title": "Too many tags"}]),
        (409, [{"code": "Conflict", "title": "Conflicting aliases", "meta": {"conflicting_aliases": {"crm": "x"}}}]),
        (409, [{"code": "entitlements-tag-limit", "title": "Too many tags"}]),
    ],
)
def test_what_is_wrong_with_one_user_refuses_that_user(status: int, errors: Any) -> None:
    judgement = judged(vendor("onesignal"), status, {"errors": errors}, users(vendor("onesignal"), "ann"))
    assert judgement.meaning is Meaning.REFUSED
    assert errors[0]["code"] in judgement.reason


def test_more_tags_than_a_request_may_change_are_several_requests() -> None:
    messages = vendor("onesignal").encode(call(**{f"trait_{number}": number for number in range(101)}))
    bodies = [sent(vendor("onesignal"), each) for each in messages]
    assert [len(each["properties"]["tags"]) for each in bodies] == [100, 1]
    assert {each["identity"]["external_id"] for each in bodies} == {"C-00001"}


def test_another_alias_names_the_user_in_body_and_address() -> None:
    crm, only = vendor("onesignal", alias_label="crm id"), vendor("onesignal", alias_label="crm id", update_only=True)
    assert sent(crm, *users(crm, "7"))["identity"] == {"crm id": "7"}
    request = only.request(users(only, "7"))
    assert (request.method, request.url) == ("PATCH", "https://api.onesignal.com/apps/app-1/users/by/crm%20id/7")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"alias_label": "crm_id", "events": True}, "`events` needs `alias_label: external_id`"),
        ({"events": {"entered": "x" * 129}}, "has 129 bytes, and the service takes 128: shorten it in `events`"),
        ({"alias_label": "onesignal_id"}, "this label needs `update_only: true`"),
    ],
)
def test_options_that_onesignal_could_not_serve_are_errors_of_the_config(options: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        vendor("onesignal", **options)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (None, ""), (3, "3"), (["a"], '["a"]'), ({"b": 1}, '{"b": 1}')],
)
def test_every_tag_is_a_text(value: Any, text: str) -> None:
    [message] = vendor("onesignal").encode(call(x=value))
    assert sent(vendor("onesignal"), message)["properties"]["tags"] == {"x": text}


@pytest.mark.parametrize("user", [".", ".."])
def test_an_id_that_an_address_can_not_have_is_refused_where_the_id_is_in_the_address(user: str) -> None:
    with pytest.raises(UnsendableError, match="can't be a part of an address"):
        vendor("onesignal", update_only=True).encode(call(user))
    assert sent(vendor("onesignal"), *users(vendor("onesignal"), user))["identity"] == {"external_id": user}


@pytest.mark.parametrize(
    ("user", "path"), [("a.b", "a.b"), ("50%", "50%25"), ("a/../b", "a%2F..%2Fb"), ("ü ?#", "%C3%BC%20%3F%23")]
)
def test_an_id_in_an_address_arrives_as_it_was_written(user: str, path: str, receiver: Receiver) -> None:
    receiver.will_answer(Reply(202, b"{}"))
    onesignal = vendor("onesignal", update_only=True, url=receiver.url)
    transport = onesignal.open()
    transport.send(users(onesignal, user))
    transport.close()
    assert receiver.requests[0].path == f"/apps/app-1/users/by/external_id/{path}"


@pytest.mark.parametrize(
    ("update_only", "remark"),
    [
        (False, "every user whom OneSignal does not have is created there; `update_only: true` creates none"),
        (
            True,
            "OneSignal may answer an update of a user whom it does not have with a success, and stores nothing then",
        ),
    ],
)
def test_check_shows_what_becomes_of_an_unknown_user(update_only: bool, remark: str) -> None:
    assert vendor("onesignal", update_only=update_only).remarks[-1] == remark

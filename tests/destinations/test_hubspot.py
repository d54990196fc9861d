"""Contacts, properties, events and answers of HubSpot. See docs/destinations/hubspot.md."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audience_sync.destinations.base import FieldKind, Judgement, Meaning
from audience_sync.destinations.json_api.fields import FieldsDestination
from audience_sync.errors import FieldError, UnsendableError

from .receiver import Receiver, Reply
from .vendors import call, entered, judged, sent, users, vendor

EMAILS = ("a@example.com", "b@example.com")
NAMES = {"entered": "pe123_entered", "exited": "pe123_exited"}


def judged_two(status: int, body: Any, **headers: str) -> Judgement:
    hubspot = vendor("hubspot")
    return judged(hubspot, status, body, users(hubspot, *EMAILS), **headers)


def fields_of(url: str, **options: Any) -> FieldsDestination:
    destination = vendor("hubspot", url=url, **options)
    assert isinstance(destination, FieldsDestination)
    return destination


def listing(*names: str) -> Reply:
    return Reply(200, json.dumps({"results": [{"name": name} for name in names]}).encode())


@pytest.mark.parametrize("body", [{"status": "COMPLETE", "results": []}, {"status": "COMPLETE"}, {}, b""])
@pytest.mark.parametrize("status", [200, 201, 207])
def test_a_success_without_results_wrote_nothing(status: int, body: Any) -> None:
    judgement = judged_two(status, body)
    assert judgement.meaning is Meaning.REFUSED
    assert judgement.reason == f"HTTP {status}: HubSpot answered with a success and wrote nothing"


def test_a_contact_whose_error_has_no_trace_id_is_found_by_halving() -> None:
    errors = [{"status": "error", "category": "VALIDATION_ERROR", "message": "INVALID_EMAIL", "context": {}}]
    judgement = judged_two(207, {"status": "COMPLETE", "results": [{"id": "1"}], "numErrors": 1, "errors": errors})
    assert (judgement.meaning, judgement.refused) == (Meaning.REFUSED, {})


def test_errors_of_a_partial_answer_are_found_by_our_message_id() -> None:
    errors = [{"message": "Property value is invalid", "context": {"objectWriteTraceId": ["m-1"]}}]
    judgement = judged_two(207, {"status": "COMPLETE", "results": [{"id": "1"}], "numErrors": 1, "errors": errors})
    assert (judgement.meaning, judgement.refused) == (Meaning.DELIVERED, {0: "HTTP 207: Property value is invalid"})


def test_updates_create_no_contact_and_one_that_does_not_exist_is_refused_alone() -> None:
    hubspot = vendor("hubspot", update_only=True)
    messages = users(hubspot, *EMAILS)
    assert hubspot.request(messages).url == "https://api.hubapi.com/crm/v3/objects/contacts/batch/update"
    error = {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "...", "context": {"ids": ["B@example.com"]}}
    body = {"status": "COMPLETE", "results": [{"id": "1"}], "numErrors": 1, "errors": [error]}
    judgement = judged(hubspot, 207, body, messages)
    assert (judgement.meaning, judgement.refused) == (Meaning.DELIVERED, {1: "HTTP 207: HubSpot has no such contact"})
    assert judged(hubspot, 404, {"category": "OBJECT_NOT_FOUND"}, messages).meaning is Meaning.REFUSED
    assert judged(hubspot, 404, {"message": "no such path"}, messages).meaning is Meaning.STOP


@pytest.mark.parametrize(("update_only", "shown"), [(False, True), (True, False)])
def test_check_shows_that_users_become_contacts(update_only: bool, shown: bool) -> None:
    remarks = vendor("hubspot", update_only=update_only).remarks
    assert any("becomes a contact there" in each for each in remarks) == shown


@pytest.mark.parametrize(
    ("body", "headers", "wait"),
    [
        ({"policyName": "TEN_SECONDLY_ROLLING"}, {}, 10),
        ({"policyName": "TEN_SECONDLY_ROLLING"}, {"retry-after": "3"}, 3),
        ({"policyName": "SECONDLY"}, {"x-hubspot-ratelimit-interval-milliseconds": "1000"}, 1),
        ({}, {"x-hubspot-ratelimit-interval-milliseconds": "10000"}, 10),
        ({}, {"x-hubspot-ratelimit-daily-remaining": "0"}, 3_600),
        ({"policyName": "DAILY"}, {}, 3_600),
        ({}, {"x-hubspot-ratelimit-interval-milliseconds": "soon"}, None),
    ],
)
def test_a_rate_limit_says_in_its_body_or_headers_how_long_to_wait(body: Any, headers: Any, wait: float | None) -> None:
    judgement = judged_two(429, body, **headers)
    assert (judgement.meaning, judgement.retry_after) == (Meaning.SLOW_DOWN, wait)


@pytest.mark.parametrize(
    "body",
    [
        {"category": "VALIDATION_ERROR", "errors": [{"code": "PROPERTY_DOESNT_EXIST", "message": "vip"}]},
        {"message": 'Property values were not valid: [{"error":"PROPERTY_DOESNT_EXIST","name":"vip"}]'},
        {"message": 'Property "vip" does not exist'},
    ],
)
def test_a_property_that_does_not_exist_stops_the_destination(body: Any) -> None:
    judgement = judged_two(400, body)
    assert (judgement.meaning, judgement.reason[:37]) == (Meaning.STOP, "HTTP 400: a property does not exist. ")


def test_an_id_property_without_unique_values_stops_the_destination() -> None:
    judgement = judged_two(400, {"message": "Unable to perform update/upsert by non-unique 0-1 property"})
    assert judgement.meaning is Meaning.STOP
    assert "`destinations.NAME.id_property` names a property without unique values" in judgement.reason


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (401, "INVALID_AUTHENTICATION"),
        (401, "EXPIRED_AUTHENTICATION"),
        (403, "MISSING_SCOPES"),
        (400, "INVALID_AUTHENTICATION"),
    ],
)
def test_a_wrong_token_or_a_missing_scope_stops_the_destination(status: int, category: str) -> None:
    judgement = judged_two(status, {"status": "error", "category": category, "message": "..."})
    assert judgement.meaning is Meaning.STOP
    assert category in judgement.reason


def test_values_are_texts_and_a_removed_one_is_empty() -> None:
    hubspot = vendor("hubspot")
    dates = {"day": "2026-11-23", "seen": "2026-11-23T20:51:29.084Z", "due": "2026-11-23T00:00:00+02:00"}
    [message] = hubspot.encode(call("a@example.com", vip=True, spent=12.5, old=None, firstName="Ann", **dates))
    assert sent(hubspot, message)["inputs"][0]["properties"] == {
        "vip": "true",
        "spent": "12.5",
        "old": "",
        "firstname": "Ann",
        "day": "1795392000000",
        "seen": "1795467089084",
        "due": "1795384800000",
    }


def test_an_event_has_its_full_name_and_the_address() -> None:
    hubspot = vendor("hubspot", events=NAMES)
    [event] = sent(hubspot, hubspot.encode_event("a@example.com", entered()))["inputs"]
    assert (event["eventName"], event["email"], event["properties"]) == (
        "pe123_entered",
        "a@example.com",
        {"audience_key": "vip"},
    )
    assert judged(hubspot, 204, b"", [hubspot.encode_event("a@example.com", entered())]).meaning is Meaning.DELIVERED


@pytest.mark.parametrize("names", [True, {"entered": "Joined"}, {"entered": "pe1_in", "exited": "out"}])
def test_a_name_that_is_no_event_of_hubspot_is_an_error_of_the_config(names: Any) -> None:
    with pytest.raises(ValueError, match="HubSpot's events have full names such as `pe123456_entered`"):
        vendor("hubspot", events=names)


@pytest.mark.parametrize("user", ["C-00001", "ann@localhost", "a n@example.com", "a@b@example.com", " "])
def test_a_user_without_an_address_is_refused_where_the_address_is_the_id(user: str) -> None:
    with pytest.raises(UnsendableError, match="the user's email is not an e-mail address, by which HubSpot knows"):
        vendor("hubspot").encode(call(user))
    with pytest.raises(UnsendableError, match="the user id is not an e-mail address: set `id_property`"):
        vendor("hubspot", user_id="user_id").encode(call(user))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Lifetime Value", "can't be a name at HubSpot"),
        ("createdAt", "can't be a name at HubSpot"),
        ("7days", "can't be a name at HubSpot"),
        ("hs_object_id", "has a name that HubSpot uses itself"),
        ("x" * 101, "has a name of 101 characters and HubSpot takes 100"),
    ],
)
def test_a_name_that_no_property_can_have_is_found_before_any_call(name: str, problem: str, receiver: Receiver) -> None:
    found = vendor("hubspot").name_problems(["vip", "firstName", name])
    assert list(found) == [name]
    assert found[name].startswith(problem)
    receiver.will_answer(listing("vip"))
    assert fields_of(receiver.url).missing_fields(["vip", name]) == []


def test_the_property_of_the_user_id_has_to_exist_too(receiver: Receiver) -> None:
    receiver.will_answer(listing("email", "vip"))
    assert fields_of(receiver.url, id_property="customer_id").missing_fields(["vip"]) == ["customer_id"]
    assert fields_of(receiver.url).missing_fields(["vip"]) == []


def test_an_account_without_properties_of_ours_lacks_all_of_them(receiver: Receiver) -> None:
    receiver.will_answer(listing())
    assert fields_of(receiver.url).missing_fields(["vip", "plan"]) == ["vip", "plan"]


def test_each_kind_of_property_has_hubspots_type_and_the_user_id_has_unique_values(receiver: Receiver) -> None:
    receiver.will_answer(Reply(201, b"{}"))
    kinds = {
        "vip": FieldKind.BOOLEAN,
        "spent": FieldKind.NUMBER,
        "birthday": FieldKind.DATE,
        "last_seen": FieldKind.DATETIME,
        "plan": FieldKind.TEXT,
        "customer_id": FieldKind.TEXT,
    }
    fields_of(receiver.url, id_property="customer_id", create_fields=True).create_fields(kinds)
    created = [json.loads(each.body) for each in receiver.requests]
    assert [(each["name"], each["type"], each["fieldType"]) for each in created] == [
        ("vip", "bool", "booleancheckbox"),
        ("spent", "number", "number"),
        ("birthday", "date", "date"),
        ("last_seen", "datetime", "date"),
        ("plan", "string", "text"),
        ("customer_id", "string", "text"),
    ]
    assert [each.get("hasUniqueValue") for each in created] == [None, None, None, None, None, True]


def test_a_property_that_hubspot_does_not_create_is_named_with_its_reason(receiver: Receiver) -> None:
    receiver.will_answer(Reply(403, b'{"category":"MISSING_SCOPES","message":"crm.schemas.contacts.write"}'))
    with pytest.raises(
        FieldError, match=r"the field 'vip' can't be created: HTTP 403: .*crm\.schemas\.contacts\.write"
    ):
        fields_of(receiver.url, create_fields=True).create_fields({"vip": FieldKind.BOOLEAN})


def test_a_reason_may_name_the_property_of_the_user_id_and_no_user(receiver: Receiver) -> None:
    receiver.will_answer(Reply(400, b'{"message":"Email address a@example.com is invalid for vip: false"}'))
    hubspot = fields_of(receiver.url)
    transport = hubspot.open()
    judgement = transport.send(users(hubspot, "a@example.com"))
    transport.close()
    assert judgement.reason == 'HTTP 400: {"message":"Email address *** is invalid for vip: false"}'

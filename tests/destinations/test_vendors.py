"""What each vendor does silently, refuses in its own way or names in its answers; see docs/destinations/."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audience_sync.destinations.base import Answer, FieldKind, HttpDestination, Judgement, Meaning, Merge
from audience_sync.destinations.json_api.fields import FieldsDestination
from audience_sync.errors import FieldError, UnsendableError
from audience_sync.model import Alias, AudienceEvent, UserId

from .receiver import NO_ANSWER, Receiver, Reply
from .vendors import TIMESTAMP, call, refused_properties, sent, users, vendor
from .vendors import judged as judged_messages


def judged(destination: HttpDestination, status: int, body: Any, *names: str, **headers: str) -> Judgement:
    """The meaning of an answer to calls of these users."""
    return judged_messages(destination, status, body, users(destination, *names or ("C-00001",)), **headers)


REGIONS = [
    ("amplitude", "eu", "https://api.eu.amplitude.com/2/httpapi"),
    ("customerio", "eu", "https://track-eu.customer.io/api/v2/batch"),
    ("iterable", "eu", "https://api.eu.iterable.com/api/users/bulkUpdate"),
    ("mixpanel", "eu", "https://api-eu.mixpanel.com/engage"),
    ("mixpanel", "in", "https://api-in.mixpanel.com/engage"),
    ("posthog", "eu", "https://eu.i.posthog.com/batch/"),
]


@pytest.mark.parametrize(("name", "region", "address"), REGIONS)
def test_a_region_has_its_own_address(name: str, region: str, address: str) -> None:
    assert vendor(name, region=region).address == address


def test_a_url_comes_before_the_region() -> None:
    assert vendor("posthog", region="eu", url="https://ph.example.test").address == "https://ph.example.test/batch/"


@pytest.mark.parametrize("name", ["amplitude", "braze", "customerio", "hubspot", "iterable", "mixpanel", "posthog"])
def test_a_page_of_a_proxy_is_no_success(name: str) -> None:
    assert vendor(name).judge(Answer(200, b"<!doctype html>")).meaning is Meaning.RETRY
    assert vendor(name).judge(Answer(200, b"maintenance")).meaning is Meaning.RETRY


# Amplitude


def test_amplitude_accepts_short_ids_because_each_request_asks_for_it() -> None:
    amplitude = vendor("amplitude")
    [message] = amplitude.encode(call("7"))
    assert sent(amplitude, message)["options"] == {"min_id_length": 1}


def test_an_id_that_amplitude_would_drop_is_refused_with_its_length() -> None:
    with pytest.raises(UnsendableError, match="has 4 characters and Amplitude drops ids of fewer than 5"):
        vendor("amplitude", min_id_length=5).encode(call("C-01"))


@pytest.mark.parametrize("user", ["anonymous", "null", "None", "undefined", "0", "-1"])
def test_a_word_that_means_no_user_is_refused_for_amplitude(user: str) -> None:
    with pytest.raises(UnsendableError, match="means no user"):
        vendor("amplitude").encode(call(user))


@pytest.mark.parametrize("error", ["Invalid API key: abc", "invalid_api_key", "Missing API key"])
def test_amplitudes_400_to_a_wrong_key_stops(error: str) -> None:
    assert judged(vendor("amplitude"), 400, {"code": 400, "error": error}).meaning is Meaning.STOP


def test_a_daily_quota_at_amplitude_refuses_its_users_alone() -> None:
    body = {"code": 429, "exceeded_daily_quota_users": {"C-00002": 500_001}, "throttled_events": []}
    judgement = judged(vendor("amplitude"), 429, body, "C-00001", "C-00002")
    assert judgement.meaning is Meaning.REFUSED
    assert judgement.refused == {1: "HTTP 429: the daily quota of this user is used up"}


def test_amplitudes_429_has_no_header_and_means_15_seconds() -> None:
    assert judged(vendor("amplitude"), 429, {"code": 429}).retry_after == 15
    assert judged(vendor("amplitude"), 429, {"code": 429}, **{"retry-after": "3"}).retry_after == 3


# Braze


def test_users_and_events_share_a_request_at_braze_and_each_array_has_its_own_indexes() -> None:
    braze = vendor("braze")
    messages = [*users(braze, "ann", "bob"), braze.encode_event("bob", AudienceEvent("vip", True, "e-1", TIMESTAMP))]
    body = {
        "message": "success",
        "errors": [
            {"type": "bad event", "input_array": "events", "index": 0},
            {"type": "bad user", "input_array": "attributes", "index": 0},
            {"type": "beyond", "input_array": "attributes", "index": 7},
        ],
    }
    assert list(json.loads(braze.request(messages).body)) == ["attributes", "events"]
    judgement = braze.judge(Answer(201, json.dumps(body).encode()), messages)
    assert judgement.refused == {0: "HTTP 201: bad user", 2: "HTTP 201: bad event"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"inc": 5}, "'x' is an object that Braze would read as an operation on the stored value"),
        ({"add": ["a"]}, "'x' is an object that Braze would read as an operation on the stored value"),
        ({"a": {"b": None}}, "'x' has an object with null, which Braze drops whole"),
        ("v" * 256, "'x' has 256 characters and Braze takes 255 of a text: shorten the value at its source"),
    ],
)
def test_a_value_that_braze_would_drop_or_misread_is_refused_alone(value: Any, reason: str) -> None:
    assert refused_properties(vendor("braze"), x=value, vip=True) == {"x": reason}


def test_a_previous_id_is_merged_at_braze_in_a_request_of_its_own_after_the_users() -> None:
    braze = vendor("braze")
    merge = braze.encode_alias("new", Alias(UserId("old"), "a-1", TIMESTAMP))
    [first, second] = braze.parts([merge, *users(braze, "new")])
    assert (len(first), second) == (1, [merge])
    request = braze.request(second)
    assert request.url == "https://rest.example.test/users/merge"
    assert json.loads(request.body) == {
        "merge_updates": [{"identifier_to_merge": {"external_id": "old"}, "identifier_to_keep": {"external_id": "new"}}]
    }


@pytest.mark.parametrize("name", ["external_id", "_update_existing_only", "user_alias"])
def test_a_trait_that_would_address_another_user_is_refused_for_braze(name: str) -> None:
    assert refused_properties(vendor("braze"), **{name: "x", "vip": True}) == {
        name: f"'{name}' has a name that Braze uses itself: rename the property"
    }


# Customer.io


def test_a_value_over_1000_bytes_is_refused_alone_for_customer_io() -> None:
    assert refused_properties(vendor("customerio"), bio="é" * 501, vip=True) == {
        "bio": "'bio' has 1,002 bytes and Customer.io takes 1,000 of a value: shorten the value at its source"
    }


def test_a_user_id_over_150_bytes_is_refused_for_customer_io() -> None:
    with pytest.raises(UnsendableError, match=r"the user id has 151 bytes and Customer\.io takes 150"):
        vendor("customerio").encode(call("x" * 151))


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("2026-11-23", 1_795_392_000),
        ("2026-11-23T20:51:29Z", 1_795_467_089),
        ("2026-11-23T20:51:29.999Z", 1_795_467_089),
        ("2026-11-23T22:51:29+02:00", 1_795_467_089),
        ("2026-02-30", "2026-02-30"),
        ("on 2026-11-23", "on 2026-11-23"),
    ],
)
def test_a_date_is_seconds_at_customer_io(date: str, seconds: Any) -> None:
    [message] = vendor("customerio").encode(call(last_order=date))
    assert json.loads(message.body)["attributes"] == {"last_order": seconds}


def test_a_merge_at_customer_io_follows_the_person_that_it_needs() -> None:
    customerio = vendor("customerio")
    merge = customerio.encode_alias("new", Alias(UserId("old"), "a-1", TIMESTAMP))
    assert [len(part) for part in customerio.parts([merge, *users(customerio, "new", "ann")])] == [2, 1]
    assert isinstance(merge, Merge)
    assert json.loads(merge.body)["secondary"] == {"id": "old"}


def test_the_id_of_an_event_at_customer_io_is_a_ulid_of_its_time() -> None:
    event = vendor("customerio").encode_event("u-1", AudienceEvent("vip", True, "m-1", TIMESTAMP))
    again = vendor("customerio").encode_event("u-1", AudienceEvent("vip", True, "m-1", TIMESTAMP))
    assert event == again
    assert json.loads(event.body)["id"][:10] == "01M852V55W"


# HubSpot


def test_a_success_of_hubspot_that_wrote_nothing_is_a_refusal() -> None:
    judgement = judged(vendor("hubspot", id_property="customer_id"), 200, {"status": "COMPLETE", "results": []})
    assert (judgement.meaning, judgement.reason) == (
        Meaning.REFUSED,
        "HTTP 200: HubSpot answered with a success and wrote nothing",
    )


def test_a_success_of_hubspot_that_lacks_a_contact_is_a_refusal_to_be_halved() -> None:
    judgement = judged(
        vendor("hubspot", id_property="customer_id"), 200, {"results": [{"id": "1"}]}, "a@example.com", "b@example.com"
    )
    assert (judgement.meaning, judgement.reason) == (Meaning.REFUSED, "HTTP 200: 1 of 2 contacts were written")


def test_a_contact_that_is_named_twice_is_in_another_request_at_hubspot() -> None:
    hubspot = vendor("hubspot")
    messages = users(hubspot, "a@example.com", "b@example.com", "A@example.com")
    assert [[each.message_id for each in part] for part in hubspot.parts(messages)] == [["m-1", "m-2"], ["m-3"]]


def test_the_daily_quota_of_hubspot_is_waited_for_until_a_later_run() -> None:
    judgement = judged(
        vendor("hubspot", id_property="customer_id"),
        429,
        {"policyName": "DAILY", "message": "You have reached your daily limit."},
    )
    assert (judgement.meaning, judgement.retry_after) == (Meaning.SLOW_DOWN, 3_600)


def test_a_property_that_does_not_exist_stops_hubspot() -> None:
    body = {"category": "VALIDATION_ERROR", "errors": [{"code": "PROPERTY_DOESNT_EXIST", "message": "no vip"}]}
    judgement = judged(vendor("hubspot", id_property="customer_id"), 400, body)
    assert judgement.meaning is Meaning.STOP
    assert judgement.reason.startswith("HTTP 400: a property does not exist. Create it in HubSpot, or let")


@pytest.mark.parametrize("status", [409, 423, 477])
def test_hubspot_is_asked_again_while_a_contact_is_locked(status: int) -> None:
    assert judged(vendor("hubspot", id_property="customer_id"), status, {"message": "locked"}).meaning is Meaning.RETRY


def test_a_name_that_hubspot_can_not_have_is_refused_alone() -> None:
    assert refused_properties(
        vendor("hubspot", id_property="customer_id"), **{"Lifetime Value": 5, "vip": True}
    ).keys() == {"Lifetime Value"}


def test_events_of_hubspot_need_the_e_mail() -> None:
    with pytest.raises(ValueError, match="`events` needs `id_property: email`"):
        vendor("hubspot", id_property="customer_id", events=True)


def hubspot_at(url: str, **options: Any) -> FieldsDestination:
    destination = vendor("hubspot", url=url, **options)
    assert isinstance(destination, FieldsDestination)
    return destination


def test_hubspots_missing_properties_are_named(receiver: Receiver) -> None:
    receiver.will_answer(Reply(200, b'{"results":[{"name":"email"},{"name":"firstname"}]}'))
    assert hubspot_at(receiver.url).missing_fields(["email", "firstName", "vip"]) == ["vip"]
    assert (receiver.requests[0].method, receiver.requests[0].path) == ("GET", "/crm/v3/properties/contacts")


def test_a_wrong_token_is_named_when_properties_are_listed(receiver: Receiver) -> None:
    receiver.will_answer(Reply(401, b'{"category":"INVALID_AUTHENTICATION"}'))
    with pytest.raises(FieldError, match="its fields can't be listed: HTTP 401: the key is not accepted"):
        hubspot_at(receiver.url).missing_fields(["vip"])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"paging": {}}', "the answer is not a list of fields"),
        (b'{"results": "email"}', "the answer is not a list of fields"),
        (b"<html>Log in</html>", "a page of HTML"),
        (b"", "the answer is not a list of fields"),
    ],
)
def test_an_answer_that_lists_no_properties_does_not_mean_that_all_are_missing(
    receiver: Receiver, body: bytes, reason: str
) -> None:
    receiver.will_answer(Reply(200, body))
    with pytest.raises(FieldError, match=f"its fields can't be listed: .*{reason}"):
        hubspot_at(receiver.url, give_up_after="100ms").missing_fields(["vip"])


def test_nor_does_a_service_that_cannot_be_reached() -> None:
    hubspot = hubspot_at("http://127.0.0.1:1", create_fields=True, give_up_after="100ms")
    with pytest.raises(FieldError, match=r"its fields can't be listed: .*refused"):
        hubspot.missing_fields(["vip"])
    with pytest.raises(FieldError, match=r"the field 'vip' can't be created: .*refused"):
        hubspot.create_fields({"vip": FieldKind.BOOLEAN})


def test_thousands_of_properties_are_listed(receiver: Receiver) -> None:
    properties = [{"name": f"property_{number}", "description": "x" * 500} for number in range(4_000)]
    receiver.will_answer(Reply(200, json.dumps({"results": properties}).encode()))
    assert hubspot_at(receiver.url).missing_fields(["property_3999", "vip"]) == ["vip"]


@pytest.mark.parametrize("reply", [Reply(503), Reply(429, headers={"Retry-After": "0"}), NO_ANSWER])
def test_properties_are_listed_again_after_a_failure_that_passes(receiver: Receiver, reply: Reply) -> None:
    receiver.will_answer(reply, Reply(200, b'{"results":[{"name":"email"}]}'))
    assert hubspot_at(receiver.url).missing_fields(["vip"]) == ["vip"]


@pytest.mark.parametrize(
    ("reply", "requests"), [(Reply(503), 2), (Reply(429, headers={"Retry-After": "60"}), 1), (Reply(403), 1)]
)
def test_properties_are_listed_again_for_no_longer_than_give_up_after(
    receiver: Receiver, reply: Reply, requests: int
) -> None:
    receiver.will_answer(reply)
    with pytest.raises(FieldError, match=f"its fields can't be listed: HTTP {reply.status}"):
        hubspot_at(receiver.url, give_up_after="500ms").missing_fields(["vip"])
    assert len(receiver.requests) == requests


def test_properties_are_created_only_if_the_config_allows_it(receiver: Receiver) -> None:
    with pytest.raises(FieldError, match=r"these fields do not exist there: vip\. Nothing was sent"):
        hubspot_at(receiver.url).create_fields({"vip": FieldKind.BOOLEAN})
    assert receiver.requests == []


def test_each_missing_property_is_created_and_one_that_exists_meanwhile_is_fine(receiver: Receiver) -> None:
    receiver.will_answer(Reply(201, b"{}"), Reply(409, b'{"message":"exists"}'))
    fields = {"vip": FieldKind.BOOLEAN, "total_revenue": FieldKind.NUMBER}
    hubspot_at(receiver.url, create_fields=True).create_fields(fields)
    created = [json.loads(each.body) for each in receiver.requests]
    assert [(each["name"], each["label"], each["type"]) for each in created] == [
        ("vip", "VIP", "bool"),
        ("total_revenue", "Total revenue", "number"),
    ]


# Iterable


def test_a_field_that_iterable_drops_is_refused_for_the_users_that_have_it() -> None:
    iterable = vendor("iterable")
    messages = [iterable.encode(call("ann", vip=True))[0], iterable.encode(call("bob", phone="+4930", vip=False))[0]]
    body = {"successCount": 2, "failCount": 0, "filteredOutFields": ["phoneNumber"]}
    judgement = iterable.judge(Answer(200, json.dumps(body).encode()), messages)
    reason = (
        "HTTP 200: Iterable has no such field and creates none. Allow new fields in the project, or create it there"
    )
    assert judgement.meaning is Meaning.DELIVERED
    assert judgement.refused_fields == {1: {"phone": reason}}


def test_iterable_names_users_by_e_mail_in_any_case() -> None:
    body = {"failCount": 1, "failedUpdates": {"forgottenEmails": ["b@example.com"]}}
    judgement = judged(vendor("iterable", id="email"), 200, body, "a@example.com", "B@example.com")
    assert judgement.refused == {1: "HTTP 200: the user was forgotten in Iterable (GDPR) and can't be updated"}


def test_an_email_project_creates_users_by_id_too() -> None:
    iterable = vendor("iterable", project="email")
    [message] = iterable.encode(call())
    assert sent(iterable, message)["users"] == [
        {"userId": "C-00001", "preferUserId": True, "dataFields": {"vip": True}}
    ]


def test_users_events_and_each_merge_have_their_own_requests_at_iterable() -> None:
    iterable = vendor("iterable")
    merges = [iterable.encode_alias("new", Alias(UserId(old), old, TIMESTAMP)) for old in ("old-1", "old-2")]
    event = iterable.encode_event("new", AudienceEvent("vip", False, "e-1", TIMESTAMP))
    parts = iterable.parts([*merges, *users(iterable, "new", "ann"), event])
    assert [(iterable.request(part).url.rpartition("/api/")[2], len(part)) for part in parts] == [
        ("users/merge", 1),
        ("users/merge", 1),
        ("users/bulkUpdate", 2),
        ("events/trackBulk", 1),
    ]


@pytest.mark.parametrize("name", ["braze", "customerio"])
def test_who_lost_a_value_is_sent_once_more_after_the_merges(name: str) -> None:
    destination = vendor(name)
    merge = destination.encode_alias("new", Alias(UserId("old"), "a-1", TIMESTAMP))
    [lost], [kept] = destination.encode(call("new", plan=None)), destination.encode(call("ann", plan="gold"))
    assert destination.parts([merge, lost, kept]) == [[lost, kept], [merge], [lost]]
    assert destination.parts([lost, kept]) == [[lost, kept]]


def test_a_date_has_iterables_format() -> None:
    [message] = vendor("iterable").encode(call(last_order="2026-11-23T22:51:29+02:00"))
    assert json.loads(message.body)["dataFields"] == {"last_order": "2026-11-23 20:51:29 +00:00"}


def test_a_dot_in_a_name_would_nest_at_iterable_and_is_refused() -> None:
    assert refused_properties(vendor("iterable"), **{"a.b": 1, "vip": True}).keys() == {"a.b"}


# Mixpanel


@pytest.mark.parametrize("body", [0, {"status": 0, "error": "some data points in the request failed validation"}])
def test_mixpanels_200_that_accepted_nothing_is_a_refusal(body: Any) -> None:
    assert judged(vendor("mixpanel"), 200, body).meaning is Meaning.REFUSED


def test_mixpanels_200_to_a_wrong_token_is_said_at_check() -> None:
    assert vendor("mixpanel").remarks[0].startswith("Mixpanel answers 200 to a wrong token or region")


def test_values_and_removed_values_are_two_objects_at_mixpanel() -> None:
    first, second = vendor("mixpanel").encode(call(vip=True, old=None, email="a@example.com"))
    assert json.loads(first.body)["$set"] == {"vip": True, "$email": "a@example.com"}
    assert json.loads(second.body)["$unset"] == ["old"]
    assert first.message_id != second.message_id


def test_records_that_mixpanel_names_are_refused() -> None:
    body = {"code": 400, "failed_records": [{"index": 1, "field": "properties.time", "message": "must be a number"}]}
    judgement = judged(vendor("mixpanel"), 400, body, "ann", "bob")
    assert judgement.refused == {1: "HTTP 400: properties.time: must be a number"}


def test_bucket_is_a_name_of_mixpanel() -> None:
    assert refused_properties(vendor("mixpanel"), bucket=1, vip=True).keys() == {"bucket"}


# OneSignal


def test_an_update_at_onesignal_has_the_user_in_its_address() -> None:
    onesignal = vendor("onesignal", update_only=True)
    [message] = onesignal.encode(call("a/b?c d@é"))
    request = onesignal.request([message])
    assert request.url == "https://api.onesignal.com/apps/app-1/users/by/external_id/a%2Fb%3Fc%20d%40%C3%A9"
    assert json.loads(request.body) == {"properties": {"tags": {"vip": "true"}}}


def test_an_unknown_user_is_refused_by_onesignal_and_a_wrong_app_stops_it() -> None:
    assert judged(vendor("onesignal", update_only=True), 404, {"errors": []}).meaning is Meaning.REFUSED
    assert judged(vendor("onesignal"), 404, {"errors": []}).meaning is Meaning.STOP


def test_a_tag_that_lost_its_value_is_empty_text() -> None:
    [message] = vendor("onesignal").encode(call(old=None, revenue=1.5))
    assert json.loads(message.body)["properties"]["tags"] == {"old": "", "revenue": "1.5"}


# PostHog


def test_values_and_removed_values_are_one_event_at_posthog() -> None:
    [message] = vendor("posthog").encode(call(vip=False, old=None))
    properties = json.loads(message.body)["properties"]
    assert (properties["$set"], properties["$unset"]) == ({"vip": False}, ["old"])


def test_the_uuid_of_a_call_is_the_same_whenever_it_is_sent() -> None:
    [first], [again], [other] = (vendor("posthog").encode(call("C-00001", each)) for each in ("m-1", "m-1", "m-2"))
    assert json.loads(first.body)["uuid"] == json.loads(again.body)["uuid"] != json.loads(other.body)["uuid"]


def test_a_wrong_token_stops_posthog_whatever_its_status() -> None:
    assert judged(vendor("posthog"), 400, {"code": "invalid_api_key"}).meaning is Meaning.STOP

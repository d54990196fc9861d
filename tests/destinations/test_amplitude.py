"""What Amplitude drops silently, refuses whole, and limits; and User Mapping. See docs/destinations/amplitude.md."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from audience_sync.destinations.base import Meaning
from audience_sync.model import Alias, UserId

from .vendors import TIMESTAMP, call, entered, judged, refused_properties, sent, users, vendor

#: A 429 as Amplitude writes it: with every part, the empty ones too.
THROTTLED = {
    "code": 429,
    "error": "Too many requests for some devices and users",
    "eps_threshold": 10,
    "throttled_devices": {},
    "throttled_users": {"C-00002": 11},
    "exceeded_daily_quota_users": {},
    "exceeded_daily_quota_devices": {},
    "throttled_events": [1],
}


def test_a_throttled_user_is_waited_for_and_no_daily_quota_is_used_up() -> None:
    judgement = judged(vendor("amplitude"), 429, THROTTLED, users(vendor("amplitude"), "C-00001", "C-00002"))
    assert (judgement.meaning, judgement.retry_after, judgement.refused) == (Meaning.SLOW_DOWN, 15, {})


@pytest.mark.parametrize("body", [b"", b"Too Many Requests", b"<html></html>"])
def test_a_429_of_any_body_means_15_seconds(body: bytes) -> None:
    judgement = judged(vendor("amplitude"), 429, body, users(vendor("amplitude"), "C-00001"))
    assert (judgement.meaning, judgement.retry_after) == (Meaning.SLOW_DOWN, 15)


def test_a_user_over_the_daily_quota_is_refused_and_the_others_are_sent_once_more() -> None:
    body = {**THROTTLED, "throttled_users": {}, "exceeded_daily_quota_users": {"C-00001": 500_200}}
    judgement = judged(vendor("amplitude"), 429, body, users(vendor("amplitude"), "C-00001", "C-00002"))
    assert judgement.meaning is Meaning.REFUSED
    assert judgement.refused == {0: "HTTP 429: the daily quota of this user is used up"}


@pytest.mark.parametrize(
    "body",
    [
        {"code": 400, "error": "Invalid API key: 0123abc"},
        {"code": 400, "error": "missing_api_key"},
        {"code": 400, "error": "Request missing required field", "missing_field": "api_key"},
    ],
)
def test_a_wrong_key_stops_amplitude_though_its_status_is_400(body: Any) -> None:
    judgement = judged(vendor("amplitude"), 400, body, users(vendor("amplitude"), "C-00001"))
    assert judgement.meaning is Meaning.STOP
    assert judgement.reason.startswith("HTTP 400: the key is not accepted. Correct `destinations.NAME.api_key`")


def test_a_field_that_the_whole_request_lacks_is_no_wrong_key() -> None:
    body = {"code": 400, "error": "Request missing required field", "missing_field": "events"}
    assert judged(vendor("amplitude"), 400, body, users(vendor("amplitude"), "C-00001")).meaning is Meaning.REFUSED


def test_events_that_a_refusal_names_have_the_reason_of_their_list() -> None:
    amplitude = vendor("amplitude")
    body = {
        "code": 400,
        "error": "Request missing required field",
        "missing_field": None,
        "events_with_invalid_fields": {"time": [0]},
        "events_with_missing_fields": {},
        "events_with_invalid_id_lengths": {"user_id": [2]},
        "silenced_events": [3],
    }
    judgement = judged(amplitude, 400, body, users(amplitude, "C-00001", "C-00002", "C-3", "C-00004"))
    assert judgement.refused == {
        0: "HTTP 400: a value is invalid: time",
        2: "HTTP 400: the user id is too short for the project: user_id",
        3: "HTTP 400: Amplitude silences this user or device",
    }


@pytest.mark.parametrize(
    ("body", "meaning"),
    [
        ({"code": 400, "error": "Invalid API key: 0123abc"}, Meaning.STOP),
        ({"code": 400, "error": "Request missing required field"}, Meaning.REFUSED),
        ({"code": 429, "error": "Too many requests"}, Meaning.SLOW_DOWN),
        ({"code": 500, "error": "Internal error"}, Meaning.RETRY),
        ({"code": 200, "events_ingested": 1}, Meaning.DELIVERED),
        ({"code": 100, "success": True}, Meaning.DELIVERED),
    ],
)
def test_the_code_in_the_body_of_a_success_counts(body: Any, meaning: Meaning) -> None:
    assert judged(vendor("amplitude"), 200, body, users(vendor("amplitude"), "C-00001")).meaning is meaning


def test_a_success_may_be_the_word_success() -> None:
    assert judged(vendor("amplitude"), 200, b"success", users(vendor("amplitude"), "a")).meaning is Meaning.DELIVERED


def test_a_property_that_changes_and_one_that_is_unset_are_one_event() -> None:
    [message] = vendor("amplitude").encode(call(vip=True, plan=None, old=None))
    [event] = sent(vendor("amplitude"), message)["events"]
    assert event["user_properties"] == {"$set": {"vip": True}, "$unset": {"plan": "-", "old": "-"}}


def test_a_call_without_a_value_has_no_set() -> None:
    [message] = vendor("amplitude").encode(call(old=None))
    [event] = sent(vendor("amplitude"), message)["events"]
    assert event["user_properties"] == {"$unset": {"old": "-"}}


def test_a_text_that_amplitude_would_cut_is_refused_alone() -> None:
    assert refused_properties(vendor("amplitude"), bio="x" * 1_025, vip=True) == {
        "bio": "'bio' has 1,025 characters and Amplitude takes 1,024 of a text: shorten the value at its source"
    }


def test_more_properties_than_amplitude_accepts_are_several_events() -> None:
    messages = vendor("amplitude").encode(call(**{f"trait_{number}": number for number in range(1_025)}))
    sizes = [len(each["user_properties"]["$set"]) for each in sent(vendor("amplitude"), *messages)["events"]]
    assert sizes == [1_024, 1]


def test_an_audience_event_has_an_id_by_which_repeats_are_dropped() -> None:
    event = vendor("amplitude").encode_event("C-00001", entered())
    assert sent(vendor("amplitude"), event)["events"] == [
        {
            "event_type": "Audience Entered",
            "insert_id": "e-1",
            "time": 1_795_467_089_084,
            "user_id": "C-00001",
            "event_properties": {"audience_key": "vip", "vip": True},
        }
    ]


@pytest.mark.parametrize(
    ("region", "address"),
    [("us", "https://api.amplitude.com/usermap"), ("eu", "https://api.eu.amplitude.com/usermap")],
)
def test_previous_ids_are_mapped_in_a_form_of_their_own_after_the_users(region: str, address: str) -> None:
    amplitude = vendor("amplitude", user_mapping=True, region=region)
    merges = [amplitude.encode_alias("new", Alias(UserId(old), old, TIMESTAMP)) for old in ("old-1", "old-2")]
    [people, mapped] = amplitude.parts([*merges, *users(amplitude, "new")])
    request = amplitude.request(mapped)
    assert (len(people), request.url) == (1, address)
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert parse_qs(request.body.decode()) == {
        "api_key": ["invented-key"],
        "mapping": ['[{"user_id":"old-1","global_user_id":"new"},{"user_id":"old-2","global_user_id":"new"}]'],
    }


def test_previous_ids_are_not_sent_without_the_add_on_and_check_shows_it() -> None:
    assert not vendor("amplitude").has_alias
    assert vendor("amplitude").remarks[-1].startswith("previous ids are not sent: User Mapping is an add-on")
    assert vendor("amplitude", user_mapping=True).has_alias
    assert len(vendor("amplitude", user_mapping=True).remarks) == 1


def test_check_shows_that_a_property_appears_only_at_the_next_event() -> None:
    assert vendor("amplitude").remarks[0] == "Amplitude shows a property only from the user's next event on"

"""What PostHog takes, refuses and answers, besides its recorded cases; see docs/destinations/posthog.md."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audience_sync.destinations.base import Answer, Meaning
from audience_sync.errors import UnsendableError
from audience_sync.model import Alias, AudienceEvent, UserId

from .test_vendors import judged
from .vendors import TIMESTAMP, call, refused_properties, vendor


@pytest.mark.parametrize("user", ["anonymous", "Guest", "null", "undefined", "NaN", "0", "[object Object]"])
def test_an_id_that_means_no_user_is_refused(user: str) -> None:
    with pytest.raises(UnsendableError, match="means no user at PostHog"):
        vendor("posthog").encode(call(user))


def test_an_id_is_counted_in_characters_since_posthog_cuts_it_there() -> None:
    [message] = vendor("posthog").encode(call("é" * 200))
    assert json.loads(message.body)["distinct_id"] == "é" * 200
    with pytest.raises(UnsendableError, match="the user id has 201 characters and PostHog takes 200"):
        vendor("posthog").encode(call("é" * 201))


@pytest.mark.parametrize("previous", ["anonymous", "null", "x" * 201])
def test_a_previous_id_that_posthog_merges_with_no_one_is_refused_without_the_rest(previous: str) -> None:
    with pytest.raises(UnsendableError) as caught:
        vendor("posthog").encode_alias("ann", Alias(UserId(previous), "a-1", TIMESTAMP))
    assert list(caught.value.properties) == ["$alias"]


@pytest.mark.parametrize("name", ["$initial_referrer", "$set", "$geoip_city_name"])
def test_a_name_of_posthogs_own_is_refused_alone(name: str) -> None:
    assert refused_properties(vendor("posthog"), **{name: "x", "vip": True}) == {
        name: f"'{name}' has a name that PostHog uses itself: rename the property"
    }


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, b'{"status":1}', Meaning.DELIVERED),
        (200, b'{"status":"Ok"}', Meaning.DELIVERED),
        (200, b'{"status":"Ok","quota_limited":["recordings"]}', Meaning.DELIVERED),
        (200, b'{"status":"Ok","quota_limited":["events"]}', Meaning.SLOW_DOWN),
        (200, b'{"status":0}', Meaning.REFUSED),
        (400, b"event submitted with an empty distinct_id", Meaning.REFUSED),
        (400, b'{"type":"authentication_error","code":"invalid_api_key"}', Meaning.STOP),
        (401, b"API key is not valid: not_str", Meaning.STOP),
        (408, b"", Meaning.RETRY),
        (413, b"maximum event size exceeded", Meaning.REFUSED),
        (429, b"billing limit reached", Meaning.SLOW_DOWN),
        (503, b"transient error, please retry", Meaning.RETRY),
    ],
)
def test_a_status_and_a_body_have_a_meaning(status: int, body: bytes, meaning: Meaning) -> None:
    posthog = vendor("posthog")
    assert posthog.judge(Answer(status, body), posthog.encode(call())).meaning is meaning


def test_a_used_up_quota_is_waited_for_until_a_later_run() -> None:
    judgement = judged(vendor("posthog"), 200, {"status": "Ok", "quota_limited": ["events", "recordings"]})
    assert judgement.retry_after == 3_600
    assert judgement.reason.startswith("HTTP 200: the event quota of the project is used up, and PostHog dropped the")


def test_a_previous_id_is_merged_in_the_request_of_its_user() -> None:
    posthog = vendor("posthog")
    merge = posthog.encode_alias("new", Alias(UserId("old"), "a-1", TIMESTAMP))
    event = posthog.encode_event("new", AudienceEvent("vip", True, "e-1", TIMESTAMP, '{"email":"a@example.com"}'))
    messages = [merge, *posthog.encode(call("new")), event]
    assert list(posthog.parts(messages)) == [messages]
    batch = json.loads(posthog.request(messages).body)["batch"]
    assert [each["event"] for each in batch] == ["$create_alias", "$set", "Audience Entered"]
    assert batch[2]["properties"] == {"email": "a@example.com", "audience_key": "vip", "vip": True}


@pytest.mark.parametrize(
    ("traits", "properties"),
    [
        ({"old": None}, {"$unset": ["old"]}),
        ({"old": None, "older": None, "vip": False}, {"$set": {"vip": False}, "$unset": ["old", "older"]}),
        ({"cart": [1, None], "plan": "é"}, {"$set": {"cart": [1, None], "plan": "é"}}),
    ],
)
def test_a_value_is_set_and_a_lost_one_unset(traits: dict[str, Any], properties: dict[str, Any]) -> None:
    [message] = vendor("posthog").encode(call(**traits))
    assert json.loads(message.body)["properties"] == {**properties, "$geoip_disable": True, "$is_server": True}


def test_the_place_of_this_server_is_a_remark_where_events_are_sent() -> None:
    assert vendor("posthog", events=True).remarks[-1].startswith("audience events store the place of this server")
    assert [each for each in vendor("posthog").remarks if "place" in each] == []


def test_update_only_is_no_option_because_posthog_would_drop_every_property() -> None:
    with pytest.raises(ValueError, match="update_only"):
        vendor("posthog", update_only=True)

"""What Mixpanel takes, refuses and answers, besides its recorded cases; see docs/destinations/mixpanel.md."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from audience_sync.destinations.base import Meaning
from audience_sync.errors import UnsendableError
from audience_sync.model import Alias, AudienceEvent, UserId

from .test_vendors import judged
from .vendors import TIMESTAMP, call, refused_properties, users, vendor

SECRET = "an-invented-secret"


@pytest.mark.parametrize(
    "user", ["anonymous", "NULL", "undefined", "-1", "n/a", "00000000-0000-0000-0000-000000000000"]
)
def test_an_id_that_means_no_user_is_refused(user: str) -> None:
    with pytest.raises(UnsendableError, match="means no user at Mixpanel"):
        vendor("mixpanel").encode(call(user))
    with pytest.raises(UnsendableError, match="means no user at Mixpanel"):
        vendor("mixpanel").encode_event(user, AudienceEvent("vip", True, "e-1", TIMESTAMP))


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, 1, Meaning.DELIVERED),
        (200, {"code": 200, "num_records_imported": 2, "status": "OK"}, Meaning.DELIVERED),
        (200, {"status": 0, "error": "token, missing or empty"}, Meaning.STOP),
        (200, {"status": 0, "error": "$distinct_id, missing or empty"}, Meaning.REFUSED),
        (400, {"status": 0, "error": "invalid project token"}, Meaning.STOP),
        (401, {"code": 401, "error": "Invalid credentials", "status": "Unauthorized"}, Meaning.STOP),
        (403, {"error": "forbidden", "status": 0}, Meaning.STOP),
        (413, {"code": 413, "error": "request exceeds max limit of 2097152 bytes"}, Meaning.REFUSED),
        (502, {}, Meaning.RETRY),
    ],
)
def test_a_status_and_a_body_have_a_meaning(status: int, body: Any, meaning: Meaning) -> None:
    assert judged(vendor("mixpanel"), status, body).meaning is meaning


@pytest.mark.parametrize(
    ("imported", "meaning"),
    [(2, Meaning.DELIVERED), (999, Meaning.DELIVERED), (1, Meaning.REFUSED), (None, Meaning.REFUSED)],
    ids=["the others", "more", "not all others", "not counted"],
)
def test_a_400_that_counts_all_others_as_imported_has_accepted_them(imported: int | None, meaning: Meaning) -> None:
    body = {
        "code": 400,
        "num_records_imported": imported,
        "failed_records": [{"index": 1, "insert_id": "x", "field": "properties.time", "message": "is invalid"}],
    }
    judgement = judged(vendor("mixpanel"), 400, body, "ann", "bob", "cy")
    assert judgement.meaning is meaning
    assert judgement.refused == {1: "HTTP 400: properties.time: is invalid"}


def test_previous_ids_are_merged_only_with_the_api_secret_and_check_says_so() -> None:
    assert not vendor("mixpanel").has_alias
    assert vendor("mixpanel").remarks[1] == "previous ids are not sent: Mixpanel merges them with `api_secret` only"
    assert vendor("mixpanel", api_secret=SECRET).has_alias
    assert vendor("mixpanel", api_secret=SECRET).remarks[1].startswith("previous ids are merged in projects with the")


def test_users_events_and_merges_have_their_own_requests_and_merges_the_secret() -> None:
    mixpanel = vendor("mixpanel", api_secret=SECRET)
    merge = mixpanel.encode_alias("new", Alias(UserId("old"), "a-1", TIMESTAMP))
    event = mixpanel.encode_event("new", AudienceEvent("vip", True, "e-1", TIMESTAMP))
    parts = mixpanel.parts([merge, event, *users(mixpanel, "new")])
    requests = [mixpanel.request(part) for part in parts]
    assert [each.url.partition(".com")[2] for each in requests] == [
        "/engage?strict=1&verbose=1&ip=0",
        "/import?strict=1",
        "/import?strict=1",
    ]
    assert requests[2].headers["Authorization"] == f"Basic {b64encode(f'{SECRET}:'.encode()).decode()}"
    assert json.loads(requests[2].body) == [
        {"event": "$merge", "properties": {"$distinct_ids": ["new", "old"], "token": "invented-token"}}
    ]
    assert requests[1].headers["Authorization"] == f"Basic {b64encode(b'invented-token:').decode()}"


def test_a_lost_value_is_unset_once_more_after_a_merge_which_would_bring_it_back() -> None:
    mixpanel = vendor("mixpanel", api_secret=SECRET)
    merge = mixpanel.encode_alias("new", Alias(UserId("old"), "a-1", TIMESTAMP))
    sets, unsets = mixpanel.encode(call("new", vip=True, plan=None))
    assert mixpanel.parts([merge, sets, unsets]) == [[sets, unsets], [merge], [unsets]]
    assert mixpanel.parts([sets, unsets]) == [[sets, unsets]]


def test_the_api_secret_is_in_no_reason() -> None:
    judgement = judged(vendor("mixpanel", api_secret=SECRET), 401, {"error": f"no such key {SECRET}"})
    assert SECRET not in judgement.reason


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (nested(4), "'x' is nested 4 deep and Mixpanel takes 3: flatten the value at its source"),
        ([nested(4)], "'x' is nested 4 deep and Mixpanel takes 3: flatten the value at its source"),
        (
            {"a": {str(number): 1 for number in range(256)}},
            "'x' has an object of 256 keys and Mixpanel takes 255",
        ),
        ("é" * 128, "'x' has 256 bytes and Mixpanel takes 255 of a value: shorten the value at its source"),
        (
            ["a", "é" * 128],
            "'x' has a text of 256 bytes and Mixpanel takes 255 of a text: shorten the value at its source",
        ),
    ],
)
def test_a_value_over_a_limit_is_refused_alone(value: Any, reason: str) -> None:
    assert refused_properties(vendor("mixpanel"), x=value, vip=True) == {"x": reason}


@pytest.mark.parametrize("value", [nested(3), {str(number): 1 for number in range(255)}, "a" * 255, ["a" * 255, 1]])
def test_a_value_within_the_limits_is_sent(value: Any) -> None:
    [message] = vendor("mixpanel").encode(call(x=value))
    assert json.loads(message.body)["$set"]["x"] == value


def test_identifiers_have_mixpanels_names_in_events() -> None:
    event = AudienceEvent("vip", True, "e-1", TIMESTAMP, '{"email":"a@example.com","crm_id":7}')
    properties = json.loads(vendor("mixpanel").encode_event("ann", event).body)["properties"]
    assert (properties["$email"], properties["crm_id"], properties["vip"]) == ("a@example.com", 7, True)
    assert (properties["time"], properties["distinct_id"], len(properties["$insert_id"])) == (1795467089084, "ann", 36)

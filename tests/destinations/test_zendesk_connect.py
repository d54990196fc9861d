"""What Zendesk Connect gets, and what its answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audience_sync.destinations.base import Answer, Audiencing, HttpRequest, Limits, Meaning
from audience_sync.destinations.http.statuses import HTML_PAGE
from audience_sync.destinations.zendesk_connect.destination import ZendeskConnectDestination
from audience_sync.errors import UnsendableError

from .examples import PRIVATE_KEY, a_call, cases, connect
from .receiver import Receiver, Reply


def requests_for(users: int) -> list[HttpRequest]:
    """The requests of so many users in batches as large as the limits allow."""
    destination = connect()
    messages = [message for number in range(users) for message in destination.encode(a_call(f"u-{number}"))]
    size = destination.limits.messages
    return [destination.request(messages[start : start + size]) for start in range(0, users, size)]


def test_one_user_goes_to_identify(receiver: Receiver) -> None:
    destination = connect(url=receiver.url)
    transport = destination.open()
    judgement = transport.send(destination.encode(a_call("u-1", {"order_completed_last_30days": True})))
    transport.close()
    (request,) = receiver.requests
    assert judgement.meaning is Meaning.DELIVERED
    assert (request.method, request.path) == ("POST", "/v2/identify")
    assert request.headers["x-outbound-key"] == PRIVATE_KEY
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-outbound-client"] == "audience-sync/0.1.0"
    assert request.body == b'{"user_id":"u-1","attributes":{"order_completed_last_30days":true}}'


def test_two_users_go_to_the_batch_as_a_bare_array(receiver: Receiver) -> None:
    destination = connect(url=receiver.url)
    transport = destination.open()
    transport.send([*destination.encode(a_call("u-1")), *destination.encode(a_call("u-2", '{"vip":false}'))])
    transport.close()
    (request,) = receiver.requests
    assert request.path == "/v2/identify/batch"
    assert request.body == (
        b'[{"user_id":"u-1","attributes":{"vip":true}},{"user_id":"u-2","attributes":{"vip":false}}]'
    )


BATCHES = {case["id"]: case for case in cases("zendesk_connect.json", "cases") if case["kind"] == "batch"}


def test_the_sdks_batch_of_two() -> None:
    case = BATCHES["sdk-batch-2"]
    destination = connect()
    messages = [
        message
        for user in case["input"]
        for message in destination.encode(a_call(user["user_id"], {"timezone": user["timezone"]}))
    ]
    request = destination.request(messages)
    assert request.url == "https://api.outbound.io" + case["expected"]["path"]
    assert json.loads(request.body) == [user | {"attributes": {}} for user in case["expected"]["body"]]


@pytest.mark.parametrize("id", ["sdk-batch-101", "sdk-batch-250"])
def test_the_sdks_batches_of_100(id: str) -> None:
    requests = requests_for(BATCHES[id]["input"]["queued_users"])
    assert [request.url.removeprefix("https://api.outbound.io") for request in requests] == [
        expected["path"] for expected in BATCHES[id]["expected"]
    ]
    assert [request.body.count(b'"user_id"') for request in requests] == [
        expected["items"] for expected in BATCHES[id]["expected"]
    ]


def test_a_peers_audience_export_is_the_same_user() -> None:
    case = BATCHES["peer-lytics-enter"]
    (message,) = connect().encode(a_call("u1", {"lytics_test_audience": True}))
    assert [json.loads(message.body)] == case["expected"]["body"]


def guid(*ids: str) -> str:
    destination = connect()
    messages = [message for id in ids for message in destination.encode(a_call(message_id=id))]
    return destination.request(messages).headers["X-Outbound-GUID"]


def test_a_repeat_has_the_same_guid_and_nothing_else_has() -> None:
    assert guid("m-1", "m-2") == guid("m-1", "m-2") == "c09b1c5e-f503-5b9d-949c-e89296a30436"
    assert len({guid("m-1"), guid("m-2"), guid("m-1", "m-2"), guid("m-2", "m-1")}) == 4


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://127.0.0.1:1/v2"])
def test_the_path_is_appended_to_the_url(url: str) -> None:
    assert connect(url=url).address == "http://127.0.0.1:1/v2/identify"


def test_the_limits() -> None:
    assert connect().limits == Limits(100, 499_898)
    assert connect(batch_size=7).limits.messages == 7


@pytest.mark.parametrize(
    ("user_id", "traits"),
    [
        pytest.param("", "{}", id="no user id"),
        pytest.param("\ud800", "{}", id="an id that is no text"),
        pytest.param("u-1", '{"a":"\\ud800"}', id="a trait that is no text"),
        pytest.param("u-1", '{"a":1e999}', id="a number that is none"),
        pytest.param("u-1", '{"a":' + "9" * 5000 + "}", id="a number of 5,000 digits"),
        pytest.param("u-1", '{"a":' + "[" * 5000 + "]" * 5000 + "}", id="a trait of 5,000 levels"),
    ],
)
def test_what_connect_would_refuse_is_unsendable(user_id: str, traits: str) -> None:
    with pytest.raises(UnsendableError):
        connect().encode(a_call(user_id, traits))


def test_an_installation_with_an_email_trait_never_takes_the_address_from_the_id() -> None:
    call = a_call("jane@example.test")
    (without,) = connect(Audiencing("i", trait_keys=frozenset({"email"}))).encode(call)
    (with_it,) = connect(Audiencing("i")).encode(call)
    assert "email" not in json.loads(without.body)
    assert json.loads(with_it.body)["email"] == "jane@example.test"


@pytest.mark.parametrize("key", ["gcm", "fcm"])
def test_what_android_tokens_are_called_is_an_option(key: str) -> None:
    call = a_call(traits={"device_token": "t", "device_type": "android"})
    (message,) = connect(android_token=key).encode(call)
    assert json.loads(message.body)[key] == ["t"]


DELIVERIES = [
    pytest.param(case["input"].get("status"), case["expected"], id=case["id"])
    for case in cases("zendesk_connect.json", "cases")
    if case["kind"] == "delivery"
]
OUTCOMES: dict[Meaning, dict[str, Any]] = {
    Meaning.DELIVERED: {"success": True, "retry": False},
    Meaning.RETRY: {"success": False, "retry": True},
    Meaning.SLOW_DOWN: {"success": False, "retry": True},
    Meaning.REFUSED: {"success": False, "retry": False},
    Meaning.STOP: {"success": False, "retry": False},
}


@pytest.mark.parametrize(("status", "expected"), DELIVERIES)
def test_answers_mean_what_they_mean_to_segments_sender(status: int | None, expected: dict[str, bool]) -> None:
    assert OUTCOMES[connect().judge(Answer(status)).meaning] == expected


def test_all_deliveries_are_checked() -> None:
    assert len(DELIVERIES) == 8


ANSWERS = [
    pytest.param(Answer(200), Meaning.DELIVERED, "", id="empty, as the service answered"),
    pytest.param(Answer(200, b"{}"), Meaning.DELIVERED, "", id="an object, as others may"),
    pytest.param(Answer(200, b"OK\n"), Meaning.DELIVERED, "", id="ok, as others may"),
    pytest.param(
        Answer(200, b"down for maintenance"),
        Meaning.RETRY,
        "HTTP 200: but not in Connect's format (down for maintenance)",
        id="a proxy's words",
    ),
    pytest.param(Answer(200, b"<html>Log in"), Meaning.RETRY, f"HTTP 200: {HTML_PAGE}", id="a page"),
    pytest.param(
        Answer(200, b'{"error": {"Message": "no such user", "Code": 7}}'),
        Meaning.REFUSED,
        "HTTP 200: but with an error (no such user, code 7)",
        id="an error that says 200",
    ),
    pytest.param(
        Answer(400, b'{"error": {"Message": "user_id is missing", "Code": 3}}'),
        Meaning.REFUSED,
        "HTTP 400: user_id is missing, code 3",
        id="an invalid call",
    ),
    pytest.param(
        Answer(401, b'{"error": {"Message": "Unauthorized"}}'),
        Meaning.STOP,
        "HTTP 401: the key is not accepted. Correct it under `destinations.NAME` (Unauthorized)",
        id="a wrong key",
    ),
    pytest.param(Answer(500, b"oops"), Meaning.RETRY, "HTTP 500: oops", id="500, also for what is no JSON"),
    pytest.param(Answer(413), Meaning.REFUSED, "HTTP 413", id="too much at once"),
]


@pytest.mark.parametrize(("answer", "meaning", "reason"), ANSWERS)
def test_an_answer_means(answer: Answer, meaning: Meaning, reason: str) -> None:
    judgement = connect().judge(answer)
    assert (judgement.meaning, judgement.reason) == (meaning, reason)


def test_half_an_answer_is_no_success_although_a_success_is_empty(receiver: Receiver) -> None:
    receiver.will_answer(Reply(raw=b"HTTP/1.1 200 O", then="close"), Reply(200))
    destination = connect(url=receiver.url)
    transport = destination.open()
    meanings = [transport.send(destination.encode(a_call())).meaning for _ in range(2)]
    transport.close()
    assert meanings == [Meaning.RETRY, Meaning.DELIVERED]


@pytest.mark.parametrize("name", ["email", "phone", "firstname", "lastname", "id", "userid", "timezone", "devicetoken"])
def test_no_audience_may_be_called_like_a_profile_field(name: str) -> None:
    assert name in ZendeskConnectDestination.profile_fields


def test_name_and_device_travel_whole() -> None:
    assert connect().companions == (("device_token", "device_type"), ("name", "firstName", "lastName"))

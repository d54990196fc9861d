"""What a webhook's receiver gets, and what its answers mean."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from audience_sync.config.loader import load
from audience_sync.destinations.base import Answer, HttpRequest, Judgement, Limits, Meaning
from audience_sync.destinations.http.statuses import HTML_PAGE
from audience_sync.destinations.http.transport import HttpTransport
from audience_sync.destinations.webhook.options import WebhookOptions
from audience_sync.webhook_signature import signature_headers, signing_key

from .examples import SIGNING_SECRET, TOKEN, a_call, webhook
from .receiver import Received, Receiver, Reply

SENT_AT = datetime(2026, 3, 1, 6, 0, 30, 999_000, tzinfo=UTC)
CALL = (
    b'{"type":"identify","messageId":"a1b2c3","userId":"u-1","traits":{"vip":true},'
    b'"timestamp":"2026-03-01T06:00:00.000Z","context":{"library":{"name":"audience-sync","version":"0.1.0"}}}'
)


def sent(receiver: Receiver, *users: str, **options: Any) -> Received:
    """The request with the calls of these users."""
    destination = webhook(url=f"{receiver.url}/identify?v=2", **options)
    transport = HttpTransport(destination, now=lambda: SENT_AT)
    messages = [message for user in users for message in destination.encode(a_call(user))]
    transport.send(messages)
    transport.close()
    (request,) = receiver.requests
    return request


def test_a_call_is_one_request_with_a_json_object(receiver: Receiver) -> None:
    request = sent(receiver, "u-1")
    assert (request.method, request.path, request.body) == ("POST", "/identify?v=2", CALL)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "a1b2c3"
    assert "webhook-signature" not in request.headers


def test_a_batch_is_one_request_with_a_json_array(receiver: Receiver) -> None:
    request = sent(receiver, "u-1", "u-2", body="batch")
    assert [message["userId"] for message in json.loads(request.body)] == ["u-1", "u-2"]
    assert request.body.startswith(b"[" + CALL + b",{")


def test_a_batch_of_one_is_an_array_too(receiver: Receiver) -> None:
    assert sent(receiver, "u-1", body="batch").body == b"[" + CALL + b"]"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_the_method_is_the_configs(receiver: Receiver, method: str) -> None:
    assert sent(receiver, "u-1", method=method).method == method


def test_the_headers_are_the_configs(receiver: Receiver) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "content-type": "application/vnd.identify+json"}
    request = sent(receiver, "u-1", headers=headers)
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["content-type"] == "application/vnd.identify+json"


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        pytest.param({}, Limits(1, 999_997), id="a call"),
        pytest.param({"body": "batch"}, Limits(100, 999_898), id="a batch"),
        pytest.param({"body": "batch", "batch_size": 500}, Limits(500, 999_498), id="a larger batch"),
    ],
)
def test_a_request_holds(options: dict[str, Any], limits: Limits) -> None:
    assert webhook(**options).limits == limits


def test_a_batchs_id_is_made_of_all_its_messages() -> None:
    destination = webhook(body="batch")
    one, two = (destination.encode(a_call("u-1", message_id=name))[0] for name in ("m1", "m2"))
    ids = [destination.request(messages).headers["webhook-id"] for messages in ([one, two], [one, two], [two, one])]
    assert ids[0] == ids[1] != ids[2]
    assert destination.request([one]).headers["webhook-id"] == "m1"


# Signatures -----------------------------------------------------------------------------------------------------------


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """Its libraries' own example."""
    at = datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)
    key = signing_key(SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    assert signature_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', at) == {
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_request_is_signed_with_the_time_of_its_sending(receiver: Receiver) -> None:
    request = sent(receiver, "u-1", secret=SIGNING_SECRET)
    assert request.headers["webhook-timestamp"] == "1772344830"  # 06:00:30, whole seconds
    assert request.headers["webhook-signature"] == "v1,JnfWY0e+ed8iKXQE7JfdHdZxq7VVQTONCdfkyi7KHGA="


def test_a_repeat_has_the_same_id_and_body_and_the_time_of_its_own_sending() -> None:
    destination = webhook(secret=SIGNING_SECRET)
    request = destination.request(destination.encode(a_call()))
    first = destination.signed(request, datetime(2026, 3, 1, 6, 0, tzinfo=UTC))
    second = destination.signed(request, datetime(2026, 3, 1, 7, 0, tzinfo=UTC))
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_without_a_secret_nothing_is_signed() -> None:
    request = HttpRequest("POST", "https://hooks.example.test", {"webhook-id": "m1"}, b"{}")
    assert webhook().signed(request, SENT_AT) == request


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        pytest.param(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), id="whsec"
        ),
        pytest.param("any text at all", b"any text at all", id="plain"),
    ],
)
def test_a_secret_is_base64_or_a_plain_text(secret: str, key: bytes) -> None:
    assert signing_key(SecretStr(secret)) == key


def test_headers_and_secrets_that_stand_in_the_config_itself_may_appear_in_no_output(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "sources: {shop: {files: .}}\n"
        "audiences: [{name: VIP, source: shop, file: vip.csv}]\n"
        f"destinations: {{hook: {{type: webhook, url: http://h, secret: {SIGNING_SECRET}, headers: {{X: {TOKEN}}}}}}}"
    )
    types = {"webhook": WebhookOptions}
    settings = load(tmp_path / "config.yaml", environment=None, variables={}, destination_types=types)
    assert set(settings.secrets) >= {SIGNING_SECRET, TOKEN}
    assert [secret for secret in (SIGNING_SECRET, TOKEN) if secret in repr(settings)] == []


# Answers --------------------------------------------------------------------------------------------------------------

DEFAULTS = [
    (None, Meaning.RETRY),
    (200, Meaning.DELIVERED),
    (202, Meaning.DELIVERED),
    (204, Meaning.DELIVERED),
    (302, Meaning.STOP),
    (400, Meaning.REFUSED),
    (401, Meaning.STOP),
    (403, Meaning.STOP),
    (404, Meaning.STOP),
    (408, Meaning.RETRY),
    (409, Meaning.REFUSED),
    (413, Meaning.REFUSED),
    (422, Meaning.REFUSED),
    (429, Meaning.SLOW_DOWN),
    (500, Meaning.RETRY),
    (501, Meaning.STOP),
    (503, Meaning.RETRY),
]


@pytest.mark.parametrize(("status", "meaning"), DEFAULTS)
def test_by_default_a_status_means(status: int | None, meaning: Meaning) -> None:
    assert webhook().judge(Answer(status)).meaning is meaning


OWN = {"409": "delivered", "4XX": "stop", "404": "refused", "503": "slow_down", "5xx": "refused"}
CHANGED = [
    pytest.param(409, Meaning.DELIVERED, id="a status"),
    pytest.param(400, Meaning.STOP, id="a hundred"),
    pytest.param(404, Meaning.REFUSED, id="a status that has a meaning by default"),
    pytest.param(429, Meaning.SLOW_DOWN, id="a default's status stays, though its hundred has changed"),
    pytest.param(501, Meaning.STOP, id="another one"),
    pytest.param(503, Meaning.SLOW_DOWN, id="a status before its hundred"),
    pytest.param(500, Meaning.REFUSED, id="the rest of the hundred"),
    pytest.param(200, Meaning.DELIVERED, id="a hundred that was not named"),
    pytest.param(302, Meaning.STOP, id="another hundred"),
]


@pytest.mark.parametrize(("status", "meaning"), CHANGED)
def test_the_configs_answers_go_over_the_defaults(status: int, meaning: Meaning) -> None:
    assert webhook(answers=OWN).judge(Answer(status)).meaning is meaning


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(
            Answer(401), "HTTP 401: the key is not accepted. Correct it under `destinations.NAME`", id="as by default"
        ),
        pytest.param(
            Answer(404, b"no such user"), "HTTP 404: no such user", id="a status that means another thing here"
        ),
        pytest.param(Answer(400, f"bad token {TOKEN}".encode()), "HTTP 400: bad token ***", id="a secret"),
    ],
)
def test_a_reason_says_what_the_receiver_said(answer: Answer, reason: str) -> None:
    destination = webhook(answers={"404": "refused"}, headers={"Authorization": f"Bearer {TOKEN}"})
    assert destination.judge(answer).reason == reason


def test_a_limit_that_has_another_status_says_how_long_to_wait_too() -> None:
    judgement = webhook(answers={"503": "slow_down"}).judge(Answer(503, headers={"x-ratelimit-reset": "7"}))
    assert judgement == Judgement(Meaning.SLOW_DOWN, "HTTP 503", status=503, retry_after=7)


TAKEN = [
    pytest.param(b"", "", id="nothing"),
    pytest.param(b"", "text/html; charset=utf-8", id="nothing, as a page"),
    pytest.param(b"OK", "text/html; charset=utf-8", id="a word, as a page"),
    pytest.param(b'{"status": "queued"}', "application/json", id="JSON"),
    pytest.param(b"whatever", "", id="text"),
    pytest.param(b'<?xml version="1.0"?><Response/>', "application/xml", id="XML"),
    pytest.param(b"<ok/>", "", id="XML without a type"),
]


@pytest.mark.parametrize(("body", "kind"), TAKEN)
def test_a_success_needs_no_words(body: bytes, kind: str) -> None:
    assert webhook().judge(Answer(200, body, headers={"content-type": kind})).meaning is Meaning.DELIVERED


PAGES = [
    pytest.param(b"<html>Thanks</html>", "", id="a page"),
    pytest.param(b"\xef\xbb\xbf\r\n<!DOCTYPE html>\n<title>Log in</title>", "", id="a byte order mark"),
    pytest.param(b"<!-- portal --><HTML><body>Accept our terms", "text/plain", id="a comment, another type"),
    pytest.param(b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0"><html>', "", id="XHTML"),
    pytest.param(b"<form action=login>", "text/html;charset=UTF-8", id="only the type says it"),
    pytest.param(b"<html>" + b"x" * 2_000_000, "", id="a long page"),
]


@pytest.mark.parametrize("status", [200, 203])
@pytest.mark.parametrize(("body", "kind"), PAGES)
def test_a_page_of_html_is_no_success(body: bytes, kind: str, status: int) -> None:
    judgement = webhook().judge(Answer(status, body, headers={"content-type": kind}))
    assert judgement == Judgement(Meaning.RETRY, f"HTTP {status}: {HTML_PAGE}", status=status)


@pytest.mark.parametrize("named", ["200", "2xx"])
def test_a_page_is_a_success_where_the_config_says_so_of_its_status(named: str) -> None:
    assert webhook(answers={named: "delivered"}).judge(Answer(200, b"<html>")).meaning is Meaning.DELIVERED


def test_other_answers_of_the_config_leave_a_page_no_success() -> None:
    assert webhook(answers={"409": "delivered"}).judge(Answer(200, b"<html>")).meaning is Meaning.RETRY


def test_a_receiver_that_refuses_is_distinguished_from_one_that_fails(receiver: Receiver) -> None:
    receiver.will_answer(Reply(409, b"known already"), Reply(500, b"oops"))
    destination = webhook(url=receiver.url, answers={"409": "delivered"})
    transport = destination.open()
    meanings = [transport.send(destination.encode(a_call())).meaning for _ in range(2)]
    transport.close()
    assert meanings == [Meaning.DELIVERED, Meaning.RETRY]


# What the config may not say ------------------------------------------------------------------------------------------

WRONG = [
    pytest.param({"answers": {"5x": "retry"}}, "unknown answer `5x`. Did you mean `5xx`?", id="no status"),
    pytest.param(
        {"answers": {"600": "retry"}},
        "unknown answer `600`. Answers: 2xx, 3xx, 4xx, 5xx, a status such as 409",
        id="no such status",
    ),
    pytest.param({"answers": {"٤٠٩": "retry"}}, "unknown answer", id="digits of another script"),
    pytest.param(
        {"answers": {"409": "deliverd"}}, "'delivered', 'retry', 'slow_down', 'refused' or 'stop'", id="no meaning"
    ),
    pytest.param({"batch_size": 10}, "`batch_size` is for `body: batch`", id="a batch of single calls"),
    pytest.param({"headers": {"X Y": "a"}}, "is not a valid name of a header", id="a space in a header's name"),
    pytest.param({"headers": {"Webhook-Id": "a"}}, "is made by the program", id="a header of ours"),
    pytest.param({"headers": {"Content-Length": "1"}}, "is made by the program", id="the length"),
    pytest.param({"headers": {"X-Key": ""}}, "is empty", id="no value of a header"),
    pytest.param({"headers": {"X-Key": "hidden\n"}}, "must be ASCII", id="a line's end in a header"),
    pytest.param({"headers": {"X-Key": "hiddén"}}, "must be ASCII", id="a letter that no header carries"),
    pytest.param({"secret": ""}, "is empty", id="no secret"),
    pytest.param({"secret": "whsec_"}, "is empty", id="nothing after whsec_"),
    pytest.param({"secret": "whsec_hidden!"}, "must be base64 after `whsec_`", id="no base64"),
    pytest.param({"url": "https://hidden:hidden@host/"}, "must not carry a user or a password", id="a password"),
    pytest.param({"url": "https://host/hidden#a"}, "must be an address in ASCII", id="a fragment"),
    pytest.param({"url": "https://host/hidden é"}, "must be an address in ASCII", id="a letter and a space"),
    pytest.param({"url": "hidden"}, "must be an address like https://host", id="no address"),
    pytest.param({"method": "GET"}, "'POST', 'PUT' or 'PATCH'", id="a method without a body"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_what_cannot_be_is_refused_without_being_shown(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        webhook(**options)
    assert message in str(refused.value)
    assert "hidd" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://host", "https://host"),
        ("https://host/", "https://host"),
        ("https://host:8080/hooks/T00/key", "https://host:8080/..."),
        ("https://host?token=key", "https://host/..."),
    ],
)
def test_path_and_query_are_not_shown_because_they_often_are_the_key(url: str, address: str) -> None:
    assert webhook(url=url).address == address
    assert webhook(url=url).request(webhook().encode(a_call())).url == url
    assert "key" not in repr(webhook(url=url).options)

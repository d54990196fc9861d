"""What RudderStack gets, and what its answers mean."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from audience_sync.destinations.base import Answer, Judgement, Limits, Meaning
from audience_sync.destinations.segment.rudderstack import RudderStackOptions
from audience_sync.errors import UnsendableError

from .examples import a_call, rudderstack
from .receiver import Receiver, Reply


def test_one_batch_request_has_all_messages(receiver: Receiver) -> None:
    receiver.will_answer(Reply(200, b"ok\n"))
    destination = rudderstack(url=receiver.url, write_key="wk-1")
    transport = destination.open()
    messages = [*destination.encode(a_call("u-1")), *destination.encode(a_call("007", '{"vip":false}', "d4"))]
    judgement = transport.send(messages)
    transport.close()
    (request,) = receiver.requests
    assert judgement == Judgement(Meaning.DELIVERED, status=200)
    assert (request.method, request.path) == ("POST", "/v1/batch")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Basic d2stMTo="  # wk-1 and a colon
    assert request.body == (
        b'{"batch":['
        b'{"type":"identify","messageId":"a1b2c3","userId":"u-1","traits":{"vip":true},'
        b'"timestamp":"2026-03-01T06:00:00.000Z","context":{"library":{"name":"audience-sync","version":"0.1.0"}}},'
        b'{"type":"identify","messageId":"d4","userId":"007","traits":{"vip":false},'
        b'"timestamp":"2026-03-01T06:00:00.000Z","context":{"library":{"name":"audience-sync","version":"0.1.0"}}}'
        b"]}"
    )


def test_there_is_no_default_address() -> None:
    with pytest.raises(ValidationError, match="url"):
        RudderStackOptions.model_validate({"type": "rudderstack", "write_key": "wk-1"})


def test_the_limits_leave_room_for_the_envelope() -> None:
    assert rudderstack().limits == Limits(2_500, 3_997_488)
    assert rudderstack(batch_size=10).limits.messages == 10
    assert rudderstack(batch_size=9_999).limits.messages == 2_500


def test_a_full_batch_is_4_000_000_bytes_at_most() -> None:
    destination = rudderstack()
    (message,) = destination.encode(a_call(traits={"x": ""}))
    size = destination.limits.request_bytes // 2_500
    (filled,) = destination.encode(a_call(traits={"x": "y" * (size - len(message.body))}))
    assert len(filled.body) == size
    assert 3_990_000 < len(destination.request([filled] * 2_500).body) <= 4_000_000


def test_a_message_may_have_any_number_of_traits() -> None:
    (message,) = rudderstack().encode(a_call(traits={f"t{number}": number for number in range(1_000)}))
    assert len(json.loads(message.body)["traits"]) == 1_000


def test_traits_that_are_too_many_bytes_together_are_split() -> None:
    messages = rudderstack().encode(a_call(traits=dict.fromkeys("abc", "x" * 20_000)))
    assert [list(json.loads(message.body)["traits"]) for message in messages] == [["a"], ["b"], ["c"]]
    assert max(len(message.body) for message in messages) <= 32_768


def test_one_trait_that_is_too_large_is_unsendable() -> None:
    with pytest.raises(UnsendableError, match=r"'bio' makes a message of 40,\d{3} bytes and RudderStack takes 32,768"):
        rudderstack().encode(a_call(traits={"bio": "x" * 40_000}))


def test_integrations_and_compression_are_segments(receiver: Receiver) -> None:
    destination = rudderstack(url=receiver.url, integrations={"All": False}, gzip=True)
    (message,) = destination.encode(a_call())
    assert json.loads(message.body)["integrations"] == {"All": False}
    assert destination.request([message]).headers["Content-Encoding"] == "gzip"


KEY = "HTTP 401: the key is not accepted. Correct it under `destinations.NAME`"
OFF = "HTTP 404: the source is switched off in RudderStack, or nothing accepts calls at this address. Check both"
#: rudder-server, gateway/response/response.go: every text, as it is sent.
ANSWERS = [
    pytest.param(200, b"ok", Meaning.DELIVERED, "", id="ok"),
    pytest.param(200, b"OK\n", Meaning.DELIVERED, "", id="ok in capitals, and a line's end"),
    pytest.param(
        200,
        b"<html>Please log in</html>",
        Meaning.RETRY,
        "HTTP 200: but with a page of HTML: a log-in page or a proxy may be in the way. Check `destinations.NAME.url`",
        id="a login page",
    ),
    pytest.param(400, b"invalid json\n", Meaning.REFUSED, "HTTP 400: invalid json", id="not JSON"),
    pytest.param(
        400,
        b"request neither has anonymousId nor userId\n",
        Meaning.REFUSED,
        "HTTP 400: request neither has anonymousId nor userId",
        id="one bad call fails its batch",
    ),
    pytest.param(
        413,
        b"request size exceeds max limit\n",
        Meaning.REFUSED,
        "HTTP 413: request size exceeds max limit",
        id="too large",
    ),
    pytest.param(401, b"invalid write key\n", Meaning.STOP, f"{KEY} (invalid write key)", id="a wrong key"),
    pytest.param(
        401,
        b"failed to read writekey from header\n",
        Meaning.STOP,
        f"{KEY} (failed to read writekey from header)",
        id="no key",
    ),
    pytest.param(404, b"source is disabled\n", Meaning.STOP, f"{OFF} (source is disabled)", id="a disabled source"),
    pytest.param(404, b"404 page not found\n", Meaning.STOP, f"{OFF} (404 page not found)", id="a wrong address"),
    pytest.param(
        429,
        b"max requests limit reached\n",
        Meaning.SLOW_DOWN,
        "HTTP 429: rate limited (max requests limit reached)",
        id="too many requests",
    ),
    pytest.param(
        410,
        b"",
        Meaning.STOP,
        "HTTP 410: this address no longer accepts calls. Correct `destinations.NAME.url`",
        id="410 is passing for Segment's clients alone",
    ),
    pytest.param(
        503, b"service unavailable\n", Meaning.RETRY, "HTTP 503: service unavailable", id="service unavailable"
    ),
    pytest.param(504, b"gateway timeout\n", Meaning.RETRY, "HTTP 504: gateway timeout", id="gateway timeout"),
]


@pytest.mark.parametrize(("status", "body", "meaning", "reason"), ANSWERS)
def test_an_answer_means(status: int, body: bytes, meaning: Meaning, reason: str) -> None:
    assert rudderstack().judge(Answer(status, body)) == Judgement(meaning, reason, status=status)


def test_too_many_requests_comes_without_a_time_to_wait() -> None:
    assert rudderstack().judge(Answer(429, b"max requests limit reached\n")).retry_after is None


@pytest.mark.parametrize("size", [32_767, 32_768])
def test_a_message_of_32_kib_is_sent_and_one_byte_more_is_not(size: int) -> None:
    (short,) = rudderstack().encode(a_call(traits={"bio": ""}))
    (filled,) = rudderstack().encode(a_call(traits={"bio": "x" * (size - len(short.body))}))
    assert len(filled.body) == size
    with pytest.raises(UnsendableError, match="'bio' makes a message of 32,"):
        rudderstack().encode(a_call(traits={"bio": "x" * (32_769 - len(short.body))}))

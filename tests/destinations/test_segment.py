"""What Segment gets, and what its answers mean."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta

import pytest
from pydantic import ValidationError

from audience_sync.destinations.base import Answer, Audiencing, Limits, Meaning
from audience_sync.errors import UnsendableError

from .examples import WRITE_KEY, a_call, segment
from .receiver import Receiver, Reply


def test_one_batch_request_has_all_messages(receiver: Receiver) -> None:
    receiver.will_answer(Reply(200, b'{"success": true}'))
    destination = segment(url=receiver.url, write_key="wk-1")
    transport = destination.open()
    transport.send([*destination.encode(a_call("u-1")), *destination.encode(a_call("007", '{"vip":false}', "d4"))])
    transport.close()
    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/v1/batch")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Basic d2stMTo="  # wk-1 and a colon
    assert request.headers["user-agent"] == "audience-sync/0.1.0"
    assert request.body == (
        b'{"batch":['
        b'{"type":"identify","messageId":"a1b2c3","userId":"u-1","traits":{"vip":true},'
        b'"timestamp":"2026-03-01T06:00:00.000Z","context":{"library":{"name":"audience-sync","version":"0.1.0"}}},'
        b'{"type":"identify","messageId":"d4","userId":"007","traits":{"vip":false},'
        b'"timestamp":"2026-03-01T06:00:00.000Z","context":{"library":{"name":"audience-sync","version":"0.1.0"}}}'
        b'],"writeKey":"wk-1"}'
    )


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://api.segment.io", "https://api.segment.io/v1/batch"),
        ("https://events.eu1.segmentapis.com/", "https://events.eu1.segmentapis.com/v1/batch"),
        ("http://127.0.0.1:8080/segment", "http://127.0.0.1:8080/segment/v1/batch"),
        ("https://api.segment.io/v1", "https://api.segment.io/v1/batch"),
    ],
)
def test_the_path_is_appended_to_the_url(url: str, address: str) -> None:
    assert segment(url=url).request([]).url == segment(url=url).address == address


def test_integrations_travel_with_every_message() -> None:
    destination = segment(integrations={"All": False, "Braze": True})
    (message,) = destination.encode(a_call())
    assert json.loads(message.body)["integrations"] == {"All": False, "Braze": True}


def test_without_integrations_none_are_named() -> None:
    (message,) = segment().encode(a_call())
    assert "integrations" not in json.loads(message.body)


def test_gzip_carries_the_same_body_in_fewer_bytes() -> None:
    messages = segment().encode(a_call(traits={"bio": "x" * 5000}))
    plain, compressed = segment().request(messages), segment(gzip=True).request(messages)
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(compressed.body) == plain.body
    assert len(compressed.body) < 500
    assert compressed == segment(gzip=True).request(messages)


def test_the_traits_are_sent_as_they_are_written() -> None:
    traits = '{"a":1.10,"b":12345678901234567890,"c":1e2,"d":"é\\u00e9"}'
    (message,) = segment().encode(a_call(traits=traits))
    assert traits.encode() in message.body


def test_the_limits_leave_room_for_the_envelope() -> None:
    assert segment(write_key="wk-1").limits == Limits(2_500, 497_470)
    assert segment(write_key="wk-1", batch_size=10).limits.messages == 10
    assert segment(batch_size=9_999).limits.messages == 2_500


def test_a_full_batch_is_500_000_bytes_at_most() -> None:
    destination = segment()
    limits = destination.limits
    (message,) = destination.encode(a_call(traits={"x": "y" * 30}))
    size = limits.request_bytes // 2_500
    (filled,) = destination.encode(a_call(traits={"x": "y" * (30 + size - len(message.body))}))
    assert len(filled.body) == size
    assert 490_000 < len(destination.request([filled] * 2_500).body) <= 500_000


def test_299_traits_are_one_message_and_300_are_two() -> None:
    assert len(segment().encode(a_call(traits={f"t{number}": number for number in range(299)}))) == 1
    first, second = segment().encode(a_call(traits={f"t{number}": number for number in range(300)}))
    assert len(json.loads(first.body)["traits"]) == 299
    assert json.loads(second.body)["traits"] == {"t299": 299}


def test_each_of_two_messages_has_the_identifiers() -> None:
    traits = {"email": "ada@example.com", **{f"t{number}": number for number in range(299)}}
    first, second = segment().encode(a_call(traits=traits)._replace(identifiers='{"email":"ada@example.com"}'))
    assert len(json.loads(first.body)["traits"]) == 299
    assert json.loads(first.body)["traits"]["email"] == "ada@example.com"
    assert json.loads(second.body)["traits"] == {"email": "ada@example.com", "t298": 298}


def test_commas_within_values_do_not_split_a_message() -> None:
    (message,) = segment().encode(a_call(traits={"bio": "," * 1000}))
    assert json.loads(message.body)["traits"] == {"bio": "," * 1000}


def test_traits_that_are_too_many_bytes_together_are_split() -> None:
    messages = segment().encode(a_call(traits=dict.fromkeys("abc", "x" * 20_000)))
    assert [list(json.loads(message.body)["traits"]) for message in messages] == [["a"], ["b"], ["c"]]


def test_a_split_keeps_every_value_as_it_is_written() -> None:
    large = '"' + "x" * 20_000 + '"'
    traits = f'{{"n" : 1.10 , "a":{large},\n"o":{{"k":[1,{{}}]}},"b" :{large}, "z":null}}'
    first, second = segment().encode(a_call(traits=traits))
    assert f'"traits":{{"n":1.10,"a":{large},"o":{{"k":[1,{{}}]}}}},'.encode() in first.body
    assert f'"traits":{{"b":{large},"z":null}},'.encode() in second.body


def test_no_message_is_over_32_kib() -> None:
    traits = {f"trait_{number}": "é" * number for number in range(250)}
    messages = segment().encode(a_call(traits=json.dumps(traits, ensure_ascii=False)))
    assert max(len(message.body) for message in messages) <= 32_768
    assert len(messages) == 3


@pytest.mark.parametrize("envelope", ["plain", "personas"])
def test_one_trait_that_is_too_large_is_unsendable(envelope: str) -> None:
    with pytest.raises(UnsendableError, match=r"'bio' makes a message of 40,\d{3} bytes and Segment takes 32,768"):
        segment(envelope=envelope).encode(a_call(traits={"vip": True, "bio": "x" * 40_000}))


@pytest.mark.parametrize("user_id", ["", "\ud800"])
def test_an_id_that_segment_drops_is_unsendable(user_id: str) -> None:
    with pytest.raises(UnsendableError):
        segment().encode(a_call(user_id))


def test_a_trait_of_many_levels_that_has_to_be_read_is_unsendable() -> None:
    with pytest.raises(UnsendableError, match="nested too deeply"):
        segment(envelope="personas").encode(a_call(traits='{"a":' + "[" * 100_000 + "]" * 100_000 + "}"))


WRONG_KIND = "this address does not accept such requests. Check `destinations.NAME.url`"
ANSWERS = [
    pytest.param(Answer(200, b'{"success": true}'), Meaning.DELIVERED, "", id="Segment"),
    pytest.param(Answer(200, b"ok"), Meaning.DELIVERED, "", id="RudderStack"),
    pytest.param(Answer(200, b'"OK"\n'), Meaning.DELIVERED, "", id="ok as JSON"),
    pytest.param(Answer(202, b'{"status":"queued"}'), Meaning.DELIVERED, "", id="another server's object"),
    pytest.param(Answer(204), Meaning.DELIVERED, "", id="204 has no body"),
    pytest.param(
        Answer(200, b'{"success": false, "message": "no"}'),
        Meaning.REFUSED,
        'HTTP 200: but without success ({"success": false, "message": "no"})',
        id="success false",
    ),
    pytest.param(Answer(200, b""), Meaning.DELIVERED, "", id="a complete answer without a body"),
    pytest.param(
        Answer(200, b'{"succ'),
        Meaning.RETRY,
        'HTTP 200: but not in the format of a tracking API ({"succ)',
        id="half an object (hazard 14)",
    ),
    pytest.param(
        Answer(200, b"<html>Please log in</html>"),
        Meaning.RETRY,
        "HTTP 200: but with a page of HTML: a log-in page or a proxy may be in the way. Check `destinations.NAME.url`",
        id="a login page",
    ),
    pytest.param(
        Answer(200, b"[1]"), Meaning.RETRY, "HTTP 200: but not in the format of a tracking API ([1])", id="a list"
    ),
    pytest.param(Answer(410), Meaning.RETRY, "HTTP 410", id="410, by Segment's clients"),
    pytest.param(Answer(460), Meaning.RETRY, "HTTP 460", id="460, by Segment's clients"),
    pytest.param(Answer(501), Meaning.STOP, f"HTTP 501: {WRONG_KIND}", id="501"),
    pytest.param(Answer(505), Meaning.STOP, f"HTTP 505: {WRONG_KIND}", id="505"),
    pytest.param(
        Answer(200, b'{"error":"quota"}'),
        Meaning.REFUSED,
        'HTTP 200: but with an error ({"error":"quota"})',
        id="an error that calls itself 200",
    ),
    pytest.param(Answer(200, b'{"success":true,"errors":[]}'), Meaning.DELIVERED, "", id="no errors"),
]


@pytest.mark.parametrize(("answer", "meaning", "reason"), ANSWERS)
def test_an_answer_means(answer: Answer, meaning: Meaning, reason: str) -> None:
    judgement = segment().judge(answer)
    assert (judgement.meaning, judgement.reason, judgement.status) == (meaning, reason, answer.status)


@pytest.mark.parametrize("key", ["", "wk 1", "wk\n", "schlüssel"])
def test_a_key_that_no_key_looks_like_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValidationError) as refused:
        segment(write_key=key)
    assert key == "" or key not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["", "api.segment.io", "ftp://host", "https://u:hidden@host", "https://host/?a=b", "https://h:x", "http://[::1"],
)
def test_an_address_that_cannot_be_one_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        segment(url=url)
    assert "hidden" not in str(refused.value)


def test_the_defaults_are_segments() -> None:
    options = segment().options
    assert (options.url, options.envelope, options.gzip) == ("https://api.segment.io", "plain", False)
    assert options.timeout == timedelta(seconds=30)
    assert WRITE_KEY not in options.model_dump_json()


@pytest.mark.parametrize("size", [32_767, 32_768])
def test_a_message_of_32_kib_is_sent_and_one_byte_more_is_not(size: int) -> None:
    (short,) = segment().encode(a_call(traits={"bio": ""}))
    (filled,) = segment().encode(a_call(traits={"bio": "x" * (size - len(short.body))}))
    assert len(filled.body) == size
    with pytest.raises(UnsendableError, match="'bio' makes a message of 32,"):
        segment().encode(a_call(traits={"bio": "x" * (32_769 - len(short.body))}))


WITH_EMAIL = Audiencing("here", frozenset({"vip"}), frozenset({"email"}))


def test_check_recommends_the_identifier_that_services_behind_segment_need() -> None:
    (remark,) = segment(WITH_EMAIL).remarks
    assert remark.endswith("services behind it that know users by e-mail drop exits: set `identifiers: [email]`")


@pytest.mark.parametrize("identifiers", [["email"], []])
def test_who_has_chosen_identifiers_gets_no_recommendation(identifiers: list[str]) -> None:
    assert segment(WITH_EMAIL, identifiers=identifiers).remarks == ()


def test_without_a_trait_for_e_mail_there_is_nothing_to_recommend() -> None:
    assert segment(Audiencing("here", frozenset({"vip"}), frozenset({"plan"}))).remarks == ()

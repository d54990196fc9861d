"""A request arrives once, in time, and every failure is an answer. Against a real server on loopback."""

from __future__ import annotations

import gzip
import socket
import time
from datetime import UTC, datetime
from http.client import HTTPException
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from urllib3.util.wait import wait_for_read

from audience_sync.destinations.base import Answer, HttpRequest, Judgement, Meaning
from audience_sync.destinations.http.deadline import Deadline, _DeadlineConnection
from audience_sync.destinations.http.transport import HttpTransport

from .examples import PRIVATE_KEY, a_call, connect, segment, webhook
from .receiver import Receiver, Reply, unused_url

OK = Reply(200, b'{"success": true}', {"Content-Type": "application/json"})


def sent(url: str, *, timeout: str = "5s") -> Judgement:
    destination = segment(url=url, timeout=timeout)
    transport = destination.open()
    try:
        return transport.send(destination.encode(a_call()))
    finally:
        transport.close()


def exchanged(url: str, times: int) -> list[Meaning]:
    """The meanings of so many requests, one after the other, over one transport."""
    destination = segment(url=url, timeout="5s")
    transport = destination.open()
    meanings = [transport.send(destination.encode(a_call())).meaning for _ in range(times)]
    transport.close()
    return meanings


def answered(url: str, *, timeout: str = "5s", **options: Any) -> Answer:
    destination = connect(url=url, timeout=timeout, **options)
    transport = HttpTransport(destination)
    try:
        return transport.answer(HttpRequest("POST", url, {}, b"{}"))
    finally:
        transport.close()


def test_a_whole_answer_of_the_expected_form_is_delivered(receiver: Receiver) -> None:
    receiver.will_answer(OK)
    assert sent(receiver.url) == Judgement(Meaning.DELIVERED, status=200)
    assert len(receiver.requests) == 1


CUT_OFF = "the connection was closed before the answer was complete"
FAILURES = {
    "half a status line (hazard 14)": (Reply(raw=b"HTTP/1.1 200 O", then="close"), CUT_OFF),
    "a status line and no headers": (Reply(raw=b"HTTP/1.1 200 OK\r\n", then="close"), CUT_OFF),
    "half a header": (Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Le", then="close"), CUT_OFF),
    "headers without an end": (Reply(raw=b"HTTP/1.1 200 OK\r\nX-A: b\r\n", then="close"), CUT_OFF),
    "less body than announced": (
        Reply(raw=b'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"success": true}', then="close"),
        CUT_OFF,
    ),
    "no body at all though announced": (
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n", then="close"),
        CUT_OFF,
    ),
    "chunks without an end": (
        Reply(raw=b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n{"success": true}\r\n', then="close"),
        CUT_OFF,
    ),
    "half a chunk": (
        Reply(raw=b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n{"succ', then="close"),
        CUT_OFF,
    ),
    "nothing": (Reply(raw=b"", then="close"), CUT_OFF),
    "a reset": (Reply(raw=b"", then="reset"), "the connection was reset"),
    "something that is not HTTP": (Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n", then="close"), "the answer is not HTTP"),
    "half a number for a status": (Reply(raw=b"HTTP/1.1 20", then="close"), "the answer is not HTTP"),
}


@pytest.mark.parametrize(("reply", "error"), FAILURES.values(), ids=FAILURES.keys())
def test_an_answer_that_is_not_whole_is_none(receiver: Receiver, reply: Reply, error: str) -> None:
    receiver.will_answer(reply)
    assert answered(receiver.url) == Answer(None, error=error)
    assert len(receiver.requests) == 1  # never repeated by the client itself


@pytest.mark.parametrize("status", [400, 413, 429, 500])
def test_a_refusal_counts_though_the_connection_breaks_within_its_body(receiver: Receiver, status: int) -> None:
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: 40\r\n\r\n<html>".encode()
    receiver.will_answer(Reply(raw=head, then="reset"))
    answer = answered(receiver.url)
    assert (answer.status, answer.body, answer.is_cut) == (status, b"", True)


def test_no_answer_is_tried_again_and_says_why(receiver: Receiver) -> None:
    receiver.will_answer(Reply(raw=b"HTTP/1.1 200 O", then="close"))
    assert sent(receiver.url) == Judgement(Meaning.RETRY, CUT_OFF)


SLOW = "no complete answer within the time-out"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(raw=b"", then="hang"), id="silence"),
        pytest.param(Reply(raw=b"HTTP/1.1 200 OK\r\n", then="hang"), id="silence within the headers"),
        pytest.param(
            Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", then="hang"), id="silence within the body"
        ),
        pytest.param(Reply(200, b"x" * 1000, seconds_between_bytes=0.02), id="a slow drip (hazard 15)"),
        pytest.param(
            Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000, seconds_between_bytes=0.02),
            id="a slow drip without an announced length",
        ),
    ],
)
def test_the_time_out_is_for_the_whole_request(receiver: Receiver, reply: Reply) -> None:
    receiver.will_answer(reply)
    assert answered(receiver.url, timeout="200ms") == Answer(None, error=SLOW)


def test_a_slow_drip_that_ends_in_time_is_an_answer(receiver: Receiver) -> None:
    receiver.will_answer(Reply(202, b"ok", seconds_between_bytes=0.001))
    assert answered(receiver.url).status == 202


def test_the_deadline_counts_from_the_start_of_each_request() -> None:
    ticks = count(100.0, 4.0)
    deadline = Deadline(lambda: next(ticks))
    deadline.start(10)  # at 100
    assert [deadline.remaining(), deadline.remaining()] == [6, 2]  # at 104 and 108
    with pytest.raises(TimeoutError):
        deadline.remaining()  # at 112
    deadline.start(10)
    assert deadline.remaining() == 6


def test_nobody_there_is_no_answer() -> None:
    with unused_url() as url:
        assert answered(url) == Answer(None, error="connection refused")


def test_an_address_that_cannot_be_used_is_no_answer() -> None:
    transport = HttpTransport(connect())
    answer = transport.answer(HttpRequest("POST", "http://[::1", {}, b"{}"))
    assert answer == Answer(None, error="the address can't be used, check `url`")


def test_a_header_that_cannot_be_sent_does_not_show_its_value(receiver: Receiver) -> None:
    transport = HttpTransport(connect(url=receiver.url))
    answer = transport.answer(HttpRequest("POST", receiver.url, {"X-Outbound-Key": f"{PRIVATE_KEY}\n"}, b"{}"))
    assert answer == Answer(None, error="a header can't be sent: is the key copied whole?")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.will_answer(Reply(status, headers={"Location": "/elsewhere"}), OK)
    assert sent(receiver.url).meaning is Meaning.STOP
    assert [request.path for request in receiver.requests] == ["/v1/batch"]


def test_connections_are_kept_alive(receiver: Receiver) -> None:
    receiver.will_answer(OK, Reply(500, b"oops"), Reply(302, b"moved"), OK)
    destination = segment(url=receiver.url)
    transport = destination.open()
    meanings = [transport.send(destination.encode(a_call())).meaning for _ in range(4)]
    transport.close()
    assert meanings == [Meaning.DELIVERED, Meaning.RETRY, Meaning.STOP, Meaning.DELIVERED]
    assert receiver.connections == 1


def test_after_a_failure_the_next_request_takes_a_new_connection(receiver: Receiver) -> None:
    receiver.will_answer(Reply(200, b"x" * 1000, seconds_between_bytes=0.02), OK)
    destination = segment(url=receiver.url, timeout="200ms")
    transport = destination.open()
    meanings = [transport.send(destination.encode(a_call())).meaning for _ in range(2)]
    transport.close()
    assert meanings == [Meaning.RETRY, Meaning.DELIVERED]
    assert receiver.connections == 2


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(receiver: Receiver) -> None:
    receiver.will_answer(Reply(200, b"ok", headers={"Connection": "close"}, then="close"), OK)
    destination = segment(url=receiver.url)
    transport = destination.open()
    meanings = [transport.send(destination.encode(a_call())).meaning for _ in range(2)]
    transport.close()
    assert meanings == [Meaning.DELIVERED, Meaning.DELIVERED]


def test_an_answer_without_length_ends_with_the_connection(receiver: Receiver) -> None:
    receiver.will_answer(Reply(raw=b'HTTP/1.0 200 OK\r\n\r\n{"success": true}', then="close"))
    assert sent(receiver.url).meaning is Meaning.DELIVERED


def test_an_answer_in_chunks_is_read_whole(receiver: Receiver) -> None:
    chunks = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"succe\r\na\r\nss": true}\r\n0\r\n\r\n'
    receiver.will_answer(Reply(raw=chunks))
    assert sent(receiver.url).meaning is Meaning.DELIVERED


@pytest.mark.parametrize("status", [200, 302, 500])
def test_of_an_endless_answer_only_the_beginning_is_read(receiver: Receiver, status: int) -> None:
    receiver.will_answer(Reply(status, b"x" * 5_000_000))
    answer = answered(receiver.url)
    assert (answer.status, len(answer.body), answer.is_cut) == (status, 1024 * 1024, True)


@pytest.mark.parametrize(("most", "read"), [("64KB", 64_000), ("2MB", 2_000_000), ("4MiB", 4 * 1024 * 1024)])
def test_the_config_says_how_much_is_read(receiver: Receiver, most: str, read: int) -> None:
    receiver.will_answer(Reply(200, b"x" * 5_000_000))
    assert len(answered(receiver.url, max_answer=most).body) == read


@pytest.mark.parametrize("most", ["63KB", "5MB", 0])
def test_an_answer_may_not_be_bound_to_nothing_or_to_no_bound(most: object) -> None:
    with pytest.raises(ValidationError, match=r"must be between 64KB and 4MiB|a size is a number and a unit"):
        segment(max_answer=most)


def test_a_packed_answer_is_no_larger_unpacked(receiver: Receiver) -> None:
    receiver.will_answer(Reply(200, gzip.compress(b"x" * 50_000_000), {"Content-Encoding": "gzip"}))
    assert len(answered(receiver.url).body) == 1024 * 1024


NOT_PACKED = {"Content-Encoding": "gzip"}


@pytest.mark.parametrize("body", [b'{"success": true}', b"\x1f\x8bnope", gzip.compress(b"{}" * 99)[:12] + b"x" * 99])
def test_a_success_that_can_not_be_decompressed_is_none_and_says_why(receiver: Receiver, body: bytes) -> None:
    receiver.will_answer(Reply(200, body, NOT_PACKED))
    error = "the answer can't be decompressed: it does not match its Content-Encoding"
    assert sent(receiver.url) == Judgement(Meaning.RETRY, error)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(401, Meaning.STOP), (413, Meaning.REFUSED), (429, Meaning.SLOW_DOWN), (503, Meaning.RETRY)],
)
def test_a_refusal_counts_though_its_body_can_not_be_decompressed(
    receiver: Receiver, status: int, meaning: Meaning
) -> None:
    receiver.will_answer(Reply(status, b"no", NOT_PACKED))
    judgement = sent(receiver.url)
    assert (judgement.meaning, judgement.status) == (meaning, status)


@pytest.mark.parametrize("size", [64 * 1024 - 1, 64 * 1024, 100_000, 1024 * 1024 - 40])
def test_a_long_answer_is_read_to_its_end(receiver: Receiver, size: int) -> None:
    receiver.will_answer(Reply(200, b'{"success": true, "echo": "' + b"x" * size + b'"}'))
    assert sent(receiver.url) == Judgement(Meaning.DELIVERED, status=200)


@pytest.mark.parametrize("destination", [segment, connect])
def test_a_success_too_long_to_be_read_is_none_where_its_words_count(receiver: Receiver, destination: Any) -> None:
    receiver.will_answer(Reply(200, b'{"success": true, "echo": "' + b"x" * 70_000 + b'"}'))
    made = destination(url=receiver.url, max_answer="64KB")
    transport = made.open()
    judgement = transport.send(made.encode(a_call()))
    transport.close()
    reason = (
        "HTTP 200: but the answer is longer than 64,000 bytes, so that it can't be checked; "
        "raise `max_answer` in the config (4MiB at most)"
    )
    assert judgement == Judgement(Meaning.RETRY, reason, status=200)


def test_a_success_too_long_to_be_read_is_one_where_only_the_status_counts(receiver: Receiver) -> None:
    receiver.will_answer(Reply(200, b"x" * 2_000_000))
    made = webhook(url=receiver.url)
    transport = made.open()
    assert transport.send(made.encode(a_call())).meaning is Meaning.DELIVERED
    transport.close()


# Interim answers, and connections that are out of step ----------------------------------------------------------------

WHOLE = b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"success": true}'
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
INTERIM = {
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "processing": b"HTTP/1.1 102 Processing\r\n\r\n",
    "early hints": HINT,
    "several": HINT + b"HTTP/1.1 100 Continue\r\n\r\n" + HINT * 5,
    "one that nobody knows": b"HTTP/1.1 199 Odd\r\nX-A: b\r\nContent-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM.keys())
def test_an_interim_answer_is_passed_over(receiver: Receiver, interim: bytes) -> None:
    receiver.will_answer(Reply(raw=interim + WHOLE))
    assert answered(receiver.url).body == b'{"success": true}'


def test_a_connection_is_used_again_after_an_interim_answer(receiver: Receiver) -> None:
    receiver.will_answer(Reply(raw=HINT + WHOLE))
    assert exchanged(receiver.url, 3) == [Meaning.DELIVERED] * 3
    assert (len(receiver.requests), receiver.connections) == (3, 1)


def test_the_answer_after_an_interim_one_counts(receiver: Receiver) -> None:
    receiver.will_answer(Reply(raw=HINT + b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"))
    assert sent(receiver.url).meaning is Meaning.STOP


NO_ANSWER = {
    "an interim answer alone": (Reply(raw=HINT, then="close"), CUT_OFF),
    "half an interim answer": (Reply(raw=HINT[:-2], then="close"), CUT_OFF),
    "silence after it": (Reply(raw=HINT, then="hang"), SLOW),
    "interim answers without an end": (Reply(raw=HINT * 1000, then="hang"), "the answer is not HTTP"),
    "another protocol": (
        Reply(raw=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + WHOLE),
        "the answer is not HTTP",
    ),
}


@pytest.mark.parametrize(("reply", "error"), NO_ANSWER.values(), ids=NO_ANSWER.keys())
def test_interim_answers_alone_are_none(receiver: Receiver, reply: Reply, error: str) -> None:
    receiver.will_answer(reply)
    assert answered(receiver.url, timeout="300ms") == Answer(None, error=error)


STRAY = {
    "a second answer": WHOLE + b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
    "a refusal after nothing": b"HTTP/1.1 204 No\r\n\r\nHTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n",
    "a second answer after chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    + WHOLE,
    "more than was announced": WHOLE + b"\r\n\r\n",
}


@pytest.mark.parametrize("raw", STRAY.values(), ids=STRAY.keys())
def test_a_connection_with_bytes_left_over_is_not_used_again(receiver: Receiver, raw: bytes) -> None:
    receiver.will_answer(Reply(raw=raw), OK)
    assert exchanged(receiver.url, 3) == [Meaning.DELIVERED] * 3
    assert (len(receiver.requests), receiver.connections) == (3, 2)


TWO_LENGTHS = b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize(
    "raw", [TWO_LENGTHS + b'{"success": true}', TWO_LENGTHS.replace(b" 5", b" 0"), TWO_LENGTHS.replace(b"5", b"17, 4")]
)
def test_an_answer_of_two_lengths_is_said_to_be_one(receiver: Receiver, raw: bytes) -> None:
    receiver.will_answer(Reply(raw=raw, then="close"))
    error = "the answer has two lengths that differ: a proxy or server on the way is broken"
    assert answered(receiver.url) == Answer(None, error=error)


def test_an_answer_that_says_its_length_twice_is_one(receiver: Receiver) -> None:
    receiver.will_answer(Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"))
    assert answered(receiver.url).body == b"ok"


def test_nothing_is_taken_from_the_surroundings(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert answered(receiver.url).status == 200
    assert "authorization" not in receiver.requests[0].headers


def test_cookies_are_not_kept(receiver: Receiver) -> None:
    receiver.will_answer(Reply(200, b"ok", headers={"Set-Cookie": "a=b"}))
    destination = segment(url=receiver.url)
    transport = destination.open()
    for _ in range(2):
        transport.send(destination.encode(a_call()))
    transport.close()
    assert "cookie" not in receiver.requests[1].headers


def test_a_repeat_is_the_same_request_to_the_byte(receiver: Receiver) -> None:
    for destination in (segment(url=receiver.url), connect(url=receiver.url)):
        receiver.requests.clear()
        for _ in range(2):
            transport = destination.open()
            transport.send(destination.encode(a_call()))
            transport.close()
        assert receiver.requests[0] == receiver.requests[1]


def test_an_answer_without_a_date_gets_ours(receiver: Receiver) -> None:
    transport = HttpTransport(connect(), now=lambda: datetime(2026, 3, 1, 6, tzinfo=UTC))
    answer = transport.answer(HttpRequest("POST", receiver.url, {}, b"{}"))
    transport.close()
    assert answer.headers["date"] == "Sun, 01 Mar 2026 06:00:00 GMT"


def test_a_reason_repeats_nothing_of_what_was_sent(receiver: Receiver) -> None:
    receiver.will_answer(Reply(400, b'invalid email "jane@example.test" of user u-77 (age 4711)'))
    destination = segment(url=receiver.url)
    transport = destination.open()
    call = a_call("u-77", {"email": "jane@example.test", "age": 4711})
    judgement = transport.send(destination.encode(call))
    transport.close()
    assert judgement == Judgement(Meaning.REFUSED, 'HTTP 400: invalid email "***" of user *** (age ***)', status=400)


def test_words_of_a_server_before_the_request_are_no_answer_to_it() -> None:
    deadline = Deadline(time.monotonic)
    deadline.start(5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = _DeadlineConnection("127.0.0.1", server.getsockname()[1], deadline=deadline)
        connection.connect()
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            assert wait_for_read(connection.sock, timeout=5)
            with pytest.raises(HTTPException, match="an answer before the request"):
                connection.request("POST", "/")
    assert connection.sock is None

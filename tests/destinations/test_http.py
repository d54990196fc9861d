"""Does a request arrive once, in time, and is every failure an answer? Against a real server on loopback."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from audience_sync.destinations.base import Answer, HttpRequest, Judgement, Meaning
from audience_sync.destinations.http import HttpTransport
from audience_sync.destinations.wire import Deadline

from .examples import PRIVATE_KEY, a_call, connect, segment
from .receiver import Receiver, Reply, unused_url

OK = Reply(200, b'{"success": true}', {"Content-Type": "application/json"})


def sent(url: str, *, timeout: str = "5s") -> Judgement:
    destination = segment(url=url, timeout=timeout)
    transport = destination.open()
    try:
        return transport.send(destination.encode(a_call()))
    finally:
        transport.close()


def answered(url: str, *, timeout: str = "5s") -> Answer:
    destination = connect(url=url, timeout=timeout)
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
    assert [deadline.left(), deadline.left()] == [6, 2]  # at 104 and 108
    with pytest.raises(TimeoutError):
        deadline.left()  # at 112
    deadline.start(10)
    assert deadline.left() == 6


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
    assert (answer.status, len(answer.body)) == (status, 64 * 1024)


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
    assert judgement == Judgement(Meaning.REFUSED, 'HTTP 400: invalid email "***" of user *** (age ***)', 400)

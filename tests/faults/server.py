"""Receive calls on loopback over raw sockets, and answer with the fault that a test sets."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

#: Stands in a header's value for the time in two seconds, as HTTP writes it.
IN_TWO_SECONDS = "{in two seconds}"
#: Seconds between two bytes of an answer that drips: whole answers take half a minute.
DRIP = 0.25


@dataclass(frozen=True)
class Fault:
    """A fault of a request, which would be accepted otherwise.

    ``then``: how the answer ends. ``records``: the calls arrive anyway. ``about``: only requests with a call of this
    user have it. ``times``: the number of requests that have it, None for all. ``address``: another address for the
    destination.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    then: Literal["complete", "nothing", "reset", "half", "drip", "silence"] = "complete"
    records: bool = False
    about: str | None = None
    times: int | None = None
    address: str | None = None


@dataclass(frozen=True)
class ReceivedCall:
    """One identify call as it arrived. ``id``: by which the receiver recognises repeats."""

    user: str
    properties: Mapping[str, Any]
    id: str


@dataclass(frozen=True)
class Request:
    """One request. ``at``: monotonic seconds."""

    method: str
    path: str
    headers: Mapping[str, str]
    calls: tuple[ReceivedCall, ...]
    at: float

    @property
    def users(self) -> list[str]:
        return [call.user for call in self.calls]


class FaultServer:
    """Receives calls in the form of any of the protocols; ``success`` is the body of a success.

    ``requests``: all requests; ``recorded``: the calls that arrived, repeats included; ``belief``: the users'
    properties that follow. If ``hold`` is set, the server waits for it before each answer.
    """

    def __init__(self, success: bytes = b"") -> None:
        self.requests: list[Request] = []
        self.recorded: list[ReceivedCall] = []
        self.belief: dict[str, dict[str, Any]] = {}
        self.hold: threading.Event | None = None
        self.received = threading.Condition()
        self._success = success
        self._fault: Fault | None = None
        self._left: int | None = None
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def meet_with(self, fault: Fault | None) -> None:
        """Set the fault from now on; None accepts every call."""
        with self.received:
            self._fault, self._left = fault, fault.times if fault else None

    def members(self, key: str) -> set[str]:
        """The users whom the receiver believes to be in the audience."""
        return {user for user, properties in self.belief.items() if properties.get(key) is True}

    def close(self) -> None:
        self._closing.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                while request := read_request(stream):
                    fault = self._note(request)
                    if self.hold:
                        self.hold.wait(60)
                    if not self._answer(connection, fault):
                        return
        except OSError:  # the client has hung up: part of the tests
            return

    def _note(self, request: Request) -> Fault | None:
        """Record the request; its calls arrive unless a fault prevents it."""
        with self.received:
            fault = self._fault
            if fault and ((fault.about and fault.about not in request.users) or self._left == 0):
                fault = None
            if fault and self._left:
                self._left -= 1
            self.requests.append(request)
            if fault is None or fault.records:
                self.recorded += request.calls
                for call in request.calls:
                    self.belief.setdefault(call.user, {}).update(call.properties)
            self.received.notify_all()
            return fault

    def _answer(self, connection: socket.socket, fault: Fault | None) -> bool:
        """Answer, and return whether the connection stays open."""
        if fault is None:
            connection.sendall(answer(200, self._success, {}))
            return True
        encoded = answer(fault.status, fault.body, fault.headers)
        match fault.then:
            case "complete":
                connection.sendall(encoded)
                return True
            case "half":
                connection.sendall(encoded[: len(encoded) - len(fault.body) // 2 - 1])
            case "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "silence":
                connection.recv(1)  # until the client hangs up
            case "drip":
                self._drip(connection, encoded)
        return False

    def _drip(self, connection: socket.socket, encoded: bytes) -> None:
        for number in range(len(encoded)):
            connection.sendall(encoded[number : number + 1])
            if self._closing.wait(DRIP):
                return


def answer(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value.replace(IN_TWO_SECONDS, soon)}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_request(stream: Any) -> Request | None:
    """Read one request; None at the end of the connection."""
    first = stream.readline().split()
    if not first:
        return None
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    calls = tuple(calls_in(body, headers.get("x-outbound-guid", "")))
    return Request(first[0].decode(), first[1].decode(), headers, calls, time.monotonic())


def calls_in(body: bytes, request_id: str) -> Iterator[ReceivedCall]:
    """The calls of a body: Segment's and RudderStack's batch, Connect's users, a webhook's messages."""
    parsed = json.loads(body) if body else []
    for each in parsed.get("batch", [parsed]) if isinstance(parsed, dict) else parsed:
        if "user_id" in each:
            yield ReceivedCall(each["user_id"], each["attributes"], f"{request_id} {each['user_id']}")
        else:
            yield ReceivedCall(each["userId"], each["traits"], each["messageId"])


@contextmanager
def running(success: bytes = b"") -> Iterator[FaultServer]:
    server = FaultServer(success)
    try:
        yield server
    finally:
        server.close()

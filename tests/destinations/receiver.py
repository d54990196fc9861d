"""A scriptable HTTP server on loopback: records what arrives and answers well, badly, slowly or not at all."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self


@dataclass(frozen=True)
class Received:
    """One request; the names of the headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """One answer. ``raw`` replaces status, headers and body; ``then`` is what becomes of the connection."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    then: Literal["keep", "close", "reset", "hang"] = "keep"
    seconds_between_bytes: float = 0

    def encoded(self) -> bytes:
        if self.raw is not None:
            return self.raw
        headers = {"Content-Length": str(len(self.body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} Said", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


#: The connection is closed instead of an answer.
NO_ANSWER = Reply(raw=b"", then="close")


class Receiver:
    """Answers with the given replies in turn, then always with the last one.

    ``connections`` counts those opened to it, ``open_connections`` those that are still open.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.connections = self.open_connections = 0
        self.changed = threading.Condition()
        self.closing = threading.Event()
        self._replies = [Reply()]
        self._limit: tuple[int, Reply] | None = None
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def will_answer(self, *replies: Reply) -> None:
        self._replies = list(replies)

    def will_limit(self, most: int, reply: Reply) -> None:
        """Give this answer to every larger body, as a proxy on the way does."""
        self._limit = (most, reply)

    def answer(self, request: Received) -> Reply:
        """The answer to a request, which is recorded."""
        self.requests.append(request)
        return self.reply_to(request.body)

    def count(self, opened: int) -> None:
        """Count a connection that was opened (1) or closed (-1)."""
        with self.changed:
            self.connections += max(opened, 0)
            self.open_connections += opened
            self.changed.notify_all()

    def settle(self) -> None:
        """Wait until everything that a sender had sent before it died is recorded."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.open_connections == 0, timeout=60), "connections stay open"

    def reply_to(self, body: bytes) -> Reply:
        if self._limit and len(body) > self._limit[0]:
            return self._limit[1]
        return self.next_reply()

    def next_reply(self) -> Reply:
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that hangs up: that is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.receiver.count(1)

    def finish(self) -> None:
        self.server.receiver.count(-1)
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.receiver.answer(Received(self.command, self.path, headers, body))
        self._send(reply)
        self._end(reply)

    do_GET = do_PUT = do_PATCH = do_POST

    def _send(self, reply: Reply) -> None:
        if not reply.seconds_between_bytes:
            self.wfile.write(reply.encoded())
            return
        for byte in reply.encoded():
            self.wfile.write(bytes([byte]))
            if self.server.receiver.closing.wait(reply.seconds_between_bytes):
                return

    def _end(self, reply: Reply) -> None:
        self.close_connection = reply.then != "keep"
        if reply.then == "hang":
            self.server.receiver.closing.wait()
        if reply.then == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextmanager
def unused_url() -> Iterator[str]:
    """An address on loopback at which no server listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"

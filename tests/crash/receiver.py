"""A receiver that believes what it is sent, as Segment would, and now and then fails."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Message = dict[str, Any]


@dataclass
class Belief:
    """What was received: each message once by its id, and the users' properties that follow from it."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    bodies: dict[str, Message] = field(default_factory=dict)
    newest: dict[tuple[str, str], str] = field(default_factory=dict)  # user, key -> timestamp of the newest message
    unanswered: set[str] = field(default_factory=set)  # ids whose repeat is this receiver's own fault
    repeats: int = 0
    repeats_by_kills: int = 0
    wrong: list[str] = field(default_factory=list)

    def take(self, message: Message) -> None:
        known = self.bodies.get(message["messageId"])
        if known is not None:
            self.repeats += 1
            self.repeats_by_kills += message["messageId"] not in self.unanswered
            if known != message:
                self.wrong.append(f"one message id, two contents: {known} and {message}")
            return
        self.bodies[message["messageId"]] = message
        user = message["userId"]
        known_traits = self.users.get(user, {})
        # The same value again may be older: what had made its call a newer one is no longer sent.
        changed = [key for key, value in message["traits"].items() if known_traits.get(key) != value]
        if any(message["timestamp"] < self.newest.get((user, key), "") for key in changed):
            self.wrong.append(f"older than what was sent before: {message}")
        self.users.setdefault(user, {}).update(message["traits"])
        self.newest |= {
            (user, key): max(message["timestamp"], self.newest.get((user, key), "")) for key in message["traits"]
        }


class Receiver:
    """Segment's ``/v1/batch`` on loopback. ``failures``: the share of requests that fail, before or after they
    were recorded; ``delay``: seconds an answer takes."""

    def __init__(self, chance: random.Random, *, failures: float, delay: float) -> None:
        self.belief = Belief()
        self._lock = threading.Condition()
        self._connections = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["batch"]
                time.sleep(delay)
                with receiver._lock:
                    fate = chance.random()
                    if fate >= failures / 2:  # below: failed before anything was recorded
                        for message in batch:
                            receiver.belief.take(message)
                        ids = {message["messageId"] for message in batch}
                        receiver.belief.unanswered -= ids
                        if fate < failures:
                            receiver.belief.unanswered |= ids
                if fate < failures:
                    self.close_connection = True  # no answer: the sender can't know which of the two it was
                    return
                answer = b'{"success": true}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

            def handle(self) -> None:
                receiver._count(1)
                try:
                    super().handle()
                except ConnectionError:  # the sender was killed
                    self.close_connection = True
                finally:
                    receiver._count(-1)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _count(self, more: int) -> None:
        with self._lock:
            self._connections += more
            self._lock.notify_all()

    def settle(self) -> None:
        """Wait until everything that a sender had sent before it died is recorded."""
        with self._lock:
            assert self._lock.wait_for(lambda: self._connections == 0, timeout=60), "connections stay open"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

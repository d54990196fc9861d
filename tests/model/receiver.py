"""Receivers that believe what they are sent, each with a fault of its own that can be switched on."""

from __future__ import annotations

import json
import threading
from collections.abc import Set
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from crash.receiver import Belief

#: What a fault does to a request: (are its calls recorded, the status; None = no answer).
FAULTS: dict[str, tuple[bool, int | None]] = {
    "down": (False, None),
    "failing": (False, 500),
    "limited": (False, 429),
    "wrong key": (False, 401),
    "answers lost": (True, None),
}


@dataclass
class Destination:
    """One receiver's belief. ``fault`` holds for ``meeting`` requests after the first ``spared``, or for those with a
    call of a user in ``refusing``; nothing may be said to the ``forbidden``. ``joined``: previous ids, which nothing
    may be said to any more; ``inherited``: by user, what is believed of them since it was sent of a previous id."""

    belief: Belief = field(default_factory=Belief)
    fault: str | None = None
    spared: int = 0
    refusing: Set[str] = frozenset()
    forbidden: set[str] = field(default_factory=set)
    messages: int = 0
    ids: dict[str, str] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    inherited: dict[str, set[str]] = field(default_factory=dict)

    def meet(self, batch: list[dict[str, Any]]) -> int | None:
        """Record the calls, or not; returns the status."""
        users = {message["userId"] for message in batch}
        if users & self.forbidden:
            self.belief.wrong.append(f"sent although suppressed: {users & self.forbidden}")
        if users & self.refusing:
            return 400
        recorded, status = (True, 200) if self.fault is None or self.spared > 0 else FAULTS[self.fault]
        self.spared -= 1
        if recorded:
            self.messages += len(batch)
            for message in batch:
                if message["type"] == "track":
                    self._hear(message)
                elif message["type"] == "alias":
                    self._join(message["previousId"], message["userId"])
                else:
                    self._take(message)
        return status

    def _take(self, message: dict[str, Any]) -> None:
        if message["userId"] in self.joined:
            self.belief.wrong.append(f"sent under a previous id: {message}")
        self.belief.take(message)
        self._recognise(message)
        self.inherited.get(message["userId"], set()).difference_update(message["traits"])

    def _join(self, previous: str, new: str) -> None:
        """What is known of the previous id is so of the new one, unless it was sent otherwise."""
        if previous in self.joined:
            return
        self.joined.add(previous)
        mine, theirs = self.belief.users.get(new, {}), self.belief.users.get(previous, {})
        self.inherited[new] = theirs.keys() - mine.keys()
        self.belief.users[new] = {**theirs, **mine, "$alias": [previous]}

    def _hear(self, event: dict[str, Any]) -> None:
        """An event is of a change that the user has just been sent, and no id is of two."""
        key = event["properties"]["audience_key"]
        if self.belief.users[event["userId"]][key] != event["properties"][key]:
            self.belief.wrong.append(f"an event of what is not so: {event}")
        sent = json.dumps([event["userId"], event["event"], event["properties"], event["timestamp"]], sort_keys=True)
        if self.events.setdefault(event["messageId"], sent) != sent:
            self.belief.wrong.append(f"one message id, two events: {event}")
        if list(self.events.values()).count(sent) > 1:
            self.belief.wrong.append(f"one event, two message ids: {event}")

    def _recognise(self, message: dict[str, Any]) -> None:
        """The same change of the same user, made by the same run, has one id however often it is sent."""
        change = json.dumps([message["userId"], message["traits"], message["timestamp"]], sort_keys=True)
        if self.ids.setdefault(change, message["messageId"]) != message["messageId"]:
            self.belief.wrong.append(f"one change, two message ids: {message}")

    def heal(self) -> None:
        self.fault, self.refusing = None, frozenset()


class Receivers:
    """One server for all; ``/name/...`` is the destination of that name."""

    def __init__(self, *names: str) -> None:
        self.each = {name: Destination() for name in names}
        self._lock = threading.Lock()
        receivers = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                batch = said["batch"] if isinstance(said, dict) else said
                with receivers._lock:
                    status = receivers.each[self.path.split("/")[1]].meet(batch)
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

            def handle(self) -> None:
                try:
                    super().handle()
                except (ConnectionError, ValueError):  # the command was killed, in the middle of a body perhaps
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def restart(self) -> None:
        """They have been sent nothing yet."""
        with self._lock:
            self.each = {name: Destination() for name in self.each}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

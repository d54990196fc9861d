"""HTTP destinations that record the calls they accept, in order, and have the fault of the day."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """One server; ``/NAME/...`` is the destination of that name. ``calls``: by destination, since the last command."""

    def __init__(self) -> None:
        self.fault = "well"
        self.calls: dict[str, list[dict[str, Any]]] = {}
        self._slowed: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                document = json.loads(body)
                calls = document["batch"] if isinstance(document, dict) else document
                status = receiver._answer(self.path.split("/")[1], calls)
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Write no log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def begin(self, fault: str) -> None:
        """Forget the calls of the command before. ``fault``: for the next command."""
        self.fault, self.calls, self._slowed = fault, {}, set()

    def _answer(self, destination: str, calls: list[dict[str, Any]]) -> int:
        """The status. The segment destination alone has faults."""
        if destination == "crm":
            if self.fault == "refuses the key":
                return 401
            if self.fault == "refuses users" and any(str(call.get("userId", "")).endswith("7") for call in calls):
                return 400
            if self.fault == "slows down once" and destination not in self._slowed:
                self._slowed.add(destination)
                return 429
        self.calls.setdefault(destination, []).extend(calls)
        return 200

    def close(self) -> None:
        if self._thread.is_alive():  # not at the end of the process, where nothing answers
            self._server.shutdown()
        self._server.server_close()

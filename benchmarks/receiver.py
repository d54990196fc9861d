"""Answer the benchmarks: a server that keeps every body as it came, and counts only when it is asked.

    python benchmarks/receiver.py --port 0 --delay-ms 20 --allow 500

Counting while it answers would make it the limit. ``GET /stats`` says what came since ``POST /reset``; every other
POST is a batch of identify calls.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import math
from collections import Counter, deque
from typing import Any
from urllib.parse import urlsplit

import httptools
import orjson

TAKEN = b'{"success": true}'


class Log:
    """What came, and the limit (requests in any second, None without one) that it came up against."""

    def __init__(self, allow: int | None) -> None:
        self.allow = allow
        self.recent: deque[float] = deque()
        self.reset()

    def reset(self) -> None:
        self.bodies: list[tuple[bytes, bool]] = []
        self.refused = 0

    def wait(self, now: float) -> float:
        """Seconds until another request is taken, 0 where this one is."""
        if self.allow is None:
            return 0.0
        while self.recent and self.recent[0] <= now - 1:
            self.recent.popleft()
        if len(self.recent) >= self.allow:
            self.refused += 1
            return self.recent[0] + 1 - now
        self.recent.append(now)
        return 0.0

    def stats(self) -> dict[str, Any]:
        """Counts, and for each property how many users were last sent ``true``."""
        calls, last = 0, dict[tuple[str, str], Any]()
        users: set[str] = set()
        for body, is_gzip in self.bodies:
            for message in _messages(orjson.loads(gzip.decompress(body) if is_gzip else body)):
                calls += 1
                user = str(message.get("userId"))
                users.add(user)
                last.update(((user, key), value) for key, value in (message.get("traits") or {}).items())
        last_true = Counter(key for (_, key), value in last.items() if value is True)
        requests = len(self.bodies)
        counts = {"requests": requests, "calls": calls, "users": len(users), "refused_429": self.refused}
        return {**counts, "true": last_true, "values": len(last)}


def _messages(document: Any) -> list[dict[str, Any]]:
    if isinstance(document, list):
        return document
    batch: list[dict[str, Any]] = document.get("batch", [document])
    return batch


class Connection(asyncio.Protocol):
    """One client; requests are answered in their order."""

    def __init__(self, log: Log, delay: float) -> None:
        self._log, self._delay = log, delay
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._path, self._gzip, self._body = b"", False, list[bytes]()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-encoding":
            self._gzip = value == b"gzip"
        elif name.lower() == b"expect":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        path = urlsplit(self._path.decode()).path
        if path == "/stats":
            self._answer(b"200 OK", orjson.dumps(self._log.stats()))
        elif path == "/reset":
            self._log.reset()
            self._answer(b"200 OK", b"{}")
        else:
            self._take()

    def _take(self) -> None:
        loop = asyncio.get_running_loop()
        if wait := self._log.wait(loop.time()):
            status = b"429 Too Many Requests\r\nRetry-After: %d" % math.ceil(wait)
            loop.call_later(self._delay, self._answer, status, b"{}")
            return
        self._log.bodies.append((b"".join(self._body), self._gzip))
        if self._delay:
            loop.call_later(self._delay, self._answer, b"200 OK", TAKEN)
        else:
            self._answer(b"200 OK", TAKEN)

    def _answer(self, status: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        self._transport.write(head + body)


async def serve(port: int, delay: float, allow: int | None) -> None:
    log = Log(allow)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(log, delay), "127.0.0.1", port)
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--delay-ms", type=float, default=0, help="before each answer")
    parser.add_argument("--allow", type=int, help="requests in any second; 429 beyond")
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.port, chosen.delay_ms / 1000, chosen.allow))


if __name__ == "__main__":
    main()

"""Measure how much the receiver accepts: bodies that are ready, over a few connections, and nothing else.

What it finds for single calls is the loader's limit as much as the receiver's: both are at least this fast.
"""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

CONNECTIONS = 4
CALL = {
    "type": "identify",
    "messageId": "d942df7a05e61d5496c324d4267d3745",
    "userId": "2462101c-71e1-9f96-ab86-140709158c3f",
    "traits": {"newsletter": True, "buyers": True, "score": 504.51, "city": "City 47"},
    "timestamp": "2026-01-01T00:00:00.000Z",
    "context": {"library": {"name": "audience-sync", "version": "0.1.0"}},
}


def ceiling(url: str) -> dict[str, float]:
    """Calls a second in batches of 2,500, and one in a request."""
    return {
        "batches": _load(url, calls=2_500, requests=200),
        "single": _load(url, calls=1, requests=5_000),
    }


def _load(url: str, *, calls: int, requests: int) -> float:
    """``requests`` by each connection; calls a second, all together."""
    body = json.dumps({"batch": [CALL] * calls}).encode()
    head = f"POST /v1/batch HTTP/1.1\r\nHost: receiver\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    address = urlsplit(url)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        started = time.perf_counter()
        each = [
            pool.submit(_send, (address.hostname or "", address.port or 0), head + body, requests)
            for _ in range(CONNECTIONS)
        ]
        for done in each:
            done.result()
        return calls * requests * CONNECTIONS / (time.perf_counter() - started)


def _send(address: tuple[str, int], request: bytes, times: int) -> None:
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(times):
            connection.sendall(request)
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(4_096)

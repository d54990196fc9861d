"""Make requests to the sandbox without a socket, and values for its tests."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from event_loop import run_async

from audience_sync.sandbox.keys import CONNECT_PAIRS, SEGMENT_KEY
from audience_sync.sandbox.receive.routes import read
from audience_sync.sandbox.values import Call, Reading, Request

NOW = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)
AT = NOW.timestamp()
DEVELOPMENT, PRODUCTION = CONNECT_PAIRS


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{key}:".encode()).decode()}


def segment(document: Any, path: str = "/v1/batch", key: str = SEGMENT_KEY, **headers: str) -> Request:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Request(
        method="POST", path=path, headers={"content-type": "application/json", **basic(key), **headers}, body=body
    )


def connect(document: Any, path: str = "/v2/identify", key: str = DEVELOPMENT.private, **headers: str) -> Request:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method="POST", path=path, headers={"x-outbound-key": key, **named}, body=body)


def received(request: Request) -> Reading:
    return read(request, NOW)


def codes(found: Reading | Call) -> list[str]:
    """The codes of a request's or a call's problems."""
    return [each.code for each in found.problems]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    app: Any, path: str, *, method: str = "GET", query: str = "", headers: Mapping[str, str] = {}, body: bytes = b""
) -> Reply:
    """Call an ASGI application once."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [
            (b"host", b"127.0.0.1:8790"),
            *((name.encode(), value.encode()) for name, value in headers.items()),
        ],
        "scheme": "http",
        "server": ("127.0.0.1", 8790),
        "client": ("127.0.0.1", 50000),
        "http_version": "1.1",
        "root_path": "",
        "app": None,
    }
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    run_async(app(scope, receive, send))
    start = next(each for each in sent if each["type"] == "http.response.start")
    parts: Sequence[bytes] = [each.get("body", b"") for each in sent if each["type"] == "http.response.body"]
    return Reply(
        start["status"],
        {name.decode().lower(): value.decode() for name, value in start["headers"]},
        b"".join(parts),
    )

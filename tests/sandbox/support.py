"""Make requests to the sandbox without a socket, and values for its tests."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp
from web import asgi

from audience_sync.sandbox.answers import ACCEPT, Arrival, Plan, planned_answer
from audience_sync.sandbox.keys import CONNECT_PAIRS, SEGMENT_KEY
from audience_sync.sandbox.receive.routes import read
from audience_sync.sandbox.state.state import State
from audience_sync.sandbox.values import Call, Reading, Request

NOW = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)
AT = NOW.timestamp()
DAY = 86_400
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


def identify(user: str, message_id: str = "", **traits: Any) -> Request:
    return segment({"batch": [{"type": "identify", "userId": user, "messageId": message_id or None, "traits": traits}]})


def track(user: str, event: str, **properties: Any) -> Request:
    return segment({"batch": [{"type": "track", "userId": user, "event": event, "properties": properties}]})


def received(request: Request) -> Reading:
    return read(request, NOW)


def record(state: State, request: Request, *, answer: str = ACCEPT, at: float = AT) -> None:
    """Record a request whose answer is that of a plan: ``500``, ``close``; by default that of the service."""
    found = received(request)
    plan = None if answer == ACCEPT else Plan(answer=answer)
    state.record(Arrival(request=request, reading=found, plan=plan, answer=planned_answer(plan, found), at=at))


def codes(found: Reading | Call) -> list[str]:
    """The codes of a request's or a call's problems."""
    return [each.code for each in found.problems]


def ask(
    app: ASGIApp,
    path: str,
    *,
    method: str = "GET",
    query: str = "",
    headers: Mapping[str, str] = {},
    body: bytes | None = b"",
) -> asgi.Answer:
    """The answer to one request of a program; a browser's has ``accept: text/html``.

    ``body`` None: it never arrives.
    """
    address = f"{path}?{query}" if query else path
    return asgi.ask(app, address, method=method, headers={"accept": "*/*", **headers}, body=body)

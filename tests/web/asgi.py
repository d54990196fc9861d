"""Ask an application without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from event_loop import run_async
from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Answer:
    """An answer; the names of its headers are in lower case."""

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
    app: ASGIApp,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] = {},
    body: bytes | None = b"",
    host: str = "127.0.0.1:8789",
    scheme: str = "http",
) -> Answer:
    """The answer to one request, whose body never arrives if it is None.

    An exception after the answer, as Starlette raises it for the server, is dropped.
    """
    where, _, query = path.partition("?")
    given = {"host": host, "accept": "text/html", **headers}
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": unquote(where),
        "raw_path": where.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8789),
        "state": {},
    }
    sent = list[Message]()

    async def call() -> None:
        pending = [] if body is None else [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return pending.pop() if pending else await asyncio.Future()

        async def send(message: Message) -> None:
            sent.append(message)

        try:
            await app(scope, receive, send)
        except Exception:
            if not sent:
                raise

    run_async(call())
    start = sent[0]
    return Answer(
        start["status"],
        {name.decode(): value.decode("latin-1") for name, value in start["headers"]},
        b"".join(each.get("body", b"") for each in sent[1:]),
    )

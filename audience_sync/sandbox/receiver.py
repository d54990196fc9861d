"""Receive calls over HTTP: read, record, and answer them."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from random import random
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from audience_sync.sandbox.answers import Arrival, planned_answer
from audience_sync.sandbox.receive.body import MOST_BYTES
from audience_sync.sandbox.receive.routes import is_silent, read, settings
from audience_sync.sandbox.state.state import State
from audience_sync.sandbox.values import Answer, Problem, Request

log = logging.getLogger("audience_sync.sandbox")

#: Addresses of forms and pages: everything else that is posted is a call.
FORMS = frozenset({"/answers", "/clear", "/login"})
RECEIVED_METHODS = frozenset({"POST", "PUT", "PATCH"})
#: Seconds in which a body has to arrive.
BODY_SECONDS = 60.0
#: A body of more bytes waits until one of so many places is free, so that many at once don't fill the memory.
SMALL_BODY, LARGE_BODIES = 256 * 1024, 8
#: Headers that each browser may send, and more that it asks for.
CORS_HEADERS = (
    "authorization, content-type, content-encoding, anonymousid, x-outbound-key, x-outbound-client, x-outbound-guid"
)


class Disconnected(Exception):
    """The client closed the connection before the request was complete."""


class Sandbox:
    """The application: calls are received here, and everything else goes to the pages."""

    def __init__(self, state: State, pages: ASGIApp, *, clock: Callable[[], float] = time.time) -> None:
        self._state, self._pages, self._clock = state, pages, clock
        #: One thread: requests are recorded one after the other, and pages stay quick meanwhile.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sandbox")
        self._places = asyncio.Semaphore(LARGE_BODIES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._pages(scope, receive, send)
        method, path = scope["method"], scope["path"]
        if method == "OPTIONS" and not _is_page(path):
            return await _send(send, _preflight(scope))
        if method in RECEIVED_METHODS and not _is_page(path):
            return await self._receive(scope, receive, send)
        if method == "GET" and (found := settings(path, _host(scope))) is not None:
            return await _send(send, _with_cors(Answer(200, json.dumps(found).encode())))
        return await self._pages(scope, receive, send)

    async def _receive(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer, wait = await self._recorded(scope, receive)
        except Disconnected:
            return None
        except sqlite3.Error as error:
            log.error("A request could not be recorded, and was answered with 500: %s", error)
            answer, wait = Answer(500, b"the sandbox can't write its file", "text/plain"), 0.0
        if wait:
            await _wait(receive, wait)
        if answer is None:
            return await _close(receive, send)
        return await _send(send, _with_cors(answer))

    async def _recorded(self, scope: Scope, receive: Receive) -> tuple[Answer | None, float]:
        """Read and record a request. Return its answer, None = the connection is closed, and the seconds until then.

        The body is in memory until this returns.
        """
        began = time.perf_counter()
        async with AsyncExitStack() as place:
            request = await _request(scope, receive, partial(place.enter_async_context, self._places))
            if is_silent(request.path):
                return Answer(200, b'{"success": true}'), 0.0
            loop = asyncio.get_running_loop()
            arrival = await loop.run_in_executor(self._thread, self._handle, request, began)
            return arrival.sent, arrival.wait

    def _handle(self, request: Request, began: float) -> Arrival:
        """Read a request, choose its answer and record both, before it is sent."""
        at = self._clock()
        reading = read(request, datetime.fromtimestamp(at, UTC))
        plan = self._state.plans.next_for(reading, random)
        arrival = Arrival(
            request=request,
            reading=reading,
            plan=plan,
            answer=planned_answer(plan, reading),
            at=at,
            seconds=time.perf_counter() - began,
        )
        self._state.record(arrival)
        return arrival

    def close(self) -> None:
        """Finish the request in progress, and close the file."""
        self._thread.shutdown(wait=True)
        self._state.close()


def _is_page(path: str) -> bool:
    return path in FORMS or path.startswith("/static/")


async def _request(scope: Scope, receive: Receive, find_place: Callable[[], Awaitable[None]]) -> Request:
    """Read the request. A body that is too large or too slow is left out, with the problem.

    ``find_place`` is awaited before more than SMALL_BODY bytes are read.
    """
    pairs = reversed(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    parts, size, problem, has_place = list[bytes](), 0, None, False
    try:
        async with asyncio.timeout(BODY_SECONDS) as limit:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                size += len(part := message.get("body", b""))
                if size <= MOST_BYTES:
                    parts.append(part)
                else:  # the rest is read, too, so that the client gets to the answer
                    parts.clear()
                    problem = Problem("body_too_large", f"the body has {size:,} bytes: the sandbox reads 10 MB")
                if not message.get("more_body"):
                    break
                if size > SMALL_BODY and not has_place:
                    limit.reschedule(None)
                    await find_place()
                    limit.reschedule(asyncio.get_running_loop().time() + BODY_SECONDS)
                    has_place = True
    except TimeoutError:
        parts.clear()
        text = f"the body did not arrive whole within {BODY_SECONDS:g} s: {size:,} bytes came"
        problem = Problem("body_incomplete", text)
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=dict(pairs),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=b"".join(parts),
        problem=problem,
    )


async def _wait(receive: Receive, seconds: float) -> None:
    """Wait so long, or until the client closes the connection."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        pass


async def _close(receive: Receive, send: Send) -> None:
    """Close the connection without an answer. ASGI has no message for that: uvicorn's transport does it."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        return await _send(send, Answer(500))
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
    return None


async def _send(send: Send, answer: Answer) -> None:
    headers = [(b"content-type", answer.content_type.encode()), (b"content-length", str(len(answer.body)).encode())]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _with_cors(answer: Answer, more: Iterable[tuple[str, str]] = ()) -> Answer:
    """Let pages of every site send calls, as the services do. No cookie is needed or read."""
    headers = {"Access-Control-Allow-Origin": "*", **answer.headers, **dict(more)}
    return Answer(answer.status, answer.body, answer.content_type, headers)


def _preflight(scope: Scope) -> Answer:
    asked: Mapping[bytes, bytes] = dict(scope["headers"])
    wanted = asked.get(b"access-control-request-headers", b"").decode("latin-1")
    names = wanted if wanted.isascii() and wanted.isprintable() and wanted else CORS_HEADERS
    allowed = [
        ("Access-Control-Allow-Methods", "POST, PUT, PATCH, GET, OPTIONS"),
        ("Access-Control-Allow-Headers", names),
        ("Access-Control-Max-Age", "600"),
        ("Access-Control-Allow-Private-Network", "true"),
    ]
    return _with_cors(Answer(204, b"", "text/plain"), allowed)


def _host(scope: Scope) -> str:
    found = dict(scope["headers"]).get(b"host", b"127.0.0.1:8790")
    return str(found.decode("latin-1"))

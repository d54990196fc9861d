"""Whatever arrives at whatever address is recorded and answered, and every page can show it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from event_loop import run_async
from starlette.types import Message

from audience_sync.sandbox import receiver
from audience_sync.sandbox.app import sandbox_app
from audience_sync.sandbox.receive.body import MOST_BYTES
from audience_sync.sandbox.receiver import Sandbox
from audience_sync.sandbox.state.state import State

from .support import AT, DEVELOPMENT, ask, basic

VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1.5,
    10**30,
    "",
    " ",
    "\0",
    "\ud800",
    "x" * 5_000,
    [],
    [[]],
    {},
    {"": {"": None}},
)
FIELDS = (
    *("userId", "anonymousId", "type", "traits", "properties", "event", "messageId", "timestamp", "context", "name"),
    *("groupId", "previousId", "user_id", "previous_id", "attributes", "apns", "email", "timezone", "campaign_ids"),
    *("token", "all", "batch", "writeKey", "id", "group_attributes", "category"),
)
ADDRESSES = (
    *("/v1/batch", "/v1/identify", "/v1/track", "/v1/page", "/v1/group", "/v1/alias", "/rudderstack/v1/batch"),
    *("/v2/identify", "/v2/identify/batch", "/v2/track", "/v2/fcm/register", "/v2/unsubscribe/campaigns", "/hooks/a"),
    *("/v1/", "/v2/", "/", "//", "/%00", "/segment/v2/identify"),
)
BODIES = (
    b"",
    b"{",
    b"\xff",
    b"null",
    b"[]",
    b"1e999",
    b"NaN",
    b"[" * 5_000,
    b'{"a":' * 2_000,
    b'{"user_id":"u","userId":"u","type":"identify","traits":' + b'{"a":' * 400 + b"1" + b"}" * 401,
    b'{"userId":"u","n":' + b"9" * 5_000 + b"}",
    b"[" + b"0," * 30_000 + b"0]",
    b'{"batch":[' + b"0," * 30_000 + b"0]}",
    b"a=b",
    b'{"a":1}\n{"a":2}',
)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Sandbox]:
    built = sandbox_app(State(tmp_path / "sandbox.db"), address="http://127.0.0.1:8790", clock=lambda: AT)
    yield built
    built.close()


def bodies() -> Iterator[bytes]:
    yield from BODIES
    for field, value in product(FIELDS, VALUES):
        message = {"type": "identify", "userId": "u", "user_id": "u", "event": "Paid", field: value}
        yield json.dumps(message).encode()
    yield json.dumps({"batch": [{"type": "identify", "userId": "u", "traits": {"\ud800": "\ud800"}}]}).encode()
    yield json.dumps({"batch": list(VALUES)}).encode()
    yield json.dumps(list(VALUES)).encode()


def test_any_body_at_any_address_has_an_answer_and_a_line_in_the_feed(app: Sandbox) -> None:
    headers = {**basic("sandbox-segment"), "x-outbound-key": DEVELOPMENT.private, "content-type": "application/json"}
    known = {200, 400, 401, 404, 413}
    for number, (body, address) in enumerate(product(bodies(), ADDRESSES)):
        if number % 3 == 0:
            status = ask(app, address, method="POST", headers=headers, body=body).status
            assert status in known or (status == 500 and address.startswith("/v2/")), (address, body[:80], status)
    for path in ("/", "/calls.json", "/users", "/events", "/users.csv"):
        found = ask(app, path, query="limit=1000", headers={"accept": "text/html"})
        assert found.status == 200, found.text
    newest = ask(app, "/calls.json", query="limit=1000").json["calls"]
    for call in newest[::7]:
        assert ask(app, f"/calls/{call['call']}").status == 200


@pytest.mark.parametrize("path", ["/v1/batch", "/rudderstack/v1/batch", "/v2/identify", "/hooks/a"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_body_that_is_too_large_is_refused_in_the_words_of_the_service(
    app: Sandbox, path: str, is_packed: bool
) -> None:
    body = b" " * (MOST_BYTES + 1)
    headers = {**basic("sandbox-segment"), "x-outbound-key": DEVELOPMENT.private}
    if is_packed:
        body, headers["content-encoding"] = gzip.compress(body), "gzip"
    found = ask(app, path, method="POST", headers=headers, body=body)
    assert found.status == (400 if path == "/v1/batch" else 413)
    (call,) = ask(app, "/calls.json").json["calls"]
    assert [each["code"] for each in call["problems"]] == ["body_too_large"]
    assert ask(app, "/").status == 200


def test_a_body_that_does_not_arrive_is_answered_after_a_time(app: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "BODY_SECONDS", 0.01)
    assert ask(app, "/v1/batch", method="POST", headers=basic("sandbox-segment"), body=None).status == 400
    (call,) = ask(app, "/calls.json").json["calls"]
    assert [each["code"] for each in call["problems"]] == ["body_incomplete"]


def test_of_large_bodies_only_so_many_are_read_at_the_same_time(
    app: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "LARGE_BODIES", 2)
    app = sandbox_app(State(tmp_path / "small.db"), address="http://127.0.0.1:8790", clock=lambda: AT)
    asked, ends, statuses = list[int](), asyncio.Event(), list[int]()
    first = b'{"batch":[{"type":"identify","userId":"u"}]}' + b" " * receiver.SMALL_BODY

    async def request(number: int) -> None:
        async def receive() -> Message:
            if number not in asked:
                asked.append(number)
                return {"type": "http.request", "body": first, "more_body": True}
            asked.append(number)
            await ends.wait()
            return {"type": "http.request", "body": b" ", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await app(scope, receive, send)

    async def small() -> None:
        answer = asyncio.Event()

        async def receive() -> Message:
            return {"type": "http.request", "body": first.strip(), "more_body": False}

        async def send(message: Message) -> None:
            answer.set()

        await app(scope, receive, send)
        assert answer.is_set()

    async def all_at_once() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(request(number))
            await small()  # does not wait for the large ones
            assert sorted(asked) == [0, 0, 1, 1, 2, 3, 4]
            ends.set()

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/batch",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in basic("sandbox-segment").items()],
    }
    run_async(all_at_once())
    app.close()
    assert statuses == [200] * 5
    assert sorted(asked) == sorted([*range(5)] * 2)


@pytest.mark.parametrize(
    "query",
    [
        "before=x",
        "before=99999999999999999",
        "property=%22%5C&is=is&value=%7B",
        "value=1e400",
        "open=-1",
        "days=0",
        "a" * 3_000,
        "after=%C2%B2",
        "after=99999999999999999",
        "answer=99999999999999999999",
        "limit=0",
    ],
)
@pytest.mark.parametrize("path", ["/", "/users", "/events", "/user", "/calls.json", "/users.csv", "/calls/1"])
def test_an_odd_address_is_a_page_or_a_400(app: Sandbox, path: str, query: str) -> None:
    ask(
        app,
        "/v1/batch",
        method="POST",
        headers=basic("sandbox-segment"),
        body=b'{"batch":[{"type":"identify","userId":"u"}]}',
    )
    assert ask(app, path, query=query, headers={"accept": "text/html"}).status in (200, 400, 404)

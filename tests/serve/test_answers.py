"""Answers of the application without a process: their headers, and errors without secrets."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, NoReturn

import pytest
from event_loop import run_async
from starlette.requests import Request

from audience_sync.errors import StoreError
from audience_sync.serve.app import Service, serve_app
from audience_sync.serve.bodies import idempotency_key
from audience_sync.serve.problems import ProblemError, problem_response
from audience_sync.web.security import Access

from .conftest import TOKEN


def answer_of(error: Exception, path: str, token: str = TOKEN) -> tuple[int, dict[str, str], Any]:
    """The status, the headers and the document of an answer, while the store raises this error."""

    def fail() -> NoReturn:
        raise error

    service: Any = Service(
        **dict.fromkeys(("project", "runs", "status", "metrics")),  # type: ignore[arg-type]  # only the store is read
        reading=fail,
        options="",
        mask=lambda text: text.replace("hunter2", "***"),
    )
    app, messages = serve_app(service, Access(token=TOKEN)), list[Any]()

    async def receive() -> dict[str, str]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        messages.append(message)

    async def answer() -> None:
        await app(scope, receive, send)

    headers = [(b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    with suppress(type(error)):  # an unexpected one is raised again, for the log
        run_async(answer())
    given = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return messages[0]["status"], given, json.loads(messages[1]["body"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreError("the store of bob:hunter2 can't be reached"), 503),
        (StoreError("hunter2"), 503),
        (RuntimeError("hunter2"), 500),
    ],
)
def test_no_error_has_a_secret(error: Exception, status: int) -> None:
    found, _, document = answer_of(error, "/runs")
    assert (found, document["status"]) == (status, status)
    assert "hunter2" not in str(document)


@pytest.mark.parametrize(
    ("path", "token", "status"), [("/health", "", 503), ("/runs", TOKEN, 503), ("/runs", "x", 401)]
)
def test_every_answer_has_the_headers_of_safety(path: str, token: str, status: int) -> None:
    found, headers, _ = answer_of(StoreError("no"), path, token)
    assert (found, headers["x-content-type-options"], headers["cache-control"]) == (status, "nosniff", "no-store")


@pytest.mark.parametrize(
    ("text", "key"),
    [(b"a", "a"), (b'"a b"', "a b"), (b"a" * 255, "a" * 255), (b"", None), (b'""', None), (b"a" * 256, None)],
)
def test_a_key_has_1_to_255_characters(text: bytes, key: str | None) -> None:
    request = Request({"type": "http", "headers": [(b"idempotency-key", text)]})
    if key is not None:
        assert idempotency_key(request) == key
        return
    with pytest.raises(ProblemError, match="has to have 1 to 255 characters") as caught:
        idempotency_key(request)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("problem", "asks_again"),
    [
        (ProblemError(409, "it has ended"), False),
        (ProblemError(409, "another run", error="RunInProgressError"), True),
        (ProblemError(503, "the store"), True),
        (ProblemError(422, "wrong"), False),
    ],
)
def test_what_may_be_asked_again_says_when(problem: ProblemError, asks_again: bool) -> None:
    assert ("retry-after" in problem_response(problem).headers) is asks_again

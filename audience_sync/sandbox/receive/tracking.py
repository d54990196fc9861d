"""Read requests to Segment's and RudderStack's HTTP API, and answer as each of them does."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from audience_sync.sandbox.json_text import written
from audience_sync.sandbox.keys import MASK, destination_name
from audience_sync.sandbox.receive.body import MOST_CALLS, BodyError, parsed, unpacked
from audience_sync.sandbox.receive.messages import MESSAGE_BYTES, TYPES, read_message
from audience_sync.sandbox.values import Answer, Call, Problem, Reading, Request, Service

#: The address's last part -> the type of its message; ``batch`` has many. The short ones are the browser client's.
ENDPOINTS: Mapping[str, str] = {
    **{each: each for each in TYPES},
    "i": "identify",
    "t": "track",
    "p": "page",
    "s": "screen",
    "g": "group",
    "a": "alias",
    "batch": "batch",
    "b": "batch",
    "import": "batch",
    "merge": "alias",
}
MOST_MESSAGES = 2_500
#: Fewer characters are a 400 at Segment (analytics-go issue 205: "empty or very short").
LEAST_KEY = 4
SUCCESS = Answer(200, b'{"success": true}')
#: A write key in the text of a body that is neither a call nor a batch.
_KEY = re.compile(r'"writeKey":"(?:[^"\\]|\\.)*"')
#: Segment's 400 is plain text.
BAD_REQUEST = Answer(400, b"Bad Request", "text/plain; charset=utf-8")


class Limits(NamedTuple):
    """The most bytes of a body, as the service counts them, and how it writes them."""

    body_bytes: int
    text: str


LIMITS = {Service.SEGMENT: Limits(512_000, "500 KB"), Service.RUDDERSTACK: Limits(4_096_000, "4,000 KB")}


def plain(status: int, text: str) -> Answer:
    """RudderStack answers in plain text."""
    return Answer(status, f"{text}\n".encode(), "text/plain; charset=utf-8")


def read_tracking(request: Request, service: Service, endpoint: str, now: datetime) -> Reading:
    """Read a request of Segment's protocol. ``endpoint`` is a value of ``ENDPOINTS``.

    Segment answers 200 to almost everything and drops what is wrong; RudderStack refuses a batch with one wrong call.
    """
    is_segment = service is Service.SEGMENT
    key = key_of(request)
    problems: list[Problem] = []

    def reading(answer: Answer, calls: Sequence[Call] = ()) -> Reading:
        return Reading(
            service=service,
            destination=destination_name(service, key),
            calls=tuple(calls),
            problems=tuple(problems),
            answer=answer,
        )

    try:
        body = unpacked(request)
        limit = LIMITS[service]
        if len(body) > limit.body_bytes:
            raise BodyError("body_too_large", f"the body has {len(body):,} bytes: {limit.text} are accepted")
        document = parsed(body)
    except BodyError as error:
        problems.append(error.problem)
        return reading(_refusal(service, error.problem))
    if isinstance(document, dict):
        in_body = document.pop("writeKey", None)
        key = key or (in_body if is_segment and isinstance(in_body, str) else "")
    if problem := _content_problem(request):
        problems.append(problem)
    items, problem = _items(document, endpoint)
    if problem:
        problems.append(problem)
        is_accepted = is_segment and problem.code in ("empty_batch", "batch_too_long")
        shown = Call("request", "", _KEY.sub(f'"writeKey":"{MASK}"', written(document)), problems=(problem,))
        return reading(SUCCESS if is_accepted else _refusal(service, problem), [shown])
    kind = "" if endpoint == "batch" else endpoint
    calls = [read_message(each, kind, now, is_segment=is_segment) for each in items]
    if endpoint == "batch" and not isinstance(document.get("context", {}), dict | None):
        problems.append(Problem("context_not_object", "`context` is not an object"))
    answer, found = _lenient_answer(key, calls, endpoint, len(body)) if is_segment else _strict_answer(key, calls)
    problems += found
    return reading(answer, calls)


def _refusal(service: Service, problem: Problem) -> Answer:
    """Return the answer to a body that is not a call or a batch."""
    if service is Service.SEGMENT:
        return BAD_REQUEST
    if problem.code == "body_too_large":
        return plain(413, "request size exceeds max limit")
    return plain(400, "empty batch payload" if problem.code == "empty_batch" else "invalid json")


def key_of(request: Request) -> str:
    """Return the write key of basic authorisation, or of the address (a beacon's); empty without one."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return b64decode(value.strip() + "==").decode("utf-8", "replace").partition(":")[0]
        except ValueError:
            return ""
    return request.query.get("writeKey", "")


def _content_problem(request: Request) -> Problem | None:
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found in ("application/json", "text/plain"):  # a browser's beacon sends text
        return None
    what = f"Content-Type is {found}" if found else "Content-Type is missing"
    return Problem("content_type", f"{what}: `application/json` is required", False)


def _items(document: Any, endpoint: str) -> tuple[Sequence[Any], Problem | None]:
    if not isinstance(document, dict):
        return (), Problem("not_an_object", "the body is not a JSON object")
    if endpoint != "batch":
        return (document,), None
    batch = document.get("batch")
    if batch is None:
        return (), Problem("batch_missing", "the body has no `batch`")
    if not isinstance(batch, list):
        return (), Problem("batch_not_list", "`batch` is not a list")
    if len(batch) > MOST_CALLS:
        return (), Problem("batch_too_long", f"the batch has {len(batch):,} messages: the sandbox reads {MOST_CALLS:,}")
    for each in batch:
        if isinstance(each, dict):
            each.pop("writeKey", None)  # the browser's client sends it with each message
    return (batch, None) if batch else ((), Problem("empty_batch", "`batch` is empty"))


def _lenient_answer(key: str, calls: Sequence[Call], endpoint: str, size: int) -> tuple[Answer, list[Problem]]:
    if len(key) < LEAST_KEY:
        what = "the write key is missing" if not key else "the write key is too short"
        return BAD_REQUEST, [Problem("invalid_write_key", f"{what}: send it by basic authorisation or as `writeKey`")]
    if endpoint != "batch" and size > MESSAGE_BYTES:
        return BAD_REQUEST, [Problem("message_too_large", f"the call has {size:,} bytes: 32,768 (32 KB) are accepted")]
    if len(calls) > MOST_MESSAGES:
        text = f"the batch has {len(calls):,} messages: over 2,500 all of them are dropped, and the answer is 200"
        return SUCCESS, [Problem("batch_too_long", text)]
    return SUCCESS, []


def _strict_answer(key: str, calls: Sequence[Call]) -> tuple[Answer, list[Problem]]:
    if not key:
        problem = Problem("invalid_write_key", "no write key: the gateway reads it from basic authorisation")
        return plain(401, "failed to read writeKey from header"), [problem]
    for call in calls:
        if any(each.code in ("no_user_anon_id", "id_not_string") and not call.user_id for each in call.problems):
            text = "one call has neither anonymousId nor userId: the gateway refuses the whole batch"
            return plain(400, "request neither has anonymousId nor userId"), [Problem("no_user_anon_id", text)]
        if any(each.code == "not_an_object" for each in call.problems):
            return plain(400, "invalid json"), [Problem("not_an_object", "one message is not an object")]
    return plain(200, "ok"), []

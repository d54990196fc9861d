"""Read any request with JSON as a webhook's: objects, lists of them, or JSON lines; verify its signature."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from audience_sync.destinations.webhook.signature import ID, SIGNATURE, TIMESTAMP, signature_headers, signing_key
from audience_sync.sandbox.keys import WEBHOOK_SECRET
from audience_sync.sandbox.receive.body import BodyError, parsed, storable, unpacked, written
from audience_sync.sandbox.receive.messages import TYPES, read_message
from audience_sync.sandbox.values import Answer, Call, Problem, Reading, Request, Service

#: Fields that name the user, in the order in which they are looked for.
IDS = ("userId", "user_id", "external_id", "distinct_id", "anonymousId", "id", "email")
#: Fields that may have the user's properties.
PROPERTIES = ("traits", "attributes", "properties")
#: A signature is refused when its time is this far off (Standard Webhooks).
TOLERANCE = timedelta(minutes=5)
_KEY = signing_key(SecretStr(WEBHOOK_SECRET))


def answer(status: int, text: str = "") -> Answer:
    body = b'{"ok": true}' if status < 300 else b'{"error": "' + text.encode() + b'"}'
    return Answer(status, body)


def read_webhook(request: Request, now: datetime) -> Reading:
    """Read a request to any address. What is not JSON is accepted, too, and shown as text."""
    problems: list[Problem] = []
    if found := _signature_problem(request, now):
        problems.append(found)
    try:
        calls = tuple(_read_item(each, now) for each in _items(unpacked(request), request, problems))
    except BodyError as failure:
        problems.append(failure.problem)
        calls = ()
    refusal = next((each for each in problems if each.is_fatal), None)
    return Reading(
        service=Service.WEBHOOK,
        destination=f"webhook {request.path}"[:80],
        calls=calls,
        problems=tuple(problems),
        answer=answer(200) if refusal is None else answer(401 if "signature" in refusal.code else 400, refusal.code),
        request_id=request.headers.get(ID, ""),
    )


def _items(body: bytes, request: Request, problems: list[Problem]) -> list[Any]:
    if not body.strip():
        problems.append(Problem("empty_body", "the body is empty", False))
        return []
    try:
        document = parsed(body)
    except BodyError as failure:
        lines = [line for line in body.splitlines() if line.strip()]
        if len(lines) > 1:
            try:
                return [parsed(line) for line in lines]
            except BodyError:
                pass
        if "json" in request.headers.get("content-type", "json"):
            raise failure from None
        problems.append(Problem("not_json", "the body is not JSON: it is shown as text", False))
        return [body.decode("utf-8", "replace")]
    return document if isinstance(document, list) else [document]


def _read_item(item: Any, now: datetime) -> Call:
    if not isinstance(item, dict):
        return Call("text" if isinstance(item, str) else "json", "", written(item))
    if item.get("type") in TYPES and ("userId" in item or "anonymousId" in item):
        return read_message(item, "", now, is_segment=False)
    values: Mapping[str, Any] = next((item[name] for name in PROPERTIES if isinstance(item.get(name), dict)), {})
    event = item.get("event")
    is_event = isinstance(event, str) and bool(event)
    return Call(
        "track" if is_event else "identify" if values else "json",
        _user_of(item),
        written(item),
        event=storable(event) if isinstance(event, str) else "",
        sets={} if is_event else values,
        properties=values if is_event else {},
    )


def _user_of(item: Mapping[str, Any]) -> str:
    for name in IDS:
        value = item.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            return storable(str(value))
    return ""


def _signature_problem(request: Request, now: datetime) -> Problem | None:
    """Verify a signature of Standard Webhooks, if there is one. Another secret than the sandbox's can't be verified."""
    found = request.headers.get(SIGNATURE)
    if found is None:
        return None
    try:
        at = datetime.fromtimestamp(int(request.headers.get(TIMESTAMP, "")), UTC)
    except (ValueError, OverflowError, OSError):
        return Problem("signature_without_time", f"{TIMESTAMP} is missing, or not a time in seconds since 1970")
    if abs(at - now) > TOLERANCE:
        return Problem("signature_too_old", f"{TIMESTAMP} is more than 5 minutes off: receivers refuse it")
    right = signature_headers(_KEY, request.headers.get(ID, ""), request.body, at)[SIGNATURE]
    if right in found.split():
        return None
    text = f"{SIGNATURE} is not that of the sandbox's secret {WEBHOOK_SECRET}: another secret, or a changed body"
    return Problem("signature_mismatch", text)

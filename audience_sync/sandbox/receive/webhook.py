"""Read any request with JSON as a webhook's: objects, lists of them, or JSON lines; verify its signature."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from audience_sync.sandbox.json_text import storable, written
from audience_sync.sandbox.keys import WEBHOOK_SECRET
from audience_sync.sandbox.receive.body import BodyError, not_too_many, parsed, unpacked
from audience_sync.sandbox.receive.messages import TYPES, read_message
from audience_sync.sandbox.values import Answer, Call, Problem, Reading, Request, Service
from audience_sync.webhook_signature import ID, SIGNATURE, TIMESTAMP, signature_headers, signing_key

#: Fields that name the user, in the order in which they are looked for.
IDS = ("userId", "user_id", "external_id", "distinct_id", "anonymousId", "id", "email")
#: Fields that may have the user's properties.
PROPERTIES = ("traits", "attributes", "properties")
#: A signature is refused when its time is this far off (Standard Webhooks).
TOLERANCE = timedelta(minutes=5)
_KEY = signing_key(SecretStr(WEBHOOK_SECRET))


#: Statuses of answers, by the code of the problem. Another problem is a 400.
_STATUSES = {
    **dict.fromkeys(("body_too_large", "batch_too_long"), 413),
    **dict.fromkeys(("signature_without_time", "signature_too_old", "signature_mismatch"), 401),
}
SUCCESS = Answer(200, b'{"ok": true}')


def error(status: int, text: str) -> Answer:
    return Answer(status, json.dumps({"error": text}).encode())


def read_webhook(request: Request, now: datetime) -> Reading:
    """Read a request to any address. What is not JSON is accepted, too, and shown as text."""
    calls: list[Call] = []
    problems = [found] if (found := _signature_problem(request, now)) else []
    try:
        body = unpacked(request)
        if not body.strip():
            problems.append(Problem("empty_body", "the body is empty", False))
        elif (items := _items(body, request)) is not None:
            calls = [_read_item(each, now) for each in items]
        else:
            problems.append(Problem("not_json", "the body is not JSON: it is shown as text", False))
            calls = [Call("text", "", written(body.decode("utf-8", "replace")))]
    except BodyError as failure:
        problems.append(failure.problem)
    refusal = next((each for each in problems if each.is_fatal), None)
    return Reading(
        service=Service.WEBHOOK,
        destination=f"webhook {request.path}"[:80],
        calls=tuple(calls),
        problems=tuple(problems),
        answer=SUCCESS if refusal is None else error(_STATUSES.get(refusal.code, 400), refusal.code),
        request_id=request.headers.get(ID, ""),
    )


def _items(body: bytes, request: Request) -> list[Any] | None:
    """Return the values of a JSON list, one value, or JSON lines; None for a text that does not claim to be JSON."""
    try:
        document = parsed(body)
        return not_too_many(document) if isinstance(document, list) else [document]
    except BodyError as failure:
        if failure.problem.code != "invalid_json":
            raise
        lines = [line for line in body.splitlines() if line.strip()]
        if len(lines) > 1:
            try:
                return [parsed(line) for line in not_too_many(lines)]
            except BodyError:
                pass
        if "json" in request.headers.get("content-type", "json"):
            raise failure from None
        return None


def _read_item(item: Any, now: datetime) -> Call:
    if not isinstance(item, dict):
        return Call("json", "", written(item))
    if item.get("type") in TYPES and ("userId" in item or "anonymousId" in item):
        return read_message(item, "", now, is_segment=False)
    values: Mapping[str, Any] = next((item[name] for name in PROPERTIES if isinstance(item.get(name), dict)), {})
    event = found if isinstance(found := item.get("event"), str) else ""
    return Call(
        "track" if event else "identify" if values else "json",
        _user_of(item),
        written(item),
        event=storable(event),
        sets={} if event else values,
        properties=values if event else {},
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

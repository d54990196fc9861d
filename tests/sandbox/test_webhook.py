"""A webhook: any JSON to any address, and the signature of Standard Webhooks."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from audience_sync.sandbox.keys import WEBHOOK_SECRET
from audience_sync.sandbox.values import Request, Service
from audience_sync.webhook_signature import signature_headers, signing_key

from .support import NOW, codes, received


def hook(body: Any, **headers: str) -> Request:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(
        method="POST", path="/hooks/crm", headers={"content-type": "application/json", **named}, body=content
    )


def test_our_messages_are_read_as_identify_calls() -> None:
    message = {"type": "identify", "messageId": "m-1", "userId": "C-1", "traits": {"vip": True}}
    found = received(hook([message, {**message, "userId": "C-2"}]))
    assert (found.service, found.destination, found.answer.status) == (Service.WEBHOOK, "webhook /hooks/crm", 200)
    assert [(call.type, call.user_id, call.sets) for call in found.calls] == [
        ("identify", "C-1", {"vip": True}),
        ("identify", "C-2", {"vip": True}),
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"user_id": 7, "attributes": {"vip": True}}, ("identify", "7", {"vip": True})),
        ({"email": "ana@example.com"}, ("json", "ana@example.com", {})),
        ({"id": "x", "event": "Paid", "properties": {"a": 1}}, ("track", "x", {})),
        ([7], ("json", "", {})),
        ("text", ("json", "", {})),
        (None, ("json", "", {})),
    ],
)
def test_any_json_is_a_call_whose_user_is_looked_for(body: Any, expected: tuple[str, str, dict[str, Any]]) -> None:
    (call,) = received(hook(body)).calls
    assert (call.type, call.user_id, call.sets) == expected


def test_json_lines_are_a_call_each_and_other_text_is_shown() -> None:
    assert [call.user_id for call in received(hook(b'{"id": "a"}\n{"id": "b"}\n')).calls] == ["a", "b"]
    text = received(hook(b"hello", content_type="text/plain"))
    assert (text.answer.status, codes(text), text.calls[0].type) == (200, ["not_json"], "text")
    broken = received(hook(b"{"))
    assert (broken.answer.status, codes(broken)) == (400, ["invalid_json"])
    assert codes(received(hook(b""))) == ["empty_body"]


def test_a_signature_is_verified_with_the_sandboxs_secret() -> None:
    body = b'{"id": "a"}'

    def signed(secret: str, hours: int = 0) -> Request:
        key = signing_key(SecretStr(secret))
        headers = signature_headers(key, "id-1", body, NOW - timedelta(hours=hours))
        return hook(body, webhook_id="id-1", **{name.replace("-", "_"): value for name, value in headers.items()})

    assert (received(signed(WEBHOOK_SECRET)).answer.status, received(signed(WEBHOOK_SECRET)).request_id) == (
        200,
        "id-1",
    )
    assert codes(received(signed("another-secret"))) == ["signature_mismatch"]
    assert received(signed("another-secret")).answer.status == 401
    assert codes(received(signed(WEBHOOK_SECRET, hours=1))) == ["signature_too_old"]
    assert codes(received(hook(body, webhook_signature="v1,x"))) == ["signature_without_time"]

"""Requests of Connect's official clients and of Segment's integration, as recorded, are what the sandbox accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from destinations.examples import cases

from audience_sync.sandbox.values import Request

from .support import DEVELOPMENT, connect, received

RECORDED = {
    case["id"]: case["expected"]
    for case in cases("zendesk_connect.json", "cases")
    if isinstance(case["expected"], dict) and "body" in case["expected"]
}
SERVER = {
    case["id"]: (case["input"], case["expected"]["status"])
    for case in cases("zendesk_connect.json", "cases")
    if case["group"] == "server-behaviour" and isinstance(case["input"], dict)
}
#: What the files write in place of a value of the moment.
MOMENT = {"<device zone>": "Europe/Berlin", "<floor(seconds)>": 1_795_467_089}


def filled(value: Any) -> Any:
    """The value with what was left out of the file; another placeholder is a time."""
    if isinstance(value, dict):
        return {name: filled(each) for name, each in value.items()}
    is_placeholder = isinstance(value, str) and value.startswith("<")
    return MOMENT.get(value, 1_795_467_089) if is_placeholder else value


@pytest.mark.parametrize("case", RECORDED)
def test_a_recorded_request_is_accepted(case: str) -> None:
    expected = RECORDED[case]
    headers = {"x-outbound-key": DEVELOPMENT.private}
    headers |= {name.lower(): value for name, value in expected.get("headers", {}).items()}
    body = json.dumps(filled(expected["body"])).encode()
    found = received(Request(method="POST", path=expected["path"], headers=headers, body=body))
    assert (found.answer.status, found.answer.body, found.problems) == (200, b"", ())
    assert {each.code for call in found.calls for each in call.problems} <= {"attribute_is_field"}


@pytest.mark.parametrize("case", SERVER)
def test_the_sandbox_answers_as_the_service_did(case: str) -> None:
    sent, status = SERVER[case]
    key = sent["headers"]["X-Outbound-Key"]
    body = [{"user_id": str(number)} for number in range(100)] if case == "srv-batch-100" else sent.get("body")
    document = sent["raw_body"].encode() if "raw_body" in sent else body
    assert received(connect(document, sent["path"], key)).answer.status == status

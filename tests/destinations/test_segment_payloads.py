"""Segment gets what real systems emit and accept: every identify of cases/segment_payloads.json."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audience_sync.destinations.base import Answer, Audiencing, Meaning
from audience_sync.destinations.segment.tracking_api import TrackingDestination

from .examples import a_call, cases, rudderstack, segment

PAYLOADS = {
    case["id"]: case
    for case in cases("segment_payloads.json", "payloads")
    if case["kind"] == "identify" and case["direction"] != "rejected"
}
NOT_OURS = {
    "consumer-zendesk-connect-rest": "a body of Zendesk Connect: see test_connect_user",
    "consumer-zendesk-rudder-ok": "traits within the context, where no audience is ever sent",
    "engage-journey-identify": 'a membership as the text "true", which its own consumers ignore',
}
PLAIN = [pytest.param(case["payload"], id=id) for id, case in PAYLOADS.items() if id not in NOT_OURS]
#: The page writes a placeholder for the key; the case's note says which key is meant.
PLACEHOLDERS = {"aud_###"}
#: One audience, enriched with traits only: the audience's own boolean is not in the example.
WITHOUT_MEMBERSHIP = {"consumer-stackadapt-identify-enriched"}
PERSONAS = [
    pytest.param(case["payload"], id=id)
    for id, case in PAYLOADS.items()
    if id not in NOT_OURS and id not in WITHOUT_MEMBERSHIP and "personas" in case["payload"].get("context", {})
]


def the_key(payload: dict[str, Any]) -> str:
    """The property that the payload is about."""
    key: str = payload["context"]["personas"]["computation_key"]
    return next(iter(payload["traits"])) if key in PLACEHOLDERS else key


def about(payload: dict[str, Any]) -> Audiencing:
    keys = frozenset({the_key(payload)})
    is_audience = payload["context"]["personas"]["computation_class"] == "audience"
    return Audiencing("i", keys) if is_audience else Audiencing("i", trait_keys=keys)


def test_every_identify_of_the_file_is_accounted_for() -> None:
    assert len(PAYLOADS) == 20
    assert set(NOT_OURS) <= set(PAYLOADS)


@pytest.mark.parametrize("payload", PLAIN)
def test_the_plain_message_has_the_same_type_user_and_traits(payload: dict[str, Any]) -> None:
    user_id = payload.get("userId", "u123")
    (message,) = segment().encode(a_call(user_id, payload["traits"]))
    sent = json.loads(message.body)
    assert (sent["type"], sent["userId"], sent["traits"]) == ("identify", user_id, payload["traits"])


@pytest.mark.parametrize("payload", PERSONAS)
def test_the_personas_message_has_the_same_class_and_key_and_value(payload: dict[str, Any]) -> None:
    destination = segment(about(payload), envelope="personas")
    sent = [json.loads(message.body) for message in destination.encode(a_call(traits=payload["traits"]))]
    (of_the_key,) = [
        message for message in sent if message["context"]["personas"]["computation_key"] == the_key(payload)
    ]
    expected = payload["context"]["personas"]
    assert of_the_key["context"]["personas"]["computation_class"] == expected["computation_class"]
    assert of_the_key["traits"] == {the_key(payload): payload["traits"][the_key(payload)]}


def membership(message: dict[str, Any]) -> bool | None:
    """The rule of action-destinations, packages/core/src/audience-membership.ts."""
    personas = message.get("context", {}).get("personas", {})
    value = message["traits"].get(personas.get("computation_key"))
    is_audience = personas.get("computation_class") in ("audience", "journey_step")
    return value if is_audience and isinstance(value, bool) else None


REJECTED = [
    pytest.param(case["payload"], case["expected_result"], id=case["id"])
    for case in cases("segment_payloads.json", "payloads")
    if case["direction"] == "rejected" and "expected_result" in case
]


@pytest.mark.parametrize(("payload", "expected"), REJECTED)
def test_what_no_consumer_takes_for_a_membership_is_not_what_we_send(payload: dict[str, Any], expected: None) -> None:
    assert membership(payload) is expected
    (message,) = segment(Audiencing("i", frozenset({"my_audience"})), envelope="personas").encode(
        a_call(traits={"my_audience": True})
    )
    assert membership(json.loads(message.body)) is True


@pytest.mark.parametrize("is_member", [True, False])
def test_consumers_see_entering_and_leaving(is_member: bool) -> None:
    (message,) = segment(Audiencing("i", frozenset({"vip"})), envelope="personas").encode(
        a_call(traits={"vip": is_member})
    )
    assert membership(json.loads(message.body)) is is_member


MEANINGS = {
    200: Meaning.DELIVERED,
    400: Meaning.REFUSED,
    401: Meaning.STOP,
    404: Meaning.STOP,
    413: Meaning.REFUSED,
    429: Meaning.SLOW_DOWN,
    503: Meaning.RETRY,
    504: Meaning.RETRY,
}
RESPONSES = [
    pytest.param(case["status"], case["body"] or "", id=f"{case['server']} {case['status']} {case['body']}".strip())
    for case in cases("segment_payloads.json", "responses")
]


@pytest.mark.parametrize("destination", [segment(), rudderstack()], ids=["sent by segment", "sent by rudderstack"])
@pytest.mark.parametrize(("status", "body"), RESPONSES)
def test_every_known_answer_has_its_meaning(destination: TrackingDestination, status: int, body: str) -> None:
    judgement = destination.judge(Answer(status, body.encode(), headers={"retry-after": "3"}))
    assert judgement.meaning is MEANINGS[status]
    assert body.strip() in judgement.reason or status == 200

"""Calls that DuckDB writes equal those that Python writes, whatever their content."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audience_sync.destinations.base import Audiencing, Destination
from audience_sync.destinations.file import FileDestination, FileOptions
from audience_sync.destinations.segment.destination import SegmentDestination, SegmentOptions
from audience_sync.destinations.segment.rudderstack import RudderStackDestination, RudderStackOptions
from audience_sync.destinations.webhook.destination import WebhookDestination
from audience_sync.destinations.webhook.options import WebhookOptions
from audience_sync.model import IdentifyCall, UserId
from audience_sync.workspace import Workspace

ABOUT = Audiencing("here", frozenset({"vip"}))
DESTINATIONS: list[Destination] = [
    FileDestination(FileOptions.model_validate({"path": "out.jsonl"}), ABOUT),
    SegmentDestination(
        SegmentOptions.model_validate({"write_key": "k", "integrations": {"All": False, "It's": True}}), ABOUT
    ),
    RudderStackDestination(RudderStackOptions.model_validate({"write_key": "k", "url": "https://example.test"}), ABOUT),
    WebhookDestination(WebhookOptions.model_validate({"url": "https://example.test"}), ABOUT),
]
each_destination = pytest.mark.parametrize("destination", DESTINATIONS, ids=lambda each: each.options.type)
TIMESTAMP = "2026-03-01T06:00:00.000Z"

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
traits = st.dictionaries(text, st.one_of(st.booleans(), st.none(), text, st.integers()), min_size=1, max_size=4)


def written(workspace: Workspace, destination: Destination, call: IdentifyCall) -> bytes | None:
    columns = "? as user_id, ? as traits, ? as message_id, ? as timestamp"
    body: bytes | None = workspace.one(f"select encode({destination.encode_sql()}) from (select {columns})", call[:4])[
        0
    ]
    return body


@each_destination
@given(user=text.filter(bool), traits=traits)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_both_write_the_same_bytes(
    workspace: Workspace, destination: Destination, user: str, traits: dict[str, object]
) -> None:
    call = IdentifyCall(UserId(user), json.dumps(traits, ensure_ascii=False), "a" * 32, TIMESTAMP)
    assert written(workspace, destination, call) in (None, destination.encode(call)[0].body)


@each_destination
@pytest.mark.parametrize("user", ["u-1", "日本 😀", "it's", "a/b<c>&d", "x" * 2500])
def test_an_ordinary_call_is_written_in_sql(workspace: Workspace, destination: Destination, user: str) -> None:
    call = IdentifyCall(UserId(user), '{"vip":true,"city":"Zürich, \'CH\'"}', "a" * 32, TIMESTAMP)
    assert written(workspace, destination, call) == destination.encode(call)[0].body


@each_destination
@pytest.mark.parametrize(
    "call",
    [
        pytest.param(IdentifyCall(UserId('a"b'), '{"vip":true}', "m", TIMESTAMP), id="an id with a quote"),
        pytest.param(IdentifyCall(UserId("a\\b"), '{"vip":true}', "m", TIMESTAMP), id="an id with a backslash"),
        pytest.param(IdentifyCall(UserId("u-1"), '{"vip":\ntrue}', "m", TIMESTAMP), id="traits on two lines"),
    ],
)
def test_an_odd_call_is_left_to_encode(workspace: Workspace, destination: Destination, call: IdentifyCall) -> None:
    assert written(workspace, destination, call) is None


@pytest.mark.parametrize(
    "traits",
    [
        pytest.param({f"trait_{number}": number for number in range(300)}, id="300 traits"),
        pytest.param({"text": "x" * 32_768}, id="32 KB"),
    ],
)
def test_what_needs_several_messages_is_left_to_encode(workspace: Workspace, traits: dict[str, object]) -> None:
    call = IdentifyCall(UserId("u-1"), json.dumps(traits, separators=(",", ":")), "m", TIMESTAMP)
    assert written(workspace, DESTINATIONS[1], call) is None


def test_one_message_per_property_is_left_to_encode() -> None:
    personas = SegmentDestination(SegmentOptions.model_validate({"write_key": "k", "envelope": "personas"}), ABOUT)
    assert personas.encode_sql() is None

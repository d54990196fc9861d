"""Each destination gets its own form of an event for a user who entered or left an audience."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audience_sync.destinations.base import Audiencing, Destination, Event, Limits, Message, Transport
from audience_sync.destinations.file import FileDestination, FileOptions
from audience_sync.errors import UnsendableError
from audience_sync.model import AudienceEvent, IdentifyCall

from .examples import ABOUT, connect, segment

ENTERED = AudienceEvent("vip", True, "an-id", "2026-03-01T06:00:00.250Z")
EXITED = ENTERED._replace(entered=False)


def sent(destination: Destination, event: AudienceEvent = ENTERED, user: str = "u-1") -> dict[str, Any]:
    message = destination.encode_event(user, event)
    assert (type(message), message.message_id) == (Event, "an-id")
    said: dict[str, Any] = json.loads(message.body)
    return said


def test_a_tracking_api_gets_what_engage_sends() -> None:
    message = sent(segment(events=True))
    assert message.pop("context")["library"]["name"] == "audience-sync"
    assert message == {
        "type": "track",
        "messageId": "an-id",
        "userId": "u-1",
        "event": "Audience Entered",
        "properties": {"audience_key": "vip", "vip": True},
        "timestamp": "2026-03-01T06:00:00.250Z",
    }


def test_the_personas_envelope_says_which_audience_it_is() -> None:
    assert sent(segment(ABOUT, envelope="personas", events=True), EXITED)["context"]["personas"] == {
        "computation_class": "audience",
        "computation_id": "aud_kMmTjmpZbgQAT1sf5JZ2msNgAdb",
        "computation_key": "vip",
        "namespace": "spa_LIZQ6BNwIRJsZPfYN4voPc",
        "space_id": "spa_LIZQ6BNwIRJsZPfYN4voPc",
    }


def test_connect_gets_its_own_words_and_seconds() -> None:
    assert sent(connect(events=True), EXITED) == {
        "user_id": "u-1",
        "event": "Audience Exited",
        "properties": {"audience_key": "vip", "vip": False},
        "timestamp": 1772344800,
    }


def test_an_id_that_needs_escaping_arrives_as_it_is() -> None:
    file = FileDestination(FileOptions.model_validate({"path": "calls.jsonl", "events": True}), Audiencing("i"))
    assert sent(file, user='a"b\\c\n\u2028日本')["userId"] == 'a"b\\c\n\u2028日本'


@pytest.mark.parametrize("destination", [segment(events=True), connect(events=True)], ids=["segment", "connect"])
def test_a_user_without_an_id_has_no_events(destination: Destination) -> None:
    with pytest.raises(UnsendableError, match="empty"):
        destination.encode_event("", ENTERED)


class Plain(Destination):
    """As a package of its own may bring it: it was written before there were events."""

    @property
    def limits(self) -> Limits:
        return Limits(1, 1)

    @property
    def address(self) -> str:
        return "nowhere"

    def encode(self, call: IdentifyCall) -> list[Message]:
        return [Message(call.message_id, b"")]

    def open(self) -> Transport:
        raise NotImplementedError


def test_a_destination_that_knows_no_events_says_what_to_do() -> None:
    with pytest.raises(UnsendableError, match="remove `events` from its options"):
        Plain(FileOptions.model_validate({"path": "x", "events": True}), Audiencing("i")).encode_event("u-1", ENTERED)


def test_users_and_events_of_connect_travel_apart_the_users_first() -> None:
    destination = connect(events=True)
    user, event = Message("a", b"{}"), destination.encode_event("u-1", ENTERED)
    assert destination.parts([user, event, user]) == [[user, user], [event]]
    assert destination.parts([user]) == [[user]]
    assert destination.request([event]).url == "https://api.outbound.io/v2/track"
    assert destination.request([event, event]).url == "https://api.outbound.io/v2/track/batch"

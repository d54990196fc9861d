"""Destinations of vendors with invented keys, their messages and their answers, as the tests use them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from audience_sync.destinations.base import Answer, Audiencing, HttpDestination, Judgement, Message
from audience_sync.destinations.registry import destination_types
from audience_sync.errors import UnsendableError
from audience_sync.model import AudienceEvent, IdentifyCall, UserId

TIMESTAMP = "2026-11-23T20:51:29.084Z"
ABOUT = Audiencing("installation-1", frozenset({"vip", "churn_risk"}), frozenset({"total_revenue"}))
#: The options without which no destination of a type can be made, with the keys of the recorded cases.
REQUIRED: Mapping[str, Mapping[str, Any]] = {
    "amplitude": {"api_key": "invented-key"},
    "braze": {"api_key": "invented-key", "url": "https://rest.example.test"},
    "customerio": {"site_id": "site_id", "api_key": "api_key"},
    "hubspot": {"token": "invented-token"},
    "iterable": {"api_key": "invented-key"},
    "mixpanel": {"token": "invented-token"},
    "onesignal": {"app_id": "app-1", "api_key": "invented"},
    "posthog": {"api_key": "phc_invented"},
}


def vendor(name: str, about: Audiencing = ABOUT, **options: Any) -> HttpDestination:
    """A destination of a vendor's type, with these options besides the required ones."""
    kind = destination_types()[name]
    destination = kind(kind.Options(**{"type": name, **REQUIRED[name], **options}), about)
    assert isinstance(destination, HttpDestination)
    return destination


def call(user: str = "C-00001", message_id: str = "m-1", /, **traits: Any) -> IdentifyCall:
    return IdentifyCall(UserId(user), json.dumps(traits or {"vip": True}), message_id, TIMESTAMP)


def users(destination: HttpDestination, *names: str) -> list[Message]:
    """A message for each of these users, who entered ``vip``."""
    return [destination.encode(call(name, f"m-{number}"))[0] for number, name in enumerate(names, 1)]


def entered(message_id: str = "e-1") -> AudienceEvent:
    return AudienceEvent("vip", True, message_id, TIMESTAMP)


def judged(
    destination: HttpDestination, status: int, body: Any, messages: Sequence[Message], **headers: str
) -> Judgement:
    """The meaning of an answer with a JSON body, or with bytes."""
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    return destination.judge(Answer(status, written, headers=headers), messages)


def sent(destination: HttpDestination, *messages: Message) -> Any:
    """The body of the request with these messages."""
    return json.loads(destination.request(messages).body)


def refused_properties(destination: HttpDestination, **traits: Any) -> dict[str, str]:
    with pytest.raises(UnsendableError) as caught:
        destination.encode(call(**traits))
    return caught.value.properties

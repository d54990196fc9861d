"""Calls, destinations and the shared cases, as the tests of the destinations use them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from audience_sync.destinations.base import Audiencing
from audience_sync.destinations.segment.destination import SegmentDestination
from audience_sync.destinations.segment.rudderstack import RudderStackDestination
from audience_sync.destinations.webhook.destination import WebhookDestination
from audience_sync.destinations.zendesk_connect.destination import ZendeskConnectDestination
from audience_sync.model import IdentifyCall, UserId

CASES = Path(__file__).parents[1] / "cases"
ABOUT = Audiencing("installation-1", frozenset({"vip", "big_spenders"}), frozenset({"total_revenue"}))
WRITE_KEY = "wk-7f3a91c0secret"
PRIVATE_KEY = "f4f15f2f004fa0bd2140b4db93cbb538"
TOKEN = "tok-91b2e6d4"
SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def a_call(
    user_id: str = "u-1", traits: dict[str, Any] | str = '{"vip":true}', message_id: str = "a1b2c3"
) -> IdentifyCall:
    traits_json = traits if isinstance(traits, str) else json.dumps(traits)
    return IdentifyCall(UserId(user_id), traits_json, message_id, "2026-03-01T06:00:00.000Z")


def segment(about: Audiencing = ABOUT, **options: Any) -> SegmentDestination:
    return SegmentDestination(
        SegmentDestination.Options(**{"type": "segment", "write_key": WRITE_KEY} | options), about
    )


def rudderstack(about: Audiencing = ABOUT, **options: Any) -> RudderStackDestination:
    required = {"type": "rudderstack", "write_key": WRITE_KEY, "url": "https://plane.example.test"}
    return RudderStackDestination(RudderStackDestination.Options(**required | options), about)


def webhook(about: Audiencing = ABOUT, **options: Any) -> WebhookDestination:
    required = {"type": "webhook", "url": "https://hooks.example.test/identify", "timeout": "5s"}
    return WebhookDestination(WebhookDestination.Options(**required | options), about)


def connect(about: Audiencing = ABOUT, **options: Any) -> ZendeskConnectDestination:
    return ZendeskConnectDestination(
        ZendeskConnectDestination.Options(
            **{"type": "zendesk_connect", "private_key": PRIVATE_KEY, "timeout": "5s"} | options
        ),
        about,
    )


def cases(file: str, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((CASES / file).read_text())[table]
    return found

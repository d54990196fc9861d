"""The requests that a vendor's page shows are those that the program makes, and the page names its limits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from audience_sync.destinations.base import Audiencing
from audience_sync.model import Alias, AudienceEvent, IdentifyCall, UserId

from .vendors import vendor

FOLDER = Path(__file__).parents[2] / "docs" / "destinations"
TIMESTAMP = "2026-11-23T20:51:29.084Z"
ABOUT = Audiencing("installation-1", frozenset({"vip"}), frozenset({"plan", "last_order", "coupon"}))
#: Options of the example, where the page shows more than the required ones need.
OPTIONS: dict[str, dict[str, Any]] = {"mixpanel": {"api_secret": "invented-secret"}}


def bodies_of(name: str) -> list[Any]:
    """The bodies of the requests for one user: of the call, an event, and a previous id."""
    destination = vendor(name, ABOUT, **OPTIONS.get(name, {}))
    user = UserId("C-00617")
    traits = '{"vip":true,"plan":"premium","last_order":"2026-11-23T09:15:00Z","coupon":null}'
    messages = destination.encode(IdentifyCall(user, traits, "5f1c9a0e7b2d4c63a8f0e1d2c3b4a596", TIMESTAMP))
    event = AudienceEvent("vip", True, "c0ffee1e7b2d4c63a8f0e1d2c3b4a596", TIMESTAMP)
    messages.append(destination.encode_event(user, event))
    messages.append(
        destination.encode_alias(user, Alias(UserId("C-00099"), "a11a59f21c9a0e7b2d4c63a8f0e1d2c3", TIMESTAMP))
    )
    return [json.loads(destination.request(part).body) for part in destination.parts(messages)]


@pytest.mark.parametrize("name", ["braze", "customerio", "mixpanel", "posthog"])
def test_a_page_shows_the_requests_of_the_program(name: str) -> None:
    page = (FOLDER / f"{name}.md").read_text("utf-8")
    assert [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)] == bodies_of(name)


@pytest.mark.parametrize("name", ["braze", "customerio", "mixpanel", "posthog"])
def test_a_page_says_what_check_says(name: str) -> None:
    page = " ".join((FOLDER / f"{name}.md").read_text("utf-8").split())
    assert [remark for remark in vendor(name).remarks if remark not in page] == []

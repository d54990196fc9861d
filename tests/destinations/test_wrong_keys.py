"""A wrong key stops a destination, whatever status and words it hides behind, and no user is refused for it."""

from __future__ import annotations

from typing import Any

import pytest

from audience_sync.destinations.base import Meaning

from .vendors import REQUIRED, judged, users, vendor


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"message": "Invalid API key"}),
        (400, {"error": "invalid_api_key"}),
        (400, {"code": "BadApiKey", "msg": "Invalid API key"}),
        (422, {"detail": "The access token is expired"}),
        (400, {"meta": {"error": "Unauthorized request"}}),
        (400, {"errors": ["Missing API Key"]}),
        (200, {"message": "API key is not valid"}),
        (200, {"error": "authentication failed"}),
    ],
)
def test_an_answer_about_the_key_stops_the_destination(name: str, status: int, body: Any) -> None:
    options: dict[str, Any] = {"id_property": "customer_id"} if name == "hubspot" else {}
    destination = vendor(name, **options)
    judgement = judged(destination, status, body, users(destination, "C-00001", "C-00002"))
    assert judgement.meaning is Meaning.STOP
    assert judgement.refused == {}
    assert f"HTTP {status}: " in judgement.reason
    assert "not accepted" in judgement.reason


@pytest.mark.parametrize("name", ["customerio", "braze", "posthog", "mixpanel", "iterable"])
@pytest.mark.parametrize(
    "body",
    [
        {"message": "invalid push token"},
        {"message": "the value of api_key_count is invalid"},
        {"errors": [{"message": "unauthorized_users is no attribute"}]},
    ],
)
def test_an_answer_about_a_value_is_a_refusal(name: str, body: Any) -> None:
    destination = vendor(name)
    assert judged(destination, 400, body, users(destination, "C-00001")).meaning is Meaning.REFUSED

"""Destinations of vendors with invented keys, as the tests use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audience_sync.destinations.base import Audiencing, HttpDestination
from audience_sync.destinations.registry import destination_types

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

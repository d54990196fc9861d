"""What the config says of an option of a vendor that is missing, or of an address that has a path already."""

from __future__ import annotations

from typing import Any

import pytest

from audience_sync.config.validate.pydantic_errors import validate
from audience_sync.destinations.registry import destination_types

from .vendors import REQUIRED


def problems(kind: str, options: dict[str, Any]) -> list[str]:
    _, found = validate(destination_types()[kind].Options, {"type": kind, **options})
    return [f"{each.path[-1]}: {each.message}" for each in found]


@pytest.mark.parametrize(
    ("kind", "url", "path"),
    [
        ("braze", "https://rest.iad-01.braze.com/users/track", "/users/track"),
        ("braze", "https://rest.iad-01.braze.com/users/track/", "/users/track"),
        ("customerio", "https://track.customer.io/api/v1", "/api/v1"),
        ("customerio", "https://track.customer.io/api/v2/batch", "/api/v2"),
        ("posthog", "https://eu.i.posthog.com/batch", "/batch"),
        ("mixpanel", "https://api.mixpanel.com/engage", "/engage"),
        ("amplitude", "https://api2.amplitude.com/2/httpapi", "/2/httpapi"),
        ("iterable", "https://api.iterable.com/api/users/bulkUpdate", "/api/users"),
        ("hubspot", "https://api.hubapi.com/crm/v3/objects/contacts", "/crm/v3"),
        ("onesignal", "https://api.onesignal.com/apps/app-1/users", "/apps"),
    ],
)
def test_an_address_that_has_the_path_of_requests_already_is_refused(kind: str, url: str, path: str) -> None:
    found = problems(kind, {**REQUIRED[kind], "url": url})
    assert found == [f"url: must end before `{path}`, which each request adds itself: leave it out"]


@pytest.mark.parametrize(
    ("kind", "options", "path"),
    [
        ("segment", {"write_key": "key", "url": "https://api.segment.io/v1/batch"}, "/v1/batch"),
        ("rudderstack", {"write_key": "key", "url": "https://plane.example.test/v1/identify/"}, "/v1/identify"),
        ("zendesk_connect", {"private_key": "key", "url": "https://api.outbound.io/v2/identify"}, "/v2/identify"),
    ],
)
def test_so_is_that_of_a_tracking_api(kind: str, options: dict[str, Any], path: str) -> None:
    assert problems(kind, options) == [f"url: must end before `{path}`, which each request adds itself: leave it out"]


@pytest.mark.parametrize(
    "url",
    ["https://rest.iad-01.braze.com/", "https://proxy.example.test/braze", "https://proxy.example.test/users/tracking"],
)
def test_the_path_of_a_proxy_may_be_in_an_address(url: str) -> None:
    assert problems("braze", {"api_key": "key", "url": url}) == []


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        (
            "braze",
            {"api_key": "key"},
            "url: it is missing: the REST endpoint of your instance, from Settings > APIs and Identifiers in Braze, "
            "such as `https://rest.iad-01.braze.com`",
        ),
        (
            "braze",
            {"url": "https://rest.iad-01.braze.com"},
            "api_key: it is missing: a REST API key with the permission `users.track`, from Settings > APIs and "
            "Identifiers in Braze, best as `${BRAZE_API_KEY}`",
        ),
        (
            "hubspot",
            {},
            "token: it is missing: the token of a private app, from Settings > Integrations > Private Apps in HubSpot, "
            "best as `${HUBSPOT_TOKEN}`",
        ),
        (
            "onesignal",
            {"api_key": "key"},
            "app_id: it is missing: the id of the app, from Settings > Keys & IDs in OneSignal",
        ),
    ],
)
def test_a_missing_option_is_described_with_the_page_where_the_vendor_has_it(
    kind: str, options: dict[str, Any], expected: str
) -> None:
    assert problems(kind, options) == [expected]

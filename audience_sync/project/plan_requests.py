"""Show the first request to each destination without secrets, and write plans as documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import asdict, replace

from audience_sync.project.http_exchange import ShownRequest, redact_request
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sync.preview.forecast import Forecast
from audience_sync.sync.preview.plan import RunPreview


def take_requests(found: RunPreview, secrets: Sequence[str]) -> tuple[RunPreview, Mapping[str, ShownRequest]]:
    """The preview without its requests, which have keys in their headers; and what may be shown of each first one."""
    requests = {each.name: _shown(each, secrets) for each in found.forecasts if each.samples}
    return replace(found, forecasts=[replace(each, request=None, body=b"") for each in found.forecasts]), requests


def plan_json(found: RunPreview, requests: Mapping[str, ShownRequest]) -> dict[str, Any]:
    """The contract of ``plan --json`` (docs/commands/plan.md). ``requests``: the first one of each destination."""
    document = found.as_json()
    for each in document["destinations"]:
        request = requests.get(each["name"])
        each["request"] = request and asdict(request)
    return document


def _shown(forecast: Forecast, secrets: Sequence[str]) -> ShownRequest:
    if forecast.request is None:
        return ShownRequest(mask_secrets(forecast.body.decode("utf-8", "replace"), secrets))
    from audience_sync.destinations.http.transport import HEADERS

    return redact_request(forecast.request, {**HEADERS, **forecast.request.headers}, secrets)


def sends_json(found: RunPreview) -> dict[str, Any]:
    """The plan's JSON document, with the values to send by destination."""
    document = found.as_json()
    for each in document["destinations"]:
        sends = found.sends.get(each["name"], ())
        each["sends"] = [{"key": one.key, "value": one.value, "users": one.users} for one in sends]
    return document

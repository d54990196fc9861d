"""Write plans as documents, with the first request to each destination, without secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict

from audience_sync.project.http_exchange import ShownRequest, redact_request
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sync.preview.forecast import Forecast
from audience_sync.sync.preview.plan import RunPreview


def plan_json(found: RunPreview, secrets: Sequence[str]) -> dict[str, Any]:
    """The contract of ``plan --json`` (docs/commands/plan.md). ``secrets``: the config's."""
    document = found.as_json()
    for each, forecast in zip(document["destinations"], found.forecasts, strict=True):
        each["request"] = asdict(first_request(forecast, secrets)) if forecast.samples else None
    return document


def first_request(forecast: Forecast, secrets: Sequence[str]) -> ShownRequest:
    """The first request without secrets."""
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

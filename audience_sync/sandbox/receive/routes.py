"""Decide which service an address belongs to, and read the request as that service does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from audience_sync.sandbox.keys import RUDDERSTACK_KEY
from audience_sync.sandbox.receive import connect, tracking
from audience_sync.sandbox.receive.connect import read_connect
from audience_sync.sandbox.receive.tracking import key_of, read_tracking
from audience_sync.sandbox.receive.webhook import read_webhook
from audience_sync.sandbox.values import Problem, Reading, Request, Service

#: An address may begin with the service's name; then its key may be any.
_PREFIX = re.compile(r"/(segment|rudderstack|connect|zendesk_connect)(?=/)")
_TRACKING = re.compile(r"(?:/beacon)?/v1/(\w+)/?")
_CONNECT = re.compile(r"/v2/(\w+(?:/\w+)?)/?")
#: Addresses of phones and browsers that carry no call: accepted, and not shown.
_SILENT = re.compile(r"/v1/m|/i/.*|/rsaMetrics|/rsaRequest|/rsaTest")
_RUDDERSTACK = ("rudder", "rsa")


class Route(NamedTuple):
    """The service of an address, and its endpoint there. ``problem``: the service has no such address."""

    service: Service
    endpoint: str = ""
    problem: Problem | None = None


def is_silent(path: str) -> bool:
    """Whether an address only receives measurements of a client about itself."""
    return bool(_SILENT.fullmatch(_PREFIX.sub("", path, count=1)))


def route_of(request: Request) -> Route:
    """Return the service that a request is for. Each address that no other service has is a webhook's."""
    prefix = _PREFIX.match(request.path)
    path = request.path[prefix.end() :] if prefix else request.path
    named = prefix[1] if prefix else ""
    if named in ("connect", "zendesk_connect") or (not named and path.startswith("/v2/")):
        found = _CONNECT.fullmatch(path)
        if found and found[1] in connect.ENDPOINTS:
            return Route(Service.CONNECT, found[1])
        return Route(Service.CONNECT, problem=_no_address("Zendesk Connect", path))
    if named or path.startswith(("/v1/", "/beacon/v1/")):
        service = Service(named) if named else _tracking_service(request)
        found = _TRACKING.fullmatch(path)
        if found and (endpoint := tracking.ENDPOINTS.get(found[1])):
            return Route(service, endpoint)
        return Route(service, problem=_no_address(service.value.capitalize(), path))
    return Route(Service.WEBHOOK)


def read(request: Request, now: datetime) -> Reading:
    """Return the calls of a request, their problems, and the answer of the service."""
    route = route_of(request)
    match route:
        case Route(service, _, Problem() as problem):
            refusal = (
                connect.error(404, "Not Found") if service is Service.CONNECT else tracking.plain(404, "Not Found")
            )
            return Reading(service=service, destination=service.value, problems=(problem,), answer=refusal)
        case Route(Service.CONNECT, endpoint):
            return read_connect(request, endpoint, now)
        case Route(Service.WEBHOOK, _):
            return read_webhook(request, now)
        case Route(service, endpoint):
            return read_tracking(request, service, endpoint, now)


def settings(path: str, host: str) -> Mapping[str, object] | None:
    """Return what the client of a browser or a phone loads before its first call; None for another address.

    ``host``: the sandbox's own host and port. Segment's client reads ``/v1/projects/KEY/settings``, RudderStack's
    ``/sourceConfig``, Connect's for phones ``/i/config/sdk/PLATFORM/VERSION``.
    """
    path = _PREFIX.sub("", path, count=1)
    if found := re.fullmatch(r"(?:/v1)?/projects/([^/]+)/settings", path):
        return {
            "integrations": {"Segment.io": {"apiKey": found[1], "apiHost": f"{host}/v1", "protocol": "http"}},
            "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
            "edgeFunction": {},
            "metrics": {"sampleRate": 0},
            "legacyVideoPluginsEnabled": False,
            "remotePlugins": [],
        }
    if path.rstrip("/") == "/sourceConfig":
        source = {"id": "sandbox", "name": "sandbox", "writeKey": RUDDERSTACK_KEY, "enabled": True, "workspaceId": "1"}
        statistics = {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}}
        return {
            "source": {**source, "config": statistics, "connections": [], "destinations": [], "dataplanes": {}},
            "updatedAt": "2026-01-01T00:00:00.000Z",
        }
    if re.fullmatch(r"/i/config/sdk/[^/]+/[^/]+", path):
        return {"enabled": True, "account": {"prompt": False, "prompt_event": "", "pre_prompt": False}}
    return None


def _tracking_service(request: Request) -> Service:
    """Distinguish RudderStack's clients from Segment's by the sandbox's key, their headers, or their name."""
    if "anonymousid" in request.headers or request.path.startswith("/beacon/"):
        return Service.RUDDERSTACK
    if key_of(request) == RUDDERSTACK_KEY or b'"' + RUDDERSTACK_KEY.encode() + b'"' in request.body[-200:]:
        return Service.RUDDERSTACK
    agent = request.headers.get("user-agent", "").lower()
    return Service.RUDDERSTACK if agent.startswith(_RUDDERSTACK) or "rudder" in agent else Service.SEGMENT


def _no_address(service: str, path: str) -> Problem:
    return Problem("unknown_address", f"{service} has no address {path[:80]}")

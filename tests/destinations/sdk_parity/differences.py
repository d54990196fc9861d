"""Compare two requests, leaf by leaf, and name the differences that are right."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from destinations.receiver import Received

HEADERS = ("content-type", "authorization", "content-encoding")


class Kind(StrEnum):
    SDK_ONLY = "only the SDK sends it"
    OWN_ONLY = "only audience-sync sends it"
    ANOTHER_VALUE = "another value"


@dataclass(frozen=True)
class Difference:
    """A difference at a pointer, whose ``*`` is any index, with the reason why it is right."""

    pointer: str
    kind: Kind
    reason: str


def parsed(received: Received) -> dict[str, Any]:
    """Return the parts of a request that matter. The fields of a form are parameters, as those of the query are."""
    url = urlsplit(received.path)
    parameters = dict(parse_qsl(url.query))
    headers = {name: value for name, value in received.headers.items() if name in HEADERS}
    if headers["content-type"] == "application/x-www-form-urlencoded":
        form = dict(parse_qsl(received.body.decode()))
        body = json.loads(form.pop("data"))
        parameters |= form
    else:
        body = json.loads(received.body)
    return {
        "method": received.method,
        "path": unquote(url.path),
        "parameters": parameters,
        "headers": headers,
        "body": body,
    }


def differences(sdk: Any, own: Any) -> dict[tuple[str, Kind], str]:
    """Return what differs, by pointer and kind, with both values."""
    of_sdk, of_own = dict(_leaves(sdk)), dict(_leaves(own))
    found = {}
    for pointer in of_sdk.keys() | of_own.keys():
        if pointer not in of_own:
            key = (pointer, Kind.SDK_ONLY)
        elif pointer not in of_sdk:
            key = (pointer, Kind.OWN_ONLY)
        elif not _equal(of_sdk[pointer], of_own[pointer]):
            key = (pointer, Kind.ANOTHER_VALUE)
        else:
            continue
        found[key] = f"SDK {of_sdk.get(pointer)!r}, audience-sync {of_own.get(pointer)!r}"
    return found


def generalised(pointer: str) -> str:
    return re.sub(r"/\d+(?=/|$)", "/*", pointer)


def _leaves(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from _leaves(each, f"{pointer}/{name}")
    elif isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from _leaves(each, f"{pointer}/{index}")
    else:
        yield pointer, value


def _equal(one: Any, other: Any) -> bool:
    """Return whether two leaves are equal in type and value; a time may have another form."""
    if type(one) is not type(other):
        return False
    moments = _moment(one), _moment(other)
    return one == other or (moments[0] is not None and moments[0] == moments[1])


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and "T" in value else None
    except ValueError:
        return None


#: A change of an SDK's request before the comparison: the same fact in the form of the API that audience-sync uses.
Translation = Callable[[dict[str, Any]], dict[str, Any]]


def translate_posthog(request: dict[str, Any]) -> dict[str, Any]:
    """Move ``$set`` into the properties: PostHog reads it at both places."""
    for event in request["body"]["batch"]:
        if "$set" in event:
            event["properties"]["$set"] = event.pop("$set")
    return request


def translate_customerio(request: dict[str, Any]) -> dict[str, Any]:
    """Write a call of the Track API v1 as the item of v2's batch that Customer.io documents for the same action."""
    path, body = request["path"], request["body"]
    if path == "/api/v2/batch":
        return request
    if path == "/api/v1/merge_customers":
        item = {"type": "person", "action": "merge", **body}
    else:
        _, _, _, _, user, *event = path.split("/")
        who = {"type": "person", "identifiers": {"id": user}}
        if event:
            item = {**who, "action": "event", "attributes": body.pop("data"), **body}
        else:
            item = {**who, "action": "identify", "attributes": body}
    return {**request, "method": "POST", "path": "/api/v2/batch", "body": {"batch": [item]}}


TRANSLATIONS: defaultdict[str, Translation] = defaultdict(
    lambda: lambda request: request, customerio=translate_customerio, posthog=translate_posthog
)


def own_only(reason: str, *pointers: str) -> tuple[Difference, ...]:
    return tuple(Difference(pointer, Kind.OWN_ONLY, reason) for pointer in pointers)


def sdk_only(reason: str, *pointers: str) -> tuple[Difference, ...]:
    return tuple(Difference(pointer, Kind.SDK_ONLY, reason) for pointer in pointers)


def another_value(reason: str, *pointers: str) -> tuple[Difference, ...]:
    return tuple(Difference(pointer, Kind.ANOTHER_VALUE, reason) for pointer in pointers)


ITEM, PROPERTY = "/body/*", "/body/*/properties"
EVENT, EVENT_PROPERTY = "/body/batch/*", "/body/batch/*/properties"
SAME_ID = "ours is the same when an event is sent again"
NAMES_SDK = "names the SDK"
#: The differences that are right, by vendor. Another one fails the check, and so does one that is not found.
NAMED: Mapping[str, Sequence[Difference]] = {
    "amplitude": (
        *another_value("the SDK names the charset, which JSON has anyway", "/headers/content-type"),
        *another_value(SAME_ID, "/body/events/*/insert_id"),
        *sdk_only(NAMES_SDK, "/body/events/*/library"),
    ),
    "customerio": (
        *own_only("an older value never replaces a newer one", f"{EVENT}/timestamp"),
        *another_value(SAME_ID, f"{EVENT}/id"),
    ),
    "hubspot": (
        *own_only("an answer names a refused contact by it", "/body/inputs/*/objectWriteTraceId"),
        *own_only("the same when an event is sent again", "/body/inputs/*/uuid"),
    ),
    "mixpanel": (
        *another_value("a form with JSON in it; the API accepts JSON, too", "/headers/content-type"),
        *own_only("an invalid item is an error with a reason", "/parameters/strict"),
        *sdk_only("/import has no such parameter: it always gives the reason", "/parameters/verbose"),
        *sdk_only("/import has no such parameter: it never uses the server's place", "/parameters/ip"),
        *sdk_only("$ignore_time leaves the time a person was last seen unchanged", f"{ITEM}/$time"),
        *another_value(SAME_ID, f"{PROPERTY}/$insert_id"),
        *sdk_only("/import reads it from the authorisation", f"{PROPERTY}/token"),
        *sdk_only(NAMES_SDK, f"{PROPERTY}/mp_lib", f"{PROPERTY}/$lib_version"),
    ),
    "posthog": (
        *sdk_only("without it PostHog uses each event's own time", "/body/sent_at"),
        *another_value(SAME_ID, f"{EVENT}/uuid"),
        *sdk_only(
            "the recorded case has it in `$set` only",
            f"{EVENT_PROPERTY}/$geoip_disable",
            f"{EVENT_PROPERTY}/$is_server",
        ),
        *sdk_only(NAMES_SDK, f"{EVENT_PROPERTY}/$lib", f"{EVENT_PROPERTY}/$lib_version"),
        *sdk_only(
            "describes the computer that sends",
            f"{EVENT_PROPERTY}/$python_runtime",
            f"{EVENT_PROPERTY}/$python_version",
            f"{EVENT_PROPERTY}/$os",
            f"{EVENT_PROPERTY}/$os_version",
            f"{EVENT_PROPERTY}/$os_distro",
        ),
    ),
}

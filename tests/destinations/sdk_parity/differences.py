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
_RUNTIME = ("$python_runtime", "$python_version", "$os", "$os_version", "$os_distro")
#: Of each vendor: the differences that are right. Another one fails the check, and so does one that is not found.
NAMED: Mapping[str, Sequence[Difference]] = {
    "amplitude": (
        Difference("/headers/content-type", Kind.ANOTHER_VALUE, "the SDK names the charset, which JSON has anyway"),
        Difference("/body/events/*/insert_id", Kind.ANOTHER_VALUE, "ours is the same when a call is sent again"),
        Difference("/body/events/*/library", Kind.SDK_ONLY, "names the SDK"),
    ),
    "customerio": (
        Difference("/body/batch/*/timestamp", Kind.OWN_ONLY, "an older value never replaces a newer one"),
        Difference("/body/batch/*/id", Kind.ANOTHER_VALUE, "ours is a ULID, the same when a call is sent again"),
    ),
    "hubspot": (
        Difference("/body/inputs/*/objectWriteTraceId", Kind.OWN_ONLY, "an answer names a refused contact by it"),
        Difference("/body/inputs/*/uuid", Kind.OWN_ONLY, "the same when an event is sent again"),
    ),
    "mixpanel": (
        Difference("/headers/content-type", Kind.ANOTHER_VALUE, "a form with JSON in it; the API takes JSON, too"),
        Difference("/parameters/strict", Kind.OWN_ONLY, "an invalid item is an error with a reason"),
        Difference("/parameters/verbose", Kind.SDK_ONLY, "/import has no such parameter: it always gives the reason"),
        Difference("/parameters/ip", Kind.SDK_ONLY, "/import has no such parameter: it never uses the server's place"),
        Difference("/body/*/$time", Kind.SDK_ONLY, "$ignore_time leaves the time a person was last seen unchanged"),
        Difference("/body/*/properties/$insert_id", Kind.ANOTHER_VALUE, "ours is the same when an event is sent again"),
        Difference("/body/*/properties/token", Kind.SDK_ONLY, "/import takes it from the authorisation"),
        Difference("/body/*/properties/mp_lib", Kind.SDK_ONLY, "names the SDK"),
        Difference("/body/*/properties/$lib_version", Kind.SDK_ONLY, "names the SDK"),
    ),
    "posthog": (
        Difference("/body/sent_at", Kind.SDK_ONLY, "without it PostHog takes each event's own time"),
        Difference("/body/batch/*/uuid", Kind.ANOTHER_VALUE, "ours is the same when an event is sent again"),
        Difference("/body/batch/*/properties/$geoip_disable", Kind.SDK_ONLY, "the recorded case has it in `$set` only"),
        Difference("/body/batch/*/properties/$is_server", Kind.SDK_ONLY, "the recorded case has it in `$set` only"),
        Difference("/body/batch/*/properties/$lib", Kind.SDK_ONLY, "names the SDK"),
        Difference("/body/batch/*/properties/$lib_version", Kind.SDK_ONLY, "names the SDK"),
        *(
            Difference(f"/body/batch/*/properties/{name}", Kind.SDK_ONLY, "describes the computer that sends")
            for name in _RUNTIME
        ),
    ),
}

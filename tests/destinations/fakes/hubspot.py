"""Play HubSpot's contacts: texts, in properties that exist; a 207 by trace id; successes that wrote nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from destinations.receiver import Received, Reply

from .state import Draft, Outcome, State, StoredEvent, said

INPUTS, BATCH_BYTES, TEXT_CHARACTERS = 100, 10_000_000, 65_536
#: The properties of every account that a test may use.
STANDARD = {"email": "string", "firstname": "string", "lastname": "string", "phone": "string", "customer_id": "string"}
NAME = re.compile("[a-z][a-z0-9_]{0,99}")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
INVALID_KEY = {
    "status": "error",
    "category": "INVALID_AUTHENTICATION",
    "message": "Authentication credentials not found",
}
REMAINING = {"X_HubSpot_RateLimit_Interval_Milliseconds": "10000", "X_HubSpot_RateLimit_Remaining": "0"}


def answer(state: State, request: Received) -> Outcome:
    """Answer; ``quota`` is the number of requests left for today."""
    if request.headers.get("authorization") != f"Bearer {state.key}":
        return state, said(401, INVALID_KEY)
    if state.quota == 0:
        return state, _limited("DAILY", "You have reached your daily limit.")
    if state.quota is not None:
        state = replace(state, quota=state.quota - 1)
    if state.limited:
        return state.limits_once(), _limited(
            "TEN_SECONDLY_ROLLING", "You have reached your ten_secondly_rolling limit."
        )
    if len(request.body) > min(BATCH_BYTES, state.most_bytes):
        return state, said(413, {"status": "error", "message": "Request too large"})
    if request.path.endswith("/properties/contacts"):
        return _properties(state, request)
    inputs = json.loads(request.body)["inputs"]
    if len(inputs) > INPUTS:
        return state, _invalid(f"The maximum number of inputs is {INPUTS}", ())
    return _track(state, inputs) if "/events/" in request.path else _upsert(state, inputs)


def _limited(policy: str, message: str) -> Reply:
    return said(429, {"status": "error", "policyName": policy, "message": message}, **REMAINING)


def _invalid(message: str, errors: Sequence[dict[str, Any]]) -> Reply:
    body = {"status": "error", "category": "VALIDATION_ERROR", "correlationId": "aeb5f871", "message": message}
    return said(400, {**body, "errors": list(errors)} if errors else body)


def _properties(state: State, request: Received) -> Outcome:
    types = {**STANDARD, **state.types}
    if request.method == "GET":
        return state, said(200, {"results": [{"name": name, "type": kind} for name, kind in types.items()]})
    created = json.loads(request.body)
    if created["name"] in types:
        return state, said(409, {"status": "error", "category": "OBJECT_ALREADY_EXISTS", "message": "it exists"})
    if not NAME.fullmatch(created["name"]) or not state.creates_fields:
        return state, _invalid(f"the property {created['name']} can't be created", ())
    return replace(state, types={**state.types, created["name"]: created["type"]}), said(201, created)


def _upsert(state: State, inputs: list[dict[str, Any]]) -> Outcome:
    types = {**STANDARD, **state.types}
    if missing := sorted({name for each in inputs for name in each["properties"] if name not in types}):
        errors = [{"code": "PROPERTY_DOESNT_EXIST", "message": f'Property "{name}" does not exist'} for name in missing]
        return state, _invalid("Property values were not valid", errors)
    if any(not isinstance(value, str) for each in inputs for value in each["properties"].values()):
        return state, _invalid("Cannot deserialize value of type `java.lang.String`", ())
    if len({each["id"].lower() for each in inputs}) < len(inputs):
        return state, _invalid("Duplicate IDs found in batch input", ())
    if state.silent:
        return replace(state, silent=state.silent - 1), said(200, {"status": "COMPLETE", "results": []})
    draft, errors = Draft(state), list[dict[str, Any]]()
    for each in inputs:
        if problem := _problem(state, each, types):
            context: Any = {"objectWriteTraceId": [each["objectWriteTraceId"]]}
            errors.append({"status": "error", "category": "VALIDATION_ERROR", "message": problem, "context": context})
        else:
            draft.set(each["id"], {name: value or None for name, value in each["properties"].items()})
    results = [{"id": str(number), "properties": {}, "new": True} for number in range(len(inputs) - len(errors))]
    body: dict[str, Any] = {"status": "COMPLETE", "results": results}
    if not errors:
        return draft.finished(), said(200, body)
    return draft.finished(), said(207, {**body, "numErrors": len(errors), "errors": errors})


def _problem(state: State, contact: dict[str, Any], types: dict[str, str]) -> str:
    if contact["id"] in state.blocked:
        return "The contact can't be written"
    if contact["idProperty"] == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", contact["id"]):
        return f"Email address {contact['id']} is invalid"
    for name, value in contact["properties"].items():
        if value and types[name] == "bool" and value not in ("true", "false"):
            return f'"{value}" was not one of the allowed options: true, false'
        if value and types[name] == "number" and not NUMBER.fullmatch(value):
            return f'"{value}" was not a valid number'
        if len(value) > TEXT_CHARACTERS:
            return f"{name} is longer than {TEXT_CHARACTERS}"
    return ""


def _track(state: State, inputs: list[dict[str, Any]]) -> Outcome:
    """Store events, each once by its UUID. They name an audience, and are of contacts with an e-mail address."""
    draft = Draft(state)
    for each in inputs:
        entered = each["eventName"].endswith("entered")
        draft.add(
            StoredEvent(each["email"], each["eventName"], each["properties"]["audience_key"], entered), each["uuid"]
        )
    return draft.finished(), said(204)

"""Play Braze: users and events by ``POST /users/track``, whose successes name items, and ``POST /users/merge``."""

from __future__ import annotations

import json
from typing import Any

from destinations.receiver import Received

from .state import Draft, Outcome, State, StoredEvent, kind_of, said

OBJECTS, MERGES, BATCH_BYTES, TEXT_CHARACTERS = 75, 50, 4_000_000, 255
#: What names a user, in the order in which Braze looks for it.
IDENTIFIERS = ("external_id", "user_alias", "braze_id", "email", "phone")
NOT_NAMED = "'external_id', 'braze_id', 'user_alias', 'email' or 'phone' is required"
BLOCKED = "provided external_id is blacklisted and disallowed"
OPERATORS = {"inc", "add", "remove"}
#: The moment of the answers' clock, at which a limit is over at once.
DATE, RESET = "Mon, 23 Nov 2026 20:51:29 GMT", "1795467089"


def answer(state: State, request: Received) -> Outcome:
    if request.headers.get("authorization") != f"Bearer {state.key}":
        return state, said(401, {"message": "Invalid API key"})
    if state.limited:
        return state.limits_once(), said(429, {"message": "Rate limited"}, Date=DATE, X_RateLimit_Reset=RESET)
    if len(request.body) > min(BATCH_BYTES, state.most_bytes):
        return state, said(413, {"message": "Request Entity Too Large"})
    body = json.loads(request.body)
    return _merge(state, body["merge_updates"]) if request.path.endswith("/users/merge") else _track(state, body)


def _track(state: State, body: dict[str, Any]) -> Outcome:
    users, events = body.get("attributes", []), body.get("events", [])
    if len(users) + len(events) > OBJECTS:
        return state, said(400, {"message": "Max Input Length Exceeded"})
    draft, errors = Draft(state), []
    for array, items in (("attributes", users), ("events", events)):
        for index, item in enumerate(items):
            if problem := _problem(state, item):
                errors.append({"type": problem, "input_array": array, "index": index})
            elif array == "attributes":
                _set(draft, item)
            else:
                properties = item["properties"]
                key = properties["audience_key"]
                draft.add(StoredEvent(draft.id_of(_user(item)), item["name"], key, properties[key]), None)
    if errors and len(errors) == len(users) + len(events):
        fields = "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields."
        return state, said(400, {"message": fields, "errors": errors})
    found = {"attributes_processed": len(users), "message": "success"}
    return draft.finished(), said(201, {**found, "errors": errors} if errors else found)


def _user(item: dict[str, Any]) -> str:
    found = next((item[name] for name in IDENTIFIERS if name in item), "")
    return str(found["alias_name"] if isinstance(found, dict) else found)


def _problem(state: State, item: dict[str, Any]) -> str:
    user = _user(item)
    if not user:
        return NOT_NAMED
    return BLOCKED if user in state.blocked else ""


def _set(draft: Draft, item: dict[str, Any]) -> None:
    """Set attributes as Braze does, which drops some of them without an error."""
    user = draft.id_of(_user(item))
    only_existing = item.get("_update_existing_only", "user_alias" in item)
    if only_existing and user not in draft.users:
        return
    named_by = next(name for name in IDENTIFIERS if name in item)
    attributes = {name: value for name, value in item.items() if name not in (named_by, "_update_existing_only")}
    draft.set(user, {})
    for name, value in attributes.items():
        if isinstance(value, dict) and (OPERATORS & value.keys() or None in value.values()):
            continue
        if value is not None and draft.types.setdefault(name, kind_of(value)) != kind_of(value):
            continue
        draft.set(user, {name: value[:TEXT_CHARACTERS] if isinstance(value, str) else value})


def _merge(state: State, merges: list[dict[str, Any]]) -> Outcome:
    if len(merges) > MERGES:
        return state, said(400, {"message": "Max Input Length Exceeded"})
    draft = Draft(state)
    for each in merges:
        previous, user = _user(each["identifier_to_merge"]), _user(each["identifier_to_keep"])
        if draft.id_of(previous) in draft.users and draft.id_of(user) in draft.users:
            draft.merge(previous, user)
    return draft.finished(), said(202, {"message": "success"})

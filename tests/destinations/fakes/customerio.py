"""Play Customer.io's Track API: people by ``POST /api/v2/batch``, with a 207 that names items by index."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any

from destinations.receiver import Received

from .state import Draft, Outcome, State, StoredEvent, said

BATCH_BYTES, ENTITY_BYTES, VALUE_BYTES, NAME_BYTES, ID_BYTES, ATTRIBUTES = 500_000, 32_000, 1_000, 150, 150, 300
ULID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")
#: Attributes that address a person, or concern the call.
RESERVED = ("id", "cio_id", "cio_relationships")


def answer(state: State, request: Received) -> Outcome:
    basic = f"Basic {b64encode(state.key.encode()).decode()}"
    if request.headers.get("authorization") != basic:
        return state, said(401, {"meta": {"error": "Unauthorized"}})
    if state.limited:
        return state.limits_once(), said(429)
    if len(request.body) > min(BATCH_BYTES, state.most_bytes):
        return state, said(413, {"errors": [{"reason": "invalid", "message": "the batch is over 500 KB"}]})
    draft, errors = Draft(state), []
    for index, entity in enumerate(json.loads(request.body)["batch"]):
        if problem := _problem(state, draft, entity):
            errors.append({"batch_index": index, "reason": "invalid", "field": problem[0], "message": problem[1]})
        else:
            _accept(draft, entity)
    return draft.finished(), said(207, {"errors": errors}) if errors else said(200, {})


def _person(identifiers: dict[str, str]) -> str:
    [user] = identifiers.values()
    return user


def _problem(state: State, draft: Draft, entity: dict[str, Any]) -> tuple[str, str] | None:
    """The field of an entity that is invalid, and why."""
    if len(json.dumps(entity, ensure_ascii=False).encode()) > ENTITY_BYTES:
        return "attributes", "the entity is over 32 KB"
    if entity["action"] == "merge":
        primary, secondary = _person(entity["primary"]), _person(entity["secondary"])
        if draft.id_of(primary) not in draft.users:
            return "primary", "the primary person does not exist"
        return ("secondary", "the person can't be merged") if secondary in state.blocked else None
    user = _person(entity["identifiers"])
    if not user or len(user.encode()) > ID_BYTES or user in state.blocked:
        return "identifiers", "the identifier is invalid"
    if entity["action"] == "event":
        return None if ULID.fullmatch(entity["id"]) else ("id", "the id is not a ULID")
    attributes = entity["attributes"]
    if len(attributes) > ATTRIBUTES:
        return "attributes", "a person has more than 300 attributes"
    for name, value in attributes.items():
        if name in RESERVED or len(name.encode()) > NAME_BYTES:
            return "attributes", f"the name {name} can't be used"
        if len(str(value).encode()) > VALUE_BYTES:
            return "attributes", "value for attribute cannot be longer than 1000 bytes"
    return None


def _accept(draft: Draft, entity: dict[str, Any]) -> None:
    if entity["action"] == "merge":
        draft.merge(_person(entity["secondary"]), _person(entity["primary"]))
        return
    user = draft.id_of(_person(entity["identifiers"]))
    attributes = dict(entity["attributes"])
    if entity["action"] == "event":
        key = attributes["audience_key"]
        draft.add(StoredEvent(user, entity["name"], key, attributes[key]), entity["id"])
        return
    if attributes.pop("_update", False) and user not in draft.users:
        return
    now = entity["timestamp"]
    fresh = {name: value for name, value in attributes.items() if draft.versions.get((user, name), 0) <= now}
    draft.versions |= {(user, name): now for name in fresh}
    draft.set(user, {name: None if value == "" else value for name, value in fresh.items()})
